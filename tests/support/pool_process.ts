/**
 * A pool in a process of its own, with workers for tests, and its control socket.
 */

import { connect } from "node:net";
import { join } from "node:path";
import {
  listening,
  ROOT,
  RUN,
  signal,
  start,
  type Started,
  startProgram,
} from "./server_process.ts";

export interface RunningPool {
  readonly started: Started;
  readonly url: string;
  readonly port: number;
  /** Gives a command, and returns the lines of its answer. */
  command(line: string): Promise<string[]>;
  /** The pids of its workers. */
  pids(): Promise<number[]>;
  /** Stops it with SIGTERM; resolves when it has ended. */
  stop(): Promise<{ code: number | null; signal: string | null }>;
}

/** Options of {@linkcode startPool}. */
export interface PoolProcessOptions {
  options?: readonly string[];
  /** @default the worker for tests, `odd_worker.ts` */
  command?: readonly string[];
  env?: Record<string, string>;
  /** How many descriptors it may have. @default as many as this process */
  descriptorsMax?: number;
}

/** The worker for tests, as a command. */
export function oddWorker(...args: readonly string[]): string[] {
  return [...RUN, join(ROOT, "tests/support/odd_worker.ts"), ...args];
}

/** Starts a pool whose control socket is in `folder`. */
export async function startPool(
  folder: string,
  { options = [], command = oddWorker(), env = {}, descriptorsMax }: PoolProcessOptions = {},
): Promise<RunningPool> {
  const socket = join(folder, "ctl.sock");
  const given = ["--addr", "127.0.0.1:0", "--ctl-socket", socket, ...options, "--", ...command];
  const args = [...RUN, join(ROOT, "mod.ts"), "pool", ...given];
  const limited = ["-c", `ulimit -n ${descriptorsMax} && exec "$@"`, "sh", ...args];
  const started = descriptorsMax === undefined
    ? start("mod.ts", ["pool", ...given], { env })
    : startProgram("/bin/sh", limited, { env });
  const url = await listening(started);
  let isStopped = false;
  const pool: RunningPool = {
    started,
    url,
    port: Number(new URL(url).port),
    command: (line) => giveCommand(socket, line),
    async pids() {
      const [, ...rows] = await pool.command("workers");
      return rows.map((row) => Number(row.split(" ")[0])).filter((pid) => pid > 0);
    },
    stop() {
      if (!isStopped) signal(started, "SIGTERM");
      isStopped = true;
      return started.ended;
    },
  };
  return pool;
}

function giveCommand(socket: string, line: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const client = connect(socket, () => client.write(`${line}\nexit\n`));
    client.setEncoding("utf8").on("data", (text: string) => answer += text);
    client.on("error", reject);
    client.on("close", () => resolve(answer.trimEnd().split("\n")));
  });
}
