/**
 * The writer's lock: exactly one process may write a log.
 *
 * Two locks, because each has a hole that the other closes. A socket named after the file's
 * device and inode answers who holds it, whatever path led there, but is not seen from
 * another network namespace (a container). `flock` is seen there, but only where util-linux
 * is installed. Both are gone with the process, however it ends.
 */

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { AlcedoError } from "../runtime/errors.ts";
import type { DiskLock } from "../runtime/log/disk.ts";
import { codeOf } from "../runtime/log/file_bytes.ts";

/** Milliseconds that the holder has for saying who it is. */
const ANSWER_MS = 1000;

/** How often a socket at which nobody answers is tried, and the milliseconds between. */
const ATTEMPTS = 10;
const ATTEMPT_MS = 50;

/**
 * Locks the file at `path`.
 *
 * @throws {AlcedoError} `log_locked`, naming the process that holds it.
 */
export async function lockFile(path: string): Promise<DiskLock> {
  const { dev, ino } = fs.statSync(path, { bigint: true });
  const holder = describeHolder();
  let name: DiskLock;
  let flock: number | undefined;
  try {
    name = await holdName(`alcedo-log-${dev}-${ino}`, holder);
  } catch (error) {
    throw error instanceof HeldBy ? locked(path, error.message) : error;
  }
  try {
    flock = takeFlock(`${path}.lock`, holder);
  } catch (error) {
    name.release();
    throw error instanceof HeldBy ? locked(path, error.message) : error;
  }
  return {
    release(): void {
      name.release();
      if (flock !== undefined) fs.closeSync(flock);
    },
  };
}

function describeHolder(): string {
  return `pid ${process.pid}, started ${new Date().toISOString()}`;
}

/**
 * Takes a name that one process of the machine (on Linux: of a network namespace) can have at a time.
 * It is free again when it is released, or with the process.
 *
 * @throws {HeldBy} if another process has it; the message says which.
 */
export async function holdName(name: string, holder: string = describeHolder()): Promise<DiskLock> {
  // An abstract socket leaves nothing behind (unix(7)); elsewhere a path must do.
  const address = process.platform === "linux" ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  const server = await listen(address, holder);
  if (typeof server === "string") throw new HeldBy(server);
  return { release: () => void server.close() };
}

function locked(path: string, holder: string): AlcedoError {
  return new AlcedoError(
    "log_locked",
    `Cannot open log "${resolve(path)}": it is in use (${holder}); stop that process, or choose ` +
      `another --events-file`,
  );
}

/**
 * Listens on the address and tells whoever connects who it is. Returns what the holder says
 * if there is one: a process that was killed may hold its sockets for a moment more, so an
 * address at which nobody answers is tried again.
 */
async function listen(address: string, holder: string): Promise<Server | string> {
  for (let attempt = 1;; attempt++) {
    const server = createServer((socket) => {
      socket.on("error", () => {}); // Whoever asked has gone.
      socket.end(`${holder}\n`);
    });
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once("error", resolve);
      server.listen(address, () => resolve(undefined));
    });
    if (error === undefined) {
      server.unref();
      return server;
    }
    if (error.code !== "EADDRINUSE") throw error;
    const answer = await ask(address);
    if (answer !== undefined || attempt === ATTEMPTS) return answer ?? "another process";
    // A path outlives its process: where nobody answers, it is a leftover.
    if (!address.startsWith("\0")) fs.rmSync(address, { force: true });
    await setTimeout(ATTEMPT_MS);
  }
}

/** The line that the holder of a lock answers with; `undefined` if nobody answers. */
function ask(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let line = "";
    const socket = connect(address);
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => line += text);
    socket.on("error", () => {}); // Then nobody answers.
    socket.on("close", () => resolve(line.trim() || undefined));
  });
}

/** Another process has what was to be held: which, in its message. */
export class HeldBy extends Error {
  override readonly name = "HeldBy";
}

/** How `flock` ends where another process has the lock (flock(1)). */
const HELD = 1;

/** Why it cannot be started where there is none, or none may be started. */
const NOT_HERE: ReadonlySet<unknown> = new Set(["ENOENT", "EACCES", "EPERM"]);

/**
 * Takes `flock(2)` on a file beside the log through a descriptor that util-linux's `flock`
 * inherits: the lock belongs to the open file, and so stays when `flock` has ended.
 */
function takeFlock(path: string, holder: string): number | undefined {
  const fd = fs.openSync(path, "a+", 0o600);
  const { status, signal, error } = spawnSync("flock", ["-xn", "3"], {
    stdio: ["ignore", "ignore", "ignore", fd],
  });
  if (status === 0) {
    try {
      fs.ftruncateSync(fd, 0);
      fs.writeSync(fd, `${holder}\n`);
    } catch {
      // On a full disk: only the name of the holder is missing where the socket cannot tell it.
    }
    return fd;
  }
  fs.closeSync(fd);
  if (error !== undefined) {
    if (NOT_HERE.has(codeOf(error))) return undefined; // The socket must do.
    throw error;
  }
  // Deno without leave to run it says nothing at all.
  if (status === undefined) return undefined;
  if (status !== HELD) {
    throw new Error(`Cannot lock "${path}": flock ended with ${status ?? signal}`);
  }
  throw new HeldBy(fs.readFileSync(path, "utf8").trim() || "another process");
}
