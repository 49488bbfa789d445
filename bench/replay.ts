/**
 * Replay: how long Alcedo takes from a log of millions of events to its model, against a bare
 * loop over the same bytes; from a checked log against a plain one; and how much memory it takes.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Bench, Findings } from "./bench.ts";
import { CHANGE_BYTES, type ChangesLog, writeChanges } from "./replay/events.ts";
import type { Outcome } from "./replay/outcome.ts";
import { type Runtime, start } from "./runtimes.ts";
import { alternate, median, medianRatio } from "./statistics.ts";
import { whole } from "./table.ts";

interface Replayer {
  readonly name: string;
  readonly file: string;
  readonly format: ChangesLog["format"];
  readonly args: readonly string[];
}

const REPLAYERS: readonly Replayer[] = [
  { name: "loop, parsing each", file: "loop.ts", format: "plain", args: ["each"] },
  { name: "loop, parsing batches", file: "loop.ts", format: "plain", args: ["batch"] },
  { name: "Alcedo, plain", file: "alcedo.ts", format: "plain", args: [] },
  { name: "Alcedo, checked", file: "alcedo.ts", format: "checked", args: [] },
];
/** Only its memory is looked at. */
const MODEL = "model.ts";

interface Row {
  readonly runtime: Runtime;
  readonly name: string;
  readonly ms: number;
  readonly openMs: number;
  readonly perSecond: number;
  /** Its speed, divided by that of each loop. */
  readonly ofEach: number;
  readonly ofBatch: number;
  /** Its speed, divided by that of Alcedo with the plain log: whole, and without opening it. */
  readonly ofPlain: number;
  readonly ofPlainReplay: number;
  /** The same by the processor time of the process, its start included. */
  readonly ofPlainByCpu: number;
  readonly peakBytes: number;
  /** What of that the model alone does not take. */
  readonly aboveModelBytes: number;
}

/** Measures replay. */
export async function benchReplay(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const { events, entries } = bench.options;
  for (const format of ["plain", "checked"] as const) {
    bench.say(`writing ${whole(events)} events, ${format}`);
    const path = pathOf(bench, format);
    await writeChanges({ path, format, changes: events, accounts: entries });
  }
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`replay on ${runtime}`);
    data.push(...await replayOn(bench, runtime));
  }
  return {
    data,
    table: {
      title: `Replay of ${whole(events)} events of ${CHANGE_BYTES} bytes into ` +
        `${whole(entries)} entries`,
      columns: [
        "program",
        "ms",
        "of these to open",
        "events/s",
        "of the loop, each",
        "of the loop, batches",
        "of plain",
        "of plain, opened",
        "of plain, by CPU",
        "peak MB",
        "above the model",
      ],
      rows: data.map((row) => [
        `${row.runtime}: ${row.name}`,
        whole(row.ms),
        whole(row.openMs),
        whole(row.perSecond),
        row.ofEach.toFixed(2),
        row.ofBatch.toFixed(2),
        row.ofPlain.toFixed(2),
        row.ofPlainReplay.toFixed(2),
        row.ofPlainByCpu.toFixed(2),
        megabytes(row.peakBytes),
        megabytes(row.aboveModelBytes),
      ]),
      notes: [
        "targets: 0.90 of the loop; checked 0.90 of plain, opened; memory: the model and 64 MB",
        "of plain, opened: what comes after the log was opened, alone",
        "above the model: the peak, less that of a process that only makes such a model",
        "all of them ended with the same model",
      ],
    },
  };
}

async function replayOn(bench: Bench, runtime: Runtime): Promise<Row[]> {
  const replay = ({ file, format, args }: Replayer): Promise<Outcome> =>
    run(runtime, file, [pathOf(bench, format), ...args]);
  const model = await run(runtime, MODEL, [String(bench.options.entries)]);
  const rounds = await alternate(REPLAYERS, bench.options.rounds, replay);
  const [each = [], batch = [], plain = []] = rounds;
  const hashes = new Set(rounds.flat().map(({ hash }) => hash));
  assert.equal(hashes.size, 1, "the replays end with different models");
  const speed = ({ ms }: Outcome): number => 1 / ms;
  const cpuSpeed = ({ cpuMs }: Outcome): number => 1 / cpuMs;
  const replaySpeed = ({ ms, openMs }: Outcome): number => 1 / (ms - openMs);
  return REPLAYERS.map(({ name }, i) => {
    const own = rounds[i] ?? [];
    const of = (key: keyof Outcome) => median(own.map((outcome) => outcome[key]));
    return {
      runtime,
      name,
      ms: of("ms"),
      openMs: of("openMs"),
      perSecond: bench.options.events / of("ms") * 1000,
      ofEach: medianRatio(own, each, speed),
      ofBatch: medianRatio(own, batch, speed),
      ofPlain: medianRatio(own, plain, speed),
      ofPlainReplay: medianRatio(own, plain, replaySpeed),
      ofPlainByCpu: medianRatio(own, plain, cpuSpeed),
      peakBytes: of("peakBytes"),
      aboveModelBytes: of("peakBytes") - model.peakBytes,
    };
  });
}

function pathOf({ folder }: Bench, format: ChangesLog["format"]): string {
  return join(folder, `${format}.events`);
}

async function run(runtime: Runtime, file: string, args: readonly string[]): Promise<Outcome> {
  const running = start(runtime, `replay/${file}`, args);
  try {
    return JSON.parse(await running.line()) as Outcome;
  } finally {
    await running.kill();
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
