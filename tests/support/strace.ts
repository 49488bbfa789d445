/**
 * Makes system calls of a running process fail, with `strace`: what a bad disk does, without one.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";
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
  // It says so when it has all threads; the file is there when it has begun.
  await once(strace.stderr, "data");
  if (!existsSync(trace)) await once(watch(dirname(trace)), "change");
  return {
    trace: () => readFileSync(trace, "utf8"),
    async end(): Promise<void> {
      strace.kill("SIGINT");
      await closed;
    },
  };
}
