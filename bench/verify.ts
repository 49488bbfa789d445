/**
 * Verifying: how fast `events verify` looks at every byte of a log.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Bench, Findings } from "./bench.ts";
import { type ChangesLog, writeChanges } from "./replay/events.ts";
import { type Runtime, start } from "./runtimes.ts";
import { alternate, median } from "./statistics.ts";
import { whole } from "./table.ts";
import type { VerifyOutcome } from "./verify/library.ts";

const FORMATS = ["checked", "plain"] as const;

/** MB/s to be reached with a checked log. */
const TARGET = 700;

interface Row {
  readonly runtime: Runtime;
  readonly format: ChangesLog["format"];
  readonly ms: number;
  readonly megabytes: number;
  readonly megabytesPerSecond: number;
  /** The same by processor time. */
  readonly megabytesPerCpuSecond: number;
}

/** Measures verifying. */
export async function benchVerify(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const { events, entries } = bench.options;
  for (const format of FORMATS) {
    bench.say(`writing ${whole(events)} events, ${format}`);
    const path = pathOf(bench, format);
    await writeChanges({ path, format, changes: events, accounts: entries });
  }
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`verify on ${runtime}`);
    data.push(...await verifyOn(bench, runtime));
  }
  return {
    data,
    table: {
      title: `Verifying a log of ${whole(events)} events`,
      columns: ["log", "MB", "ms", "MB/s", "MB/s of CPU"],
      rows: data.map((row) => [
        `${row.runtime}: ${row.format}`,
        whole(row.megabytes),
        whole(row.ms),
        whole(row.megabytesPerSecond),
        whole(row.megabytesPerCpuSecond),
      ]),
      notes: [
        `target: ${TARGET} MB/s for the checked log; the plain one has no sums`,
        "the file is in the machine's memory; what a process takes to start is not counted",
      ],
    },
  };
}

async function verifyOn(bench: Bench, runtime: Runtime): Promise<Row[]> {
  const rounds = await alternate(FORMATS, bench.options.rounds, async (format) => {
    const running = start(runtime, "verify/library.ts", [pathOf(bench, format)]);
    try {
      const outcome = JSON.parse(await running.line()) as VerifyOutcome;
      assert.equal(outcome.events, bench.options.events, "events that were verified");
      return outcome;
    } finally {
      await running.kill();
    }
  });
  return FORMATS.map((format, i) => {
    const own = rounds[i] ?? [];
    const of = (key: keyof VerifyOutcome) => median(own.map((outcome) => outcome[key]));
    const megabytes = of("bytes") / 1e6;
    return {
      runtime,
      format,
      ms: of("ms"),
      megabytes,
      megabytesPerSecond: megabytes / of("ms") * 1000,
      megabytesPerCpuSecond: megabytes / of("cpuMs") * 1000,
    };
  });
}

function pathOf({ folder }: Bench, format: ChangesLog["format"]): string {
  return join(folder, `${format}.events`);
}
