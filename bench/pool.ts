/**
 * The pool: requests that one trivial worker answers, on Alcedo, against the least that a server with a
 * pipe to that worker can do.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Bench, Findings } from "./bench.ts";
import { findProgram, type Runtime } from "./runtimes.ts";
import { type BenchServer, type ServerKind, startServer } from "./server.ts";
import { milliseconds, whole } from "./table.ts";
import { compareServers, type Summary } from "./throughput.ts";

/**
 * Clients at once, and the answers per second of the pool that this one replaces, in Go with one worker
 * in Janet, on such a machine.
 */
const CONNECTIONS: readonly (readonly [connections: number, target: number])[] = [
  [1, 8000],
  [16, 26_000],
  [64, 25_000],
];

const ENTRIES = 1000;

/** Measures pools. */
export async function benchPool(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const worker = compileWorker(bench.folder);
  const data: (Summary & { runtime: Runtime })[] = [];
  for (const runtime of runtimes) {
    bench.say(`pool on ${runtime}`);
    for (const summary of await poolsOn(bench, runtime, worker)) data.push({ runtime, ...summary });
  }
  return {
    data,
    table: {
      title: "Requests to a pool of one worker",
      columns: [
        "server",
        "connections",
        "answers/s",
        "of bare",
        "p50 ms",
        "p99 ms",
        "CPU µs/answer",
        "of bare, by CPU",
      ],
      rows: data.map((row) => [
        `${row.runtime}: ${row.server}`,
        String(row.connections),
        whole(row.perSecond),
        row.ratio.toFixed(2),
        milliseconds(row.p50),
        milliseconds(row.p99),
        row.cpuUs.toFixed(1),
        row.cpuRatio.toFixed(2),
      ]),
      notes: [
        worker === undefined
          ? "the worker is in TypeScript: there is no C compiler"
          : "the worker is in C",
        "bare is the runtime's own server with a pipe to the same worker, and no more; the worker's " +
        "own processor time is not counted",
        `targets, from the pool in Go that this one replaces: ${
          CONNECTIONS.map(([connections, target]) => `${whole(target)} at ${connections}`).join(
            ", ",
          )
        }`,
      ],
    },
  };
}

async function poolsOn(
  bench: Bench,
  runtime: Runtime,
  compiled: string | undefined,
): Promise<Summary[]> {
  const script = fileURLToPath(new URL("./pool/worker.ts", import.meta.url));
  const worker = compiled === undefined ? [process.execPath, script] : [compiled];
  const kinds: ServerKind[] = [
    { name: "bare", file: "pipe.ts", style: "pure", worker },
    { name: "Alcedo, pool", file: "pool.ts", style: "pure", worker },
  ];
  await using servers = new AsyncDisposableStack();
  const running: BenchServer[] = [];
  for (const kind of kinds) {
    running.push(servers.use(await startServer(runtime, kind, { ...bench, entries: 0 })));
  }
  const requests = { kind: "read", entries: ENTRIES } as const;
  const summaries: Summary[] = [];
  for (const [connections] of CONNECTIONS) {
    summaries.push(...await compareServers(bench, running, requests, connections));
  }
  return summaries;
}

/** The worker as a program, if there is a compiler. */
function compileWorker(folder: string): string | undefined {
  const compiler = findProgram("cc");
  if (compiler === undefined) return undefined;
  const source = fileURLToPath(new URL("./pool/worker.c", import.meta.url));
  const program = join(folder, "worker");
  const { status, stderr } = spawnSync(compiler, ["-O2", "-o", program, source]);
  if (status !== 0) throw new Error(`Cannot compile the worker: ${stderr}`);
  return program;
}
