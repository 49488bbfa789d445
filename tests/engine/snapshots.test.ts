/**
 * Starts from snapshots: they give the model that the whole log gives, look only at what is behind
 * them, and are passed over where they would not.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clock } from "../../adapters/clock.ts";
import type { App } from "../../runtime/app.ts";
import { openEngine } from "../../runtime/engine.ts";
import { AlcedoError } from "../../runtime/errors.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { markPath } from "../../runtime/log/mark.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { listSnapshots, removeUnfinished } from "../../runtime/log/snapshot_file.ts";
import { type MadeSnapshot, makeSnapshot } from "../../runtime/make_snapshot.ts";
import { replay } from "../../runtime/replay.ts";
import { holds } from "../support/property.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import { SURVIVALS } from "../support/simulated_file.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import { anyFormat, append, simulatedDisk, upkeep } from "../support/upkeep.ts";

type Style = "pure" | "in place";
type Model = { numbers: number[] };

const VERSION = "1";
/** For an application that has no version. */
const NONE = "none";
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Keeps all numbers, in order; notes each that it is given; throws on -1, by half. */
function listApp(
  style: Style,
  applied: number[] = [],
  modelVersion: string = VERSION,
): App<Model, number> {
  return {
    ...(modelVersion === NONE ? {} : { modelVersion }),
    initModel: () => ({ numbers: [] }),
    updateModel(model, events) {
      const next = style === "pure" ? { numbers: [...model.numbers] } : model;
      for (const event of events) {
        applied.push(event);
        next.numbers.push(event);
        if (event === -1) throw new Error("minus one");
      }
      return next;
    },
    handleRequest: () => new Response(),
  };
}

function snapshotOf(
  app: App<Model, number>,
  disk: SimulatedDisk,
  isFromScratch = false,
): Promise<MadeSnapshot> {
  return makeSnapshot(app, LOG_PATH, { ...upkeep(disk), clock, isFromScratch });
}

/** The model that a start makes of the log. */
async function modelOf(
  app: App<Model, number>,
  log: EventLog,
  warn: (message: string) => void = assert.fail,
): Promise<number[]> {
  return (await replay(app, log, log.durable, { warn })).model.numbers;
}

const runs = fc.record({
  format: anyFormat,
  style: fc.constantFrom<Style>("pure", "in place"),
  isKilled: fc.boolean(),
  seed: fc.nat(),
  /** Commits, snapshots and starts, one after the other. */
  steps: fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.array(fc.nat(99), { minLength: 1, maxLength: 3 }) },
      { weight: 2, arbitrary: fc.constantFrom("snapshot", "from scratch") },
      { weight: 2, arbitrary: fc.constantFrom("crash", "restart", "close") },
    ),
    { maxLength: 25 },
  ),
});

test("a start from a snapshot gives the model of the whole log, and applies only what follows", async () => {
  await holds(150, runs, async ({ format, style, seed, steps }) => {
    let disk = simulatedDisk(seed);
    let log = await openTestLog({ disk, format });
    const { history } = log;
    const written: number[] = [];
    /** How many events the newest snapshot shows. */
    let shown = 0;
    for (const step of steps) {
      if (typeof step !== "string") {
        await append(log, [step.map(encode)]);
        written.push(...step);
      } else if (step === "snapshot" || step === "from scratch") {
        if (written.length === 0) continue;
        const app = listApp(style);
        const { sequence } = await snapshotOf(app, disk, step === "from scratch");
        assert.equal(sequence, log.durable);
        assert.equal(listSnapshots(LOG_PATH, disk).length, 1);
        shown = written.length;
      } else {
        if (step === "close") await log.close();
        disk = step === "crash" ? disk.crash("nothing") : disk.restart();
        log = await openTestLog({ disk, modelVersion: VERSION, warn: assert.fail });
        assert.equal(log.history, history);
        const applied: number[] = [];
        assert.deepEqual(await modelOf(listApp(style, applied), log), written);
        assert.deepEqual(applied, written.slice(shown));
        // And without it, all is there as well.
        assert.deepEqual(
          await modelOf(listApp(style, [], NONE), log),
          written,
        );
      }
    }
  });
});

