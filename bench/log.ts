/**
 * The log of the writes: bytes for each event, and syncs for each commit, in both formats.
 */

import { EVENT_BYTES } from "./application.ts";
import type { Bench, Findings } from "./bench.ts";
import type { Runtime } from "./runtimes.ts";
import { type BenchServer, PLAIN, PURE, startServer } from "./server.ts";
import { loadInTurns, summarize } from "./throughput.ts";
import { checkWrites } from "./write.ts";

interface Row {
  readonly runtime: Runtime;
  readonly format: string;
  readonly connections: number;
  readonly bytesPerEvent: number;
  readonly syncsPerCommit: number;
}

/** Measures what is written to a log. */
export async function benchLog(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`log on ${runtime}`);
    data.push(...await logOn(bench, runtime));
  }
  return {
    data,
    table: {
      title: `Log of events of ${EVENT_BYTES} bytes`,
      columns: ["log", "connections", "bytes/event", "syncs/commit"],
      rows: data.map((row) => [
        `${row.runtime}: ${row.format}`,
        String(row.connections),
        row.bytesPerEvent.toFixed(1),
        row.syncsPerCommit.toFixed(3),
      ]),
      notes: ["one frame for each sync: what its head and sums take, the commits in it share"],
    },
  };
}

async function logOn(bench: Bench, runtime: Runtime): Promise<Row[]> {
  await using servers = new AsyncDisposableStack();
  const running: BenchServer[] = [];
  for (const kind of [PURE, PLAIN]) {
    running.push(servers.use(await startServer(runtime, kind, { ...bench, entries: 0 })));
  }
  const rows: Row[] = [];
  for (const connections of bench.options.connections) {
    const requests = { kind: "write", bytes: EVENT_BYTES } as const;
    const rounds = await loadInTurns(bench, running, requests, connections);
    for (const [i, { kind }] of running.entries()) {
      const own = rounds[i] ?? [];
      const { logBytesPerWrite, flushesPerWrite } = summarize(own, own);
      rows.push({
        runtime,
        format: kind.format ?? "checked",
        connections,
        bytesPerEvent: logBytesPerWrite,
        syncsPerCommit: flushesPerWrite,
      });
    }
  }
  for (const server of running) await checkWrites(server);
  return rows;
}
