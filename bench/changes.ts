/**
 * Following the log: ten thousand consumers that resume from old positions at once, against one
 * plain scan of the same log: what they read, how long they take, what memory they need.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { bytes, openFileLog } from "alcedo";
import type { Bench, Findings } from "./bench.ts";
import type { FollowOutcome } from "./changes/follow.ts";
import { type Runtime, start } from "./runtimes.ts";
import { median } from "./statistics.ts";
import { whole } from "./table.ts";

/** What is in the log. Larger commits, so that not all time goes into handing them out. */
const EVENT_BYTES = 16_000;
/** Commits of a flush. */
const FLUSH_COMMITS = 4;

interface Size {
  readonly commits: number;
  readonly consumers: number;
}

const FULL: Size = { commits: 3200, consumers: 10_000 };
const SMALL: Size = { commits: 80, consumers: 200 };

interface Row {
  readonly runtime: Runtime;
  readonly perSecond: number;
  /** Bytes that all consumers together read, divided by those of the log. */
  readonly ratio: number;
  readonly oneMs: number;
  readonly scanMs: number;
  readonly peakBytesEach: number;
}

/** Measures following. */
export async function benchChanges(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const size = bench.options.entries < 1e6 ? SMALL : FULL;
  const path = join(bench.folder, "changes.events");
  await writeLog(path, size.commits);
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`changes on ${runtime}`);
    data.push(await followOn(bench, runtime, path, size));
  }
  const { commits, consumers } = size;
  return {
    data,
    table: {
      title: `${whole(consumers)} consumers resume anywhere in ${whole(commits)} commits of ` +
        `${whole(EVENT_BYTES)} bytes`,
      columns: [
        "runtime",
        "passes over the log",
        "commits/s handed out",
        "one consumer, ms",
        "plain scan, ms",
        "peak KB a consumer",
      ],
      rows: data.map((row) => [
        row.runtime,
        row.ratio.toFixed(2),
        whole(row.perSecond),
        row.oneMs.toFixed(1),
        row.scanMs.toFixed(1),
        (row.peakBytesEach / 1000).toFixed(1),
      ]),
      notes: [
        "target: about one pass",
        "one consumer follows from the first commit to the last; a plain scan is `log.read`, which " +
        "decodes nothing",
        "each consumer got each commit from its position on, once and in order",
      ],
    },
  };
}

async function writeLog(path: string, count: number): Promise<void> {
  const log = await openFileLog(path);
  const event = bytes.encode(new Uint8Array(EVENT_BYTES).fill(0x20));
  // The size of such an event is written as two bytes.
  const commit = { events: [event], bytes: EVENT_BYTES + 2 };
  const commits = Array.from({ length: FLUSH_COMMITS }, () => commit);
  for (let at = 0; at < count; at += FLUSH_COMMITS) await log.append(commits);
  await log.close();
}

async function followOn(
  { options }: Bench,
  runtime: Runtime,
  path: string,
  { commits, consumers }: Size,
): Promise<Row> {
  const outcomes: FollowOutcome[] = [];
  // A round is long enough to be its own warming up.
  for (let round = 0; round < Math.min(3, options.rounds); round++) {
    const running = start(runtime, "changes/follow.ts", [path, String(consumers)]);
    try {
      outcomes.push(JSON.parse(await running.line()) as FollowOutcome);
    } finally {
      await running.kill();
    }
  }
  for (const { commitsInLog, given, expected } of outcomes) {
    assert.equal(commitsInLog, commits);
    assert.equal(given, expected, "commits that the consumers got");
  }
  const of = (value: (outcome: FollowOutcome) => number) => median(outcomes.map(value));
  return {
    runtime,
    perSecond: of(({ given, ms }) => given / ms * 1000),
    ratio: of(({ bytesRead, logBytes }) => bytesRead / logBytes),
    oneMs: of(({ oneMs }) => oneMs),
    scanMs: of(({ scanMs }) => scanMs),
    peakBytesEach: of(({ peakBytes }) => peakBytes / consumers),
  };
}