test("a snapshot that is stopped at any step leaves a start that has all, and is made again", async () => {
  for (const survival of SURVIVALS) {
    let isDone = false;
    for (let step = 1; !isDone; step++) {
      const disk = simulatedDisk(step);
      const log = await openTestLog({ disk });
      const app = listApp("in place");
      await append(log, [[encode(1)], [encode(2)]]);
      await snapshotOf(app, disk);
      await append(log, [[encode(3)], [encode(4)]]);
      Object.assign(disk.faults, { crashAtStep: disk.steps + step, areNamesUnordered: true });
      await snapshotOf(app, disk).then(() => isDone = true, () => assert.ok(disk.hasCrashed));
      const after = disk.crash(survival);
      const options = { disk: after, modelVersion: VERSION, warn: assert.fail };
      const applied: number[] = [];
      const found = await openTestLog(options);
      assert.deepEqual(await modelOf(listApp("in place", applied), found), [1, 2, 3, 4]);
      assert.deepEqual(applied, applied.length === 0 ? [] : [3, 4]);
      await append(found, [[encode(5)]]);
      // As a server does when it starts.
      removeUnfinished(LOG_PATH, after);
      assert.equal((await snapshotOf(app, after)).sequence, 5);
      const again = await openTestLog({ ...options, disk: after.crash("nothing") });
      assert.deepEqual(await modelOf(app, again), [1, 2, 3, 4, 5]);
    }
  }
});

/** A log of six commits with a snapshot after the fourth, closed. */
async function logWithSnapshot(format: LogFormat): Promise<{ disk: SimulatedDisk; end: number }> {
  const disk = simulatedDisk();
  const log = await openTestLog({ disk, format });
  await append(log, [1, 2, 3, 4].map((number) => [encode(number)]));
  const end = log.durableBytes;
  await snapshotOf(listApp("pure"), disk);
  await append(log, [5, 6].map((number) => [encode(number)]));
  await log.close();
  return { disk, end };
}

test("a start from a snapshot does not look at what the snapshot shows", async () => {
  for (const format of ["plain", "checked"] as const) {
    for (const more of [[], [5, 6]]) {
      const disk = simulatedDisk();
      const writing = await openTestLog({ disk, format });
      const app = listApp("pure");
      // A plain log is known by its last 64 KiB.
      const four = new TextEncoder().encode(`4${" ".repeat(70_000)}`);
      await append(writing, [[encode(1), encode(2)], [encode(3)], [four]]);
      await snapshotOf(app, disk);
      await append(writing, more.map((number) => [encode(number)]));
      await writing.close();
      const content = disk.contentOf(LOG_PATH) ?? assert.fail();
      const at = content.findIndex((byte, i) => byte === 0x32 && content[i - 1] === 1);
      content[at] = 0x39;
      disk.put(LOG_PATH, content);
      const log = await openTestLog({ disk, modelVersion: VERSION, warn: assert.fail });
      assert.deepEqual(await modelOf(app, log), [1, 2, 3, 4, ...more]);
      await log.close();
      if (format === "plain") continue;
      // Who makes a snapshot from scratch looks at all of it, and who has no use for one as well.
      await assert.rejects(snapshotOf(app, disk, true), { code: "log_unreadable" });
      await assert.rejects(openTestLog({ disk }), { code: "log_unreadable" });
      await assert.rejects(openTestLog({ disk, modelVersion: "2" }), { code: "log_unreadable" });
    }
  }
});

interface Outcome {
  readonly refused?: string;
  readonly numbers?: readonly number[];
  readonly history?: string;
  readonly size?: number | undefined;
}

/** What a start makes of this log and mark, beside the snapshot. */
async function outcomeOf(
  whole: SimulatedDisk,
  files: { log: Uint8Array; mark: Uint8Array | undefined },
  modelVersion: string | undefined,
): Promise<Outcome> {
  const disk = simulatedDisk();
  for (const path of whole.paths) disk.put(path, whole.contentOf(path) ?? assert.fail());
  disk.put(LOG_PATH, files.log);
  if (files.mark === undefined) disk.remove(markPath(LOG_PATH));
  try {
    const log = await openTestLog({ disk, modelVersion });
    const numbers = await modelOf(listApp("pure", [], modelVersion ?? NONE), log, () => {});
    return { numbers, history: log.history, size: disk.contentOf(LOG_PATH)?.length };
  } catch (error) {
    assert.ok(error instanceof AlcedoError, String(error));
    return { refused: error.message };
  }
}

