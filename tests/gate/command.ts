/**
 * Runs one program to its end, within a time, and leaves nothing of it behind: neither when it
 * is late, nor when the gate itself is told to stop.
 */

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./source_files.ts";

export interface CommandOptions {
  /** Added to the gate's own environment; `undefined` takes a variable away. */
  readonly env?: Record<string, string | undefined>;
  /** @default 120_000: what checks sources takes seconds, and a minute when it fetches first. */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  /** Whether it ended by itself, with exit code 0. */
  readonly ok: boolean;
  /** Standard output and error, as they came. */
  readonly output: string;
}

const TIMEOUT_MS = 120_000;

const groups = new Set<number>();
process.on("exit", () => groups.forEach(killGroup));

/** The path of a program that npm installed. */
export function installed(name: string): string {
  return join(ROOT, "node_modules", ".bin", name);
}

/** Runs a program from the root of the project, in a process group of its own. */
export async function runCommand(
  command: readonly [program: string, ...args: string[]],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { env = {}, timeoutMs = TIMEOUT_MS } = options;
  const folder = mkdtempSync(join(tmpdir(), "alcedo-gate-"));
  const outputPath = join(folder, "output");
  // A file, not a pipe: a pipe stays open as long as any stray grandchild holds it.
  const fd = openSync(outputPath, "a");
  try {
    const [program, ...args] = command;
    const ended = await run(program, args, { env, timeoutMs, fd });
    return { ok: ended === "ok", output: endNote(ended) + readFileSync(outputPath, "utf8") };
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
}

function run(
  program: string,
  args: readonly string[],
  { env, timeoutMs, fd }: Required<CommandOptions> & { fd: number },
): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", fd, fd],
    });
    const { pid } = child;
    if (pid !== undefined) groups.add(pid);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (pid !== undefined) killGroup(pid);
    }, timeoutMs);
    const end = (how: string) => {
      clearTimeout(timer);
      if (pid !== undefined) killGroup(pid);
      resolve(how);
    };
    child.on("error", (error) => end(`Cannot run "${program}": ${error.message}`));
    child.on("exit", (code, signal) => {
      if (late) end(`Killed after ${timeoutMs / 1000} s`);
      else end(code === 0 ? "ok" : `Exit ${code ?? signal}`);
    });
  });
}

function endNote(ended: string): string {
  return ended === "ok" ? "" : `${ended}\n`;
}

function killGroup(pid: number): void {
  groups.delete(pid);
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // ESRCH: all gone.
  }
}
