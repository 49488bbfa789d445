/**
 * A server in a process of its own, on the runtime that the tests run on: what users start,
 * kill and look at.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";

/** The repository. */
export const ROOT: string = new URL("../../", import.meta.url).pathname;

/** What the tests run on, and how it runs a file. */
export const RUN: readonly string[] = "Deno" in globalThis
  ? [process.execPath, "run", "-A"]
  : [process.execPath];

/** A process that was started, and what it has printed. */
export interface Started {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** What it has printed since it was last taken, and is not kept any more: for much output. */
  takeStdout(): string;
  takeStderr(): string;
  /** Resolves when it has ended and all it printed is here. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

/** Options of {@linkcode start}. */
export interface StartOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** Starts `file`, of the repository if it is no whole path, with `args`. */
export function start(file: string, args: readonly string[], options: StartOptions = {}): Started {
  const [program = "", ...rest] = RUN;
  return startProgram(program, [...rest, resolve(ROOT, file), ...args], options);
}

/** Starts a program that is none of the repository's. */
export function startProgram(
  program: string,
  args: readonly string[],
  options: StartOptions = {},
): Started {
  const child = spawn(program, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
  // `close` waits for the pipes too; Bun may be early with it, so their ends are awaited.
  const ended = Promise.all([
    once(child, "close"),
    once(child.stdout, "end"),
    once(child.stderr, "end"),
  ]).then(([[code, signal]]) => ({ code, signal }));
  const takeStdout = () => {
    const taken = stdout;
    stdout = "";
    return taken;
  };
  const takeStderr = () => {
    const taken = stderr;
    stderr = "";
    return taken;
  };
  return { child, stdout: () => stdout, stderr: () => stderr, takeStdout, takeStderr, ended };
}

/**
 * Sends a signal. Deno's own `child.kill` would report the signal as the end of a process that
 * handled it.
 */
export function signal(started: Started, name: NodeJS.Signals): void {
  if (started.child.pid !== undefined) process.kill(started.child.pid, name);
}

/** Resolves with the URL once the server has said where it listens. */
export async function listening(started: Started): Promise<string> {
  const url = () => /^Listening on (https?:\S+)$/m.exec(started.stdout())?.[1];
  const { stdout } = started.child;
  while (url() === undefined) {
    const isOver = await Promise.race([
      once(stdout ?? started.child, "data").then(() => false),
      started.ended.then(() => true),
    ]);
    if (isOver && url() === undefined) throw new Error(`it ended early: ${started.stderr()}`);
  }
  return url() ?? "";
}

/** Calls `body` with a fresh folder, and removes it afterwards. */
export async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "alcedo-test-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
