/**
 * Snapshots: how long a start takes from one, against replaying the events that made its model; and
 * what making one does to the reads of the server meanwhile.
 */

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Bench, Findings } from "./bench.ts";
import { runLoad } from "./load/run.ts";
import { writeChanges } from "./replay/events.ts";
import { type Running, type Runtime, start } from "./runtimes.ts";
import type { SnapshotsMade } from "./snapshot/serve.ts";
import type { StartOutcome } from "./snapshot/start.ts";
import { alternate, median, medianRatio } from "./statistics.ts";
import { milliseconds, whole } from "./table.ts";

/** Few: at the limit of a server its queue is all that a percentile shows. */
const CONNECTIONS = 4;

/** Each takes its time: this many rounds are enough to see. */
const ROUNDS_MAX = 3;

/** Milliseconds for a start from a snapshot of a million entries, to be reached. */
const TARGET_MS = 2000;

interface Row {
  readonly runtime: Runtime;
  /** Of starts. */
  readonly replayMs: number;
  readonly snapshotMs: number;
  /** How many times as fast the snapshot is. */
  readonly ratio: number;
  readonly snapshotBytes: number;
  /** What making one takes from scratch, and from the one before. */
  readonly makeMs: number;
  readonly makeAgainMs: number;
  /** Of reads, in microseconds. */
  readonly alone: { readonly p50: number; readonly p99: number };
  readonly beside: { readonly p50: number; readonly p99: number };
  /** The p99 beside, divided by that alone. */
  readonly p99Ratio: number;
}

/** Measures snapshots. */
export async function benchSnapshots(
  bench: Bench,
  runtimes: readonly Runtime[],
): Promise<Findings> {
  const { entries } = bench.options;
  // Ten for each entry, as a log of some age has.
  const events = 10 * entries;
  const data: Row[] = [];
  let logBytes = 0;
  for (const runtime of runtimes) {
    const path = join(bench.folder, `${runtime}.events`);
    bench.say(`writing ${whole(events)} events`);
    await writeChanges({ path, format: "checked", changes: events, accounts: entries });
    logBytes = statSync(path).size;
    bench.say(`snapshots on ${runtime}`);
    data.push(await snapshotsOn(bench, runtime, path));
  }
  return {
    data,
    table: {
      title: `Snapshots: a model of ${whole(entries)} entries, made by ${whole(events)} events ` +
        `(${whole(logBytes / 1e6)} MB)`,
      columns: [
        "runtime",
        "ms, replay",
        "ms, snapshot",
        "times as fast",
        "MB",
        "s to make",
        "s, from the last",
        "p50 ms alone",
        "p50 ms beside",
        "p99 ms alone",
        "p99 ms beside",
        "p99 beside/alone",
      ],
      rows: data.map((row) => [
        row.runtime,
        whole(row.replayMs),
        whole(row.snapshotMs),
        row.ratio.toFixed(1),
        whole(row.snapshotBytes / 1e6),
        (row.makeMs / 1000).toFixed(1),
        (row.makeAgainMs / 1000).toFixed(1),
        milliseconds(row.alone.p50),
        milliseconds(row.beside.p50),
        milliseconds(row.alone.p99),
        milliseconds(row.beside.p99),
        row.p99Ratio.toFixed(2),
      ]),
      notes: [
        `targets: ${whole(TARGET_MS)} ms from a snapshot of a million entries; p99 beside/alone 2`,
        "ms: from the closed files to the model; what a process takes to start is not counted",
        `p50, p99: of reads, with ${CONNECTIONS} connections; beside: while snapshots are made, one ` +
        "after the other, each by a process of its own",
        "all starts ended with the same model",
      ],
    },
  };
}

async function snapshotsOn(bench: Bench, runtime: Runtime, path: string): Promise<Row> {
  const server = start(runtime, "snapshot/serve.ts", [path]);
  try {
    const port = Number(await server.line());
    const made = await ask(server, "make from scratch");
    const again = await ask(server, "make");
    // Long enough to see all that making one does.
    const ms = Math.max(bench.options.ms, again.ms);
    const reads = await readsOn(bench, server, { port, ms });
    await server.kill();
    return { runtime, ...await startsOn(bench, runtime, path), ...reads, ...sizes(made, again) };
  } finally {
    await server.kill();
  }
}

function sizes(made: SnapshotsMade, again: SnapshotsMade) {
  return { snapshotBytes: made.bytes, makeMs: made.ms, makeAgainMs: again.ms };
}

async function ask(server: Running, line: string): Promise<SnapshotsMade> {
  const made = JSON.parse(await server.ask(line)) as SnapshotsMade;
  assert.equal(made.error, undefined);
  return made;
}

async function readsOn(
  bench: Bench,
  server: Running,
  { port, ms }: { readonly port: number; readonly ms: number },
) {
  const { entries, warmUpMs } = bench.options;
  const rounds = Math.min(ROUNDS_MAX, bench.options.rounds);
  const plan = { port, connections: CONNECTIONS, requests: { kind: "read", entries } } as const;
  const read = async (ms: number) => {
    const result = await runLoad("own", { ...plan, ms }, bench.folder);
    assert.equal(result.wrong, 0, "wrong answers");
    assert.ok(result.answered > 0, "no answers");
    return result;
  };
  if (warmUpMs > 0) await read(warmUpMs);
  const [alone = [], beside = []] = await alternate([false, true], rounds, async (isBeside) => {
    if (isBeside) await ask(server, "start");
    const result = await read(ms);
    // Whatever is being made is finished before reads are alone again.
    if (isBeside) assert.ok((await ask(server, "stop")).count > 0, "no snapshot was made");
    return result;
  });
  const medians = (results: typeof alone) => ({
    p50: median(results.map((result) => result.p50)),
    p99: median(results.map((result) => result.p99)),
  });
  return {
    alone: medians(alone),
    beside: medians(beside),
    p99Ratio: medianRatio(beside, alone, (result) => result.p99),
  };
}

async function startsOn(bench: Bench, runtime: Runtime, path: string) {
  const rounds = Math.min(ROUNDS_MAX, bench.options.rounds);
  const hows = ["replay", "snapshot"] as const;
  const [replays = [], snapshots = []] = await alternate(hows, rounds, async (how) => {
    const running = start(runtime, "snapshot/start.ts", [path, how]);
    try {
      return JSON.parse(await running.line()) as StartOutcome;
    } finally {
      await running.kill();
    }
  });
  assert.equal(
    new Set([...replays, ...snapshots].map(({ hash }) => hash)).size,
    1,
    "models differ",
  );
  assert.ok(snapshots.every(({ snapshot }) => snapshot > 0), "a start used no snapshot");
  return {
    replayMs: median(replays.map(({ ms }) => ms)),
    snapshotMs: median(snapshots.map(({ ms }) => ms)),
    ratio: medianRatio(replays, snapshots, ({ ms }) => ms),
  };
}
