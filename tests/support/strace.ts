/**
 * Makes system calls of a process fail, or kills it there, with `strace`: what a bad disk does,
 * without one, and a crash at exactly that step.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { isInstalled, needs } from "./needs.ts";

export const testWithStrace: ReturnType<typeof needs> = needs("strace", isInstalled("strace"));

/** Faults that are in force. */
export interface Injection {
  /** The calls that were seen so far, one a line; those that were made to fail say `INJECTED`. */
  trace(): string;
  /** Lets the process go: its calls succeed again. */
  end(): Promise<void>;
}

/**
 * Makes calls of process `pid` fail that are about `file`, in all its threads. A fault is written
 * as for `strace --inject`: `fdatasync:error=EIO`, `pwrite64:retval=3`. Resolves when it is so.
 */
export async function inject(
  pid: number | undefined,
  { file, faults, trace }: { file: string; faults: readonly string[]; trace: string },
): Promise<Injection> {
  const calls = faults.map((fault) => fault.slice(0, fault.indexOf(":")));
  const strace = spawn("strace", [
    ...["-f", "-p", String(pid), "-o", trace],
    // The whole path: it is compared with what the descriptor leads to.
    ...["-P", resolve(file), "-e", `trace=${calls.join(",")}`],
    ...faults.flatMap((fault) => ["-e", `inject=${fault}`]),
  ], { stdio: ["ignore", "ignore", "pipe"] });
  const closed = once(strace, "close");
  // It says so when it has all threads; but only what one of them does after it was stopped is
  // seen. A signal that means nothing to the process stops its first thread, and is in the trace.
  await once(strace.stderr, "data");
  if (pid !== undefined) process.kill(pid, "SIGCONT");
  const content = (): string => existsSync(trace) ? readFileSync(trace, "utf8") : "";
  const watcher = watch(dirname(trace));
  while (!content().includes("SIGCONT")) await once(watcher, "change");
  watcher.close();
  return {
    trace: content,
    async end(): Promise<void> {
      strace.kill("SIGINT");
      await closed;
    },
  };
}

/** When {@linkcode startUntil} kills. */
export interface KillPoint {
  /** The call, or several with commas between. */
  readonly call: string;
  /** The how many-th of the process's first thread. */
  readonly nth: number;
  /** Calls count that are about one of these files. */
  readonly files: readonly string[];
}

/**
 * Starts a program that is killed with SIGKILL when it makes a system call, or when it has printed
 * something to standard output. Resolves when it has ended: with what it printed, if anything.
 */
export async function startUntil(
  command: readonly string[],
  { call, nth, files }: KillPoint,
): Promise<string> {
  const strace = spawn("strace", [
    ...["-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`],
    ...files.flatMap((file) => ["-P", file]),
    ...["-e", `inject=${call}:signal=KILL:when=${nth}`],
    ...command,
    // A group of its own, with all that it starts.
  ], { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let printed = "";
  let errors = "";
  strace.stdout.on("data", (bytes) => {
    printed += String(bytes);
    kill(strace.pid);
  });
  strace.stderr.on("data", (bytes) => errors += String(bytes));
  const closed = once(strace, "close");
  try {
    await closed;
  } finally {
    kill(strace.pid);
  }
  // It ends as the program did; otherwise there was no kill.
  const [code] = await closed;
  if (code !== null) throw new Error(`it ended by itself: ${errors}`);
  return printed;
}

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
