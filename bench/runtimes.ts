/**
 * The runtimes, and processes on them: how each is started, that it ends, and what it says.
 */

import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

export type Runtime = "node" | "bun" | "deno";

export const RUNTIMES: readonly Runtime[] = ["node", "bun", "deno"];

/** The folder of the benches. */
const FOLDER = new URL("./", import.meta.url);

/** The programs that npm installed. They are the runtimes themselves, not scripts around them. */
const PROGRAMS = new URL("../node_modules/.bin/", FOLDER);

const FLAGS: Readonly<Record<Runtime, readonly string[]>> = {
  node: [],
  bun: [],
  deno: ["run", "--allow-all", "--quiet"],
};

/** The version of a runtime, as it says it. */
export function versionOf(runtime: Runtime): string {
  const text = execFileSync(fileURLToPath(new URL(runtime, PROGRAMS)), ["--version"], {
    encoding: "utf8",
  });
  return /\d+\.\d+\.\d+/.exec(text)?.[0] ?? text.trim();
}

/** A process that was started. */
export interface Running {
  readonly pid: number;
  /** Resolves with the next line; rejects if the process ends before. */
  line(): Promise<string>;
  /** Sends a line, and resolves with the one that it prints then. */
  ask(line: string): Promise<string>;
  /** Kills it, and resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts `file` of the benches on `runtime`. It ends with this process at the latest. */
export function start(runtime: Runtime, file: string, args: readonly string[]): Running {
  return startProgram(fileURLToPath(new URL(runtime, PROGRAMS)), [
    ...FLAGS[runtime],
    fileURLToPath(new URL(file, FOLDER)),
    ...args,
  ]);
}

/** Where a program is that may be installed. */
export function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false; // Not here: the next folder may have it.
      }
    });
}

/** Starts any program. It ends with this process, unless that is killed. */
export function startProgram(program: string, args: readonly string[]): Running {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(program, args, {
    cwd: fileURLToPath(new URL("../", FOLDER)),
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  // It may be killed while it is written to.
  child.stdin.on("error", () => {});
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      process.off("exit", end);
      resolve(`exit ${code ?? signal}`);
    });
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { done, value } = await lines.next();
    if (!done) return value;
    throw new Error(`Cannot go on: "${program} ${args.join(" ")}" ended (${await ended})`);
  };
  return {
    pid: child.pid ?? 0,
    line,
    ask(text) {
      child.stdin.write(`${text}\n`);
      return line();
    },
    async kill() {
      // The process itself: a child's own `kill` is not the same thing on all runtimes.
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        process.kill(child.pid, "SIGKILL");
      }
      await ended;
    },
  };
}
