/**
 * How much servers answer under the same load, measured in turns: what the benches of reads
 * and writes share.
 */

import assert from "node:assert/strict";
import type { Bench } from "./bench.ts";
import { runLoad } from "./load/run.ts";
import type { LoadPlan, LoadResult, RequestPlan } from "./load/plan.ts";
import type { BenchServer } from "./server.ts";
import { alternate, median, medianRatio } from "./statistics.ts";

/** What one round has shown of a server. */
export interface Round extends LoadResult {
  readonly perSecond: number;
  /** Processor time of the server, per answer. */
  readonly cpuUs: number;
  /** Appends to the log per write; of other servers 0. */
  readonly flushesPerWrite: number;
  /** What the log grew by, per write; of other servers 0. */
  readonly logBytesPerWrite: number;
}

/** What all rounds have shown of a server, beside those of a control. */
export interface Summary {
  readonly server: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly ratio: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuUs: number;
  /** Processor time of the control per answer, divided by that of this server. */
  readonly cpuRatio: number;
  readonly flushesPerWrite: number;
  readonly logBytesPerWrite: number;
}

/** Loads each server in turns; the first one is the control of all. */
export async function compareServers(
  bench: Bench,
  servers: readonly BenchServer[],
  requests: RequestPlan,
  connections: number,
): Promise<Summary[]> {
  const rounds = await loadInTurns(bench, servers, requests, connections);
  return servers.map((server, i) => ({
    server: server.kind.name,
    connections,
    ...summarize(rounds[i] ?? [], rounds[0] ?? []),
  }));
}

/** Loads each server in turns, once they are warm; returns the rounds of each. */
export async function loadInTurns(
  bench: Bench,
  servers: readonly BenchServer[],
  requests: RequestPlan,
  connections: number,
): Promise<Round[][]> {
  const measure = (server: BenchServer, ms: number): Promise<Round> =>
    measureRound(bench, server, { port: server.port, connections, ms, requests });
  const { warmUpMs, rounds, ms } = bench.options;
  if (warmUpMs > 0) { for (const server of servers) await measure(server, warmUpMs); }
  return await alternate(servers, rounds, (server) => measure(server, ms));
}

/** What the rounds of a server have shown, beside those of a control. */
export function summarize(
  own: readonly Round[],
  controls: readonly Round[],
): Omit<Summary, "server" | "connections"> {
  const of = (key: keyof Round) => median(own.map((round) => round[key]));
  return {
    perSecond: of("perSecond"),
    ratio: medianRatio(own, controls, (round) => round.perSecond),
    p50: of("p50"),
    p99: of("p99"),
    cpuUs: of("cpuUs"),
    cpuRatio: medianRatio(own, controls, (round) => 1 / round.cpuUs),
    flushesPerWrite: of("flushesPerWrite"),
    logBytesPerWrite: of("logBytesPerWrite"),
  };
}

/** Loads a server once, and checks that it did what it answered. */
export async function measureRound(
  bench: Bench,
  server: BenchServer,
  plan: LoadPlan,
): Promise<Round> {
  const before = await server.report();
  const result = await runLoad(bench.client, plan, bench.folder);
  const after = await server.report();
  const writes = after.writes - before.writes;
  const perWrite = (count: number): number => writes === 0 ? 0 : count / writes;
  assert.equal(result.wrong, 0, `${server.kind.name} gave wrong answers`);
  assert.ok(result.answered > 0, `${server.kind.name} gave no answers`);
  if (plan.requests.kind === "write") {
    assert.ok(writes >= result.answered, `${result.answered} writes answered, ${writes} done`);
  }
  return {
    ...result,
    perSecond: result.answered / result.ms * 1000,
    cpuUs: (after.cpuUs - before.cpuUs) / result.answered,
    flushesPerWrite: perWrite(after.flushes - before.flushes),
    logBytesPerWrite: perWrite(after.logBytes - before.logBytes),
  };
}
