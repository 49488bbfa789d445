/**
 * Isolation: what a slow write handler does to reads, and a slow upload to writes.
 */

import assert from "node:assert/strict";
import { EVENT_BYTES, SLOW_MS } from "./application.ts";
import type { Bench, Findings } from "./bench.ts";
import type { RequestPlan, SidePlan } from "./load/plan.ts";
import type { Runtime } from "./runtimes.ts";
import { BARE, IN_PLACE, PURE, type ServerKind, startServer } from "./server.ts";
import { alternate, median, medianRatio } from "./statistics.ts";
import { milliseconds } from "./table.ts";
import { measureRound } from "./throughput.ts";

/** Few: at the limit of a server its queue is all that a percentile shows. */
const CONNECTIONS = 4;

interface Case {
  readonly name: string;
  readonly requests: RequestPlan;
  readonly beside: SidePlan;
}

interface Row {
  readonly runtime: Runtime;
  readonly name: string;
  readonly server: string;
  readonly alone: { readonly p50: number; readonly p99: number };
  readonly beside: { readonly p50: number; readonly p99: number };
  /** The p99 beside it, divided by that alone. */
  readonly ratio: number;
}

/** Measures isolation. */
export async function benchIsolation(
  bench: Bench,
  runtimes: readonly Runtime[],
): Promise<Findings> {
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`isolation on ${runtime}`);
    for (const kind of [BARE, PURE, IN_PLACE]) {
      data.push(...await isolationOf(bench, runtime, kind));
    }
  }
  return {
    data,
    table: {
      title: `Isolation: the slow and the others, ${CONNECTIONS} connections`,
      columns: [
        "server",
        "what",
        "p50 ms alone",
        "p50 ms beside",
        "p99 ms alone",
        "p99 ms beside",
        "p99 beside/alone",
      ],
      rows: data.map((row) => [
        `${row.runtime}: ${row.server}`,
        row.name,
        milliseconds(row.alone.p50),
        milliseconds(row.beside.p50),
        milliseconds(row.alone.p99),
        milliseconds(row.beside.p99),
        row.ratio.toFixed(2),
      ]),
      notes: [
        `slow write: a handler of ${SLOW_MS} ms runs all the time, another one waits for it`,
        "slow upload: a client sends its body byte by byte, all the time",
        "target: about 1; bare shows how much of it is noise, and the work beside it",
      ],
    },
  };
}

async function isolationOf(bench: Bench, runtime: Runtime, kind: ServerKind): Promise<Row[]> {
  const { options } = bench;
  const entries = Math.min(10_000, options.entries);
  const cases: Case[] = [
    {
      name: "reads, slow write",
      requests: { kind: "read", entries },
      beside: { kind: "slow writes", connections: 2 },
    },
    {
      name: "writes, slow upload",
      requests: { kind: "write", bytes: EVENT_BYTES },
      // One is under way all the time: each takes half a round.
      beside: { kind: "slow upload", bytes: EVENT_BYTES, byteMs: options.ms / (2 * EVENT_BYTES) },
    },
  ];
  await using server = await startServer(runtime, kind, { ...bench, entries });
  const rows: Row[] = [];
  for (const { name, requests, beside } of cases) {
    const plan = { port: server.port, connections: CONNECTIONS, requests };
    if (options.warmUpMs > 0) await measureRound(bench, server, { ...plan, ms: options.warmUpMs });
    const [alone = [], together = []] = await alternate(
      [undefined, beside],
      options.rounds,
      async (beside) => {
        const round = await measureRound(
          { ...bench, client: "own" },
          server,
          { ...plan, ms: options.ms, beside },
        );
        assert.ok(beside === undefined || round.beside > 0, "nothing slow was answered");
        return round;
      },
    );
    const medians = (rounds: typeof alone) => ({
      p50: median(rounds.map((round) => round.p50)),
      p99: median(rounds.map((round) => round.p99)),
    });
    rows.push({
      runtime,
      name,
      server: kind.name,
      alone: medians(alone),
      beside: medians(together),
      ratio: medianRatio(together, alone, (round) => round.p99),
    });
  }
  return rows;
}
