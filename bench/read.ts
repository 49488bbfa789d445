/**
 * Reads: a handler that answers from a model of a million entries, on Alcedo, against the same
 * handler on the bare server.
 */

import assert from "node:assert/strict";
import { bodyOf, keyOf } from "./application.ts";
import type { Bench, Findings } from "./bench.ts";
import { entriesToRead } from "./load/plan.ts";
import type { Runtime } from "./runtimes.ts";
import {
  BARE,
  type BenchServer,
  IN_PLACE,
  NODE_HTTP,
  PURE,
  type ServerKind,
  startServer,
  WITH_METRICS,
} from "./server.ts";
import { milliseconds, whole } from "./table.ts";
import { compareServers, type Summary } from "./throughput.ts";

const CONNECTIONS = 64;

/** What the answers of bare servers are to be reached by. */
const TARGET = 0.95;
const TARGET_WITH_METRICS = 0.85;

/** Measures reads. */
export async function benchReads(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const data: (Summary & { runtime: Runtime })[] = [];
  for (const runtime of runtimes) {
    bench.say(`reads on ${runtime}`);
    for (const summary of await readsOn(bench, runtime)) data.push({ runtime, ...summary });
  }
  return {
    data,
    table: {
      title: `Reads from a model of ${whole(bench.options.entries)} entries, ` +
        `${CONNECTIONS} connections`,
      columns: [
        "server",
        "answers/s",
        "of bare",
        "p50 ms",
        "p99 ms",
        "CPU µs/answer",
        "of bare, by CPU",
      ],
      rows: data.map((row) => [
        `${row.runtime}: ${row.server}`,
        whole(row.perSecond),
        row.ratio.toFixed(2),
        milliseconds(row.p50),
        milliseconds(row.p99),
        row.cpuUs.toFixed(1),
        row.cpuRatio.toFixed(2),
      ]),
      notes: [
        `target: ${TARGET} of bare, with metrics ${TARGET_WITH_METRICS}; bare on node is ` +
        `@hono/node-server`,
        "of bare, by CPU: the server's processor time, which a busy client cannot hide",
      ],
    },
  };
}

async function readsOn(bench: Bench, runtime: Runtime): Promise<Summary[]> {
  const { entries } = bench.options;
  await using servers = new AsyncDisposableStack();
  const kinds: ServerKind[] = [BARE, PURE, IN_PLACE, WITH_METRICS];
  if (runtime === "node") kinds.push(NODE_HTTP);
  const running: BenchServer[] = [];
  for (const kind of kinds) {
    running.push(servers.use(await startServer(runtime, kind, { ...bench, entries })));
  }
  for (const server of running) await checkAnswers(server, entries);
  const summaries = await compareServers(bench, running, { kind: "read", entries }, CONNECTIONS);
  for (const server of running) await checkAnswers(server, entries);
  return summaries;
}

/** Looks at some answers in full: wrk looks at their statuses alone. */
async function checkAnswers(server: BenchServer, entries: number): Promise<void> {
  for (const entry of entriesToRead(entries).slice(0, 100)) {
    const response = await fetch(`http://127.0.0.1:${server.port}/${keyOf(entry)}`);
    assert.equal(await response.text(), bodyOf(entry), server.kind.name);
  }
}
