/**
 * The path of a control socket: who may have it, and that nobody but its owner can ever use it.
 *
 * The socket is made in a folder that is closed to others, and gets its name when it is complete:
 * so it has mode 0600 and is listened to from its first moment on. (The process's umask would do for
 * the mode, but is in force for whatever else the process creates at that moment, in any thread.)
 */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { connect, type Server } from "node:net";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { codeOf } from "../../runtime/log/file_bytes.ts";
import { StartError } from "../cli/exit.ts";
import { HeldBy, holdName } from "../lock.ts";

/** Bytes of a path that a socket's address has room for (`sun_path` of unix(7)), without its end. */
const PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;

/** What stands before the random letters of the folder that a socket is made in, for a moment. */
const FOLDER_PREFIX = ".ctl";

/** A path that is held. */
export interface HeldPath {
  /** Removes the socket, if it is still the one that was put there. */
  remove(): void;
  /** Lets others have the path. */
  release(): void;
}

/**
 * Lets `server` listen at `path`, readable and writable for its owner alone. A socket that was left
 * there is replaced; anything else is left alone.
 *
 * @throws {StartError} if another process listens there, which it names, or it cannot be done.
 */
export async function listenAtPath(server: Server, path: string): Promise<HeldPath> {
  checkLength(path);
  try {
    const held = await holdPath(path);
    try {
      await clear(path);
      const remove = await put(server, path);
      return { remove, release: held.release };
    } catch (error) {
      server.close();
      held.release();
      throw error;
    }
  } catch (error) {
    const why = EXPLANATIONS[String(codeOf(error))];
    throw why === undefined ? error : failure(path, why);
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EEXIST: "somebody else has just put a file there; look at it, or choose another --ctl-socket",
  ENOENT: "the folder does not exist; create it, or choose another --ctl-socket",
  ENOTDIR: "part of the path is not a folder; choose another --ctl-socket",
  EROFS: "the file system is read-only; choose another --ctl-socket",
  ENOSPC: "no space left on the disk",
};

function failure(path: string, why: string): StartError {
  return new StartError(`cannot listen on the control socket "${path}": ${why}`);
}

function inUse(path: string, holder: string): StartError {
  return failure(
    path,
    `it is in use (${holder}); stop that process, or choose another --ctl-socket`,
  );
}

function checkLength(path: string): void {
  const places = [path, join(dirname(path), `${FOLDER_PREFIX}XXXXXX`, "s")];
  const surplus = Math.max(...places.map(surplusOf));
  if (surplus <= 0) return;
  throw failure(
    path,
    `the path is ${surplus} bytes too long for a socket; choose a shorter --ctl-socket, or one that ` +
      `is relative to the working directory`,
  );
}

/** How many bytes a path is too long for a socket, if that is more than none. */
export function surplusOf(path: string): number {
  return new TextEncoder().encode(path).length - PATH_BYTES_MAX;
}

/** Holds the path against other servers that start at the same time, or run already. */
async function holdPath(path: string): Promise<{ release(): void }> {
  const { dev, ino } = fs.statSync(dirname(path), { bigint: true });
  const name = createHash("sha256").update(basename(path)).digest("hex").slice(0, 12);
  try {
    return await holdName(`alcedo-ctl-${dev}-${ino}-${name}`);
  } catch (error) {
    throw error instanceof HeldBy ? inUse(path, error.message) : error;
  }
}

/** Removes what a process has left that was killed, and nothing else. */
async function clear(path: string): Promise<void> {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw failure(path, "there is something else already, which is no socket; it was left alone");
  }
  if (await isAnswered(path)) throw inUse(path, "another program listens there");
  fs.rmSync(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error) => {
      const code = codeOf(error);
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(false);
      else if (code === "EAGAIN") resolve(true); // So many connect that one more must wait.
      else reject(error);
    });
  });
}

/** Listens, and gives the socket its name; returns what removes it. */
async function put(server: Server, path: string): Promise<() => void> {
  const whole = resolve(path); // The working directory may be another one when it is removed.
  const folder = fs.mkdtempSync(join(dirname(path), FOLDER_PREFIX));
  const made = join(folder, "s");
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(made, () => {
        server.off("error", reject);
        resolve();
      });
    });
    fs.chmodSync(made, 0o600);
    fs.linkSync(made, path); // Unlike a rename, it never replaces what is there.
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  const { dev, ino } = fs.lstatSync(whole, { bigint: true });
  return () => {
    const found = fs.lstatSync(whole, { bigint: true, throwIfNoEntry: false });
    if (found?.dev === dev && found.ino === ino) fs.rmSync(whole, { force: true });
  };
}
