/**
 * Writes: events of 100 bytes, each answer after its event is on disk, on Alcedo, against the
 * bare server that reads the body and answers.
 */

import assert from "node:assert/strict";
import { EVENT_BYTES } from "./application.ts";
import type { Bench, Findings } from "./bench.ts";
import type { Runtime } from "./runtimes.ts";
import { BARE, type BenchServer, IN_PLACE, PURE, startServer } from "./server.ts";
import { milliseconds, whole } from "./table.ts";
import { compareServers, type Summary } from "./throughput.ts";

const CONNECTIONS = [1, 64, 256];

/** Measures writes. */
export async function benchWrites(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const data: (Summary & { runtime: Runtime })[] = [];
  for (const runtime of runtimes) {
    bench.say(`writes on ${runtime}`);
    for (const summary of await writesOn(bench, runtime)) data.push({ runtime, ...summary });
  }
  return {
    data,
    table: {
      title: `Durable writes of ${EVENT_BYTES} bytes`,
      columns: [
        "server",
        "connections",
        "answers/s",
        "of bare",
        "p50 ms",
        "p99 ms",
        "CPU µs/answer",
        "of bare, by CPU",
        "syncs/commit",
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
        row.flushesPerWrite === 0 ? "" : row.flushesPerWrite.toFixed(3),
      ]),
      notes: [
        "targets: 0.80 of bare at 256 connections, 0.50 at 64; bare keeps nothing",
        "every write that was answered was found in the log after the server was killed",
      ],
    },
  };
}

async function writesOn(bench: Bench, runtime: Runtime): Promise<Summary[]> {
  await using servers = new AsyncDisposableStack();
  const running: BenchServer[] = [];
  for (const kind of [BARE, PURE, IN_PLACE]) {
    running.push(servers.use(await startServer(runtime, kind, { ...bench, entries: 0 })));
  }
  const summaries: Summary[] = [];
  for (const connections of CONNECTIONS) {
    const requests = { kind: "write", bytes: EVENT_BYTES } as const;
    summaries.push(...await compareServers(bench, running, requests, connections));
  }
  for (const server of running) await checkLog(server);
  return summaries;
}

/** Kills a server, and looks whether what it said to be durable is in its log. */
async function checkLog(server: BenchServer): Promise<void> {
  const { writes } = await server.report();
  const events = await server.end();
  if (events !== undefined) assert.ok(events >= writes, `${events} events of ${writes} writes`);
}
