/**
 * Writes: events of 100 bytes, each answer after its event is on disk, on Alcedo, against the
 * bare server that reads the body and answers; and the checked log against the plain one.
 */

import assert from "node:assert/strict";
import { EVENT_BYTES } from "./application.ts";
import type { Bench, Findings } from "./bench.ts";
import type { Runtime } from "./runtimes.ts";
import { BARE, type BenchServer, IN_PLACE, PLAIN, PURE, startServer } from "./server.ts";
import { milliseconds, whole } from "./table.ts";
import { loadInTurns, summarize, type Summary } from "./throughput.ts";

interface Row extends Summary {
  readonly runtime: Runtime;
  /** Its speed, and its processor time, against the same with a plain log. */
  readonly ofPlain?: number;
  readonly ofPlainByCpu?: number;
}

/** Measures writes. */
export async function benchWrites(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`writes on ${runtime}`);
    data.push(...await writesOn(bench, runtime));
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
        "of plain",
        "p50 ms",
        "p99 ms",
        "CPU µs/answer",
        "of bare, by CPU",
        "of plain, by CPU",
        "syncs/commit",
      ],
      rows: data.map((row) => [
        `${row.runtime}: ${row.server}`,
        String(row.connections),
        whole(row.perSecond),
        row.ratio.toFixed(2),
        row.ofPlain?.toFixed(2) ?? "",
        milliseconds(row.p50),
        milliseconds(row.p99),
        row.cpuUs.toFixed(1),
        row.cpuRatio.toFixed(2),
        row.ofPlainByCpu?.toFixed(2) ?? "",
        row.flushesPerWrite === 0 ? "" : row.flushesPerWrite.toFixed(3),
      ]),
      notes: [
        "targets: 0.80 of bare at 256 connections, 0.50 at 64; bare keeps nothing",
        "target: 0.95 of plain at 64 and 256; all other logs are checked",
        "every write that was answered was found in the log after the server was killed",
      ],
    },
  };
}

async function writesOn(bench: Bench, runtime: Runtime): Promise<Row[]> {
  await using servers = new AsyncDisposableStack();
  const running: BenchServer[] = [];
  for (const kind of [BARE, PURE, IN_PLACE, PLAIN]) {
    running.push(servers.use(await startServer(runtime, kind, { ...bench, entries: 0 })));
  }
  const rows: Row[] = [];
  for (const connections of bench.options.connections) {
    const requests = { kind: "write", bytes: EVENT_BYTES } as const;
    const rounds = await loadInTurns(bench, running, requests, connections);
    const [bare = [], , , plain = []] = rounds;
    for (const [i, { kind }] of running.entries()) {
      const own = rounds[i] ?? [];
      const { ratio: ofPlain, cpuRatio: ofPlainByCpu } = summarize(own, plain);
      rows.push({
        runtime,
        server: kind.name,
        connections,
        ...summarize(own, bare),
        ...(kind === PURE && { ofPlain, ofPlainByCpu }),
      });
    }
  }
  for (const server of running) await checkWrites(server);
  return rows;
}

/** Kills a server, and looks whether what it said to be durable is what it kept. */
export async function checkWrites(server: BenchServer): Promise<void> {
  const { writes } = await server.report();
  const events = await server.end();
  if (events !== undefined) assert.ok(events >= writes, `${events} events of ${writes} writes`);
}