test("a start from a snapshot finds behind it what a start from the beginning finds", async () => {
  for (const format of ["plain", "checked"] as const) {
    const { disk, end } = await logWithSnapshot(format);
    const log = disk.contentOf(LOG_PATH) ?? assert.fail();
    const mark = disk.contentOf(markPath(LOG_PATH)) ?? assert.fail();
    const damaged: Uint8Array[] = [log];
    for (let size = end; size < log.length; size++) {
      damaged.push(log.slice(0, size));
      const zeros = log.slice();
      zeros.fill(0, size);
      damaged.push(zeros);
    }
    for (let bit = 8 * end; bit < 8 * log.length; bit += 7) {
      const flipped = log.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ 1 << (bit & 7);
      damaged.push(flipped);
    }
    for (const log of damaged) {
      for (const files of [{ log, mark }, { log, mark: undefined }]) {
        // A plain log without a mark has no history to keep.
        const expected = await outcomeOf(disk, files, undefined);
        assert.deepEqual(await outcomeOf(disk, files, VERSION), expected);
      }
    }
  }
});

test("an in-place model is built again from the snapshot", async () => {
  const applied: number[] = [];
  const app = listApp("in place", applied);
  const disk = simulatedDisk();
  const log = await openTestLog({ disk, clock });
  await append(log, [1, 2].map((number) => [encode(number)]));
  await snapshotOf(listApp("in place"), disk);
  await append(log, [[encode(3)]]);
  const engine = await openEngine(app, { log, clock, report: () => {}, warn: () => {} });
  assert.deepEqual(applied.splice(0), [3]);
  await assert.rejects(engine.write((_, { saveEvent }) => saveEvent(-1)), /minus one/);
  assert.deepEqual(await engine.read((model) => [...model.numbers]), [1, 2, 3]);
  assert.deepEqual(applied, [-1, 3]);
  await engine.close();
});

test("a snapshot that cannot be decoded is passed over with a warning", async () => {
  const { disk } = await logWithSnapshot("checked");
  const modelCodec = {
    encode: () => new Uint8Array(1),
    decode: () => {
      throw new TypeError("Cannot decode model: it is of yesterday");
    },
  };
  const log = await openTestLog({ disk, modelVersion: VERSION });
  const warnings: string[] = [];
  const app = { ...listApp("pure"), modelCodec };
  assert.deepEqual(await modelOf(app, log, (it) => warnings.push(it)), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(warnings, [
    'The snapshot of "db.events" after 4 commits is passed over, and all of the log is replayed: ' +
    "Cannot decode model: it is of yesterday",
  ]);
});

test("a snapshot of another version is passed over with a warning", async () => {
  const { disk } = await logWithSnapshot("checked");
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const log = await openTestLog({ disk, modelVersion: "2", warn });
  const applied: number[] = [];
  await modelOf(listApp("pure", applied, "2"), log, warn);
  assert.deepEqual(applied, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(warnings, [
    'The snapshot "db.events.snapshot-0000000000000004" is passed over: its model has version "1", ' +
    `and the application's has "2". An older one is taken, or the whole log is replayed.`,
  ]);
});

test("a snapshot that shows what a replay leaves out, or goes beyond, is not used", async () => {
  const { disk } = await logWithSnapshot("checked");
  const log = await openTestLog({ disk, modelVersion: VERSION });
  const app = listApp("pure");
  const warn = assert.fail;
  const skipped = await replay(app, log, 6, { warn, onBadEvent: "skip", skipped: new Set([2]) });
  assert.deepEqual(skipped.model.numbers, [1, 3, 4, 5, 6]);
  assert.deepEqual((await replay(app, log, 3, { warn })).model.numbers, [1, 2, 3]);
  const behind = await replay(app, log, 6, { warn, onBadEvent: "skip", skipped: new Set([5]) });
  assert.deepEqual(behind.model.numbers, [1, 2, 3, 4, 6]);
});

test("makeSnapshot refuses what has no version, no commits, or a bad event", async () => {
  const disk = simulatedDisk();
  const log = await openTestLog({ disk });
  const app = listApp("pure");
  await assert.rejects(snapshotOf(app, disk), {
    code: "log_refused",
    message: 'Cannot make snapshot of log "db.events": it has no commits',
  });
  await assert.rejects(snapshotOf(listApp("pure", [], NONE), disk), {
    code: "bad_application",
    message: /^Cannot make snapshot of "db.events": the application has no modelVersion;/,
  });
  await append(log, [[encode(-1)]]);
  await assert.rejects(snapshotOf(app, disk), { code: "bad_event" });
  assert.deepEqual(listSnapshots(LOG_PATH, disk), []);
});
