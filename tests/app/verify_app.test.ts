/**
 * `verifyApp` finds a log that does not always give the same model, and a snapshot that is not
 * what the log gives; and nothing where all is well.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../../runtime/app.ts";
import { json } from "../../runtime/codec.ts";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { modelCodec } from "../../runtime/model_codec.ts";
import type { ReplayProgress } from "../../runtime/replay.ts";
import { verifyApp } from "../../runtime/verify_app.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { openTestLog } from "../support/test_log.ts";

interface Model {
  total: number;
  names: Map<string, number>;
}
interface Event {
  readonly name: string;
  readonly amount: number;
}

function inPlace(model: Model, events: readonly Event[]): Model {
  for (const { name, amount } of events) {
    model.total += amount;
    model.names.set(name, (model.names.get(name) ?? 0) + amount);
  }
  return model;
}

function pure(model: Model, events: readonly Event[]): Model {
  return inPlace({ total: model.total, names: new Map(model.names) }, events);
}

/** An application that differs from a good one in `parts`. */
function app(parts: Partial<App<Model, Event>> = {}): App<Model, Event> {
  return {
    initModel: () => ({ total: 0, names: new Map() }),
    updateModel: inPlace,
    handleRequest: () => new Response(),
    modelVersion: "1",
    ...parts,
  };
}

/** Two or three events in each of many commits, so that there are several batches. */
const COMMITS = 6000;

function eventsOf(commit: number): Event[] {
  return Array.from({ length: 2 + commit % 2 }, (_, i) => ({
    name: `n${(commit * 7 + i) % 10}`,
    amount: commit + i,
  }));
}

/** A log, in memory or in the checked format, and if `snapshotAt` is given with a snapshot. */
async function logOf(
  commits: number = COMMITS,
  options: { snapshotAt?: number; snapshot?: Uint8Array; isInMemory?: boolean } = {},
): Promise<EventLog> {
  const log = options.isInMemory
    ? memoryLog()
    : await openTestLog({ disk: new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 }) });
  const encoded = Array.from({ length: commits }, (_, i) => {
    const events = eventsOf(i + 1).map((event) => new TextEncoder().encode(JSON.stringify(event)));
    return { events, bytes: events.reduce((sum, event) => sum + sizeInCommit(event), 0) };
  });
  if (commits > 0) await log.append(encoded);
  const { snapshotAt: sequence } = options;
  if (sequence === undefined) return log;
  const model = options.snapshot ?? modelCodec.encode(modelAfter(sequence));
  return Object.assign(log, {
    snapshot: (modelVersion: string) =>
      modelVersion === "1" ? { sequence, time: 0, model } : undefined,
  });
}

function modelAfter(commits: number): Model {
  const events = Array.from({ length: commits }, (_, i) => eventsOf(i + 1)).flat();
  return inPlace({ total: 0, names: new Map() }, events);
}

for (const [style, updateModel] of [["pure", pure], ["in place", inPlace]] as const) {
  test(`verifyApp finds nothing in a good application, ${style}`, async () => {
    const seen: ReplayProgress[] = [];
    const log = await logOf(COMMITS, { snapshotAt: 2500 });
    const onProgress = (progress: ReplayProgress) => void seen.push(progress);
    const found = await verifyApp(app({ updateModel }), log, { onProgress });
    assert.deepEqual(found, { problems: [], sequence: COMMITS, snapshot: 2500 });
    const last = seen.at(-1);
    assert.equal(last?.events, 2 * (COMMITS * 5 / 2));
    assert.equal(last?.bytesTotal, 2 * log.durableBytes);
    assert.ok(seen.every(({ bytes }, i) => bytes >= (seen[i - 1]?.bytes ?? 0)));
  });
}

test("verifyApp finds nothing in an empty log, or where there is no snapshot", async () => {
  const empty = await verifyApp(app(), await logOf(0, { isInMemory: true }));
  assert.deepEqual(empty, { problems: [], sequence: 0, snapshot: undefined });
  const other = app({ modelVersion: "2" });
  const found = await verifyApp(other, await logOf(10, { snapshotAt: 5 }));
  assert.deepEqual(found, { problems: [], sequence: 10, snapshot: undefined });
});

let calls = 0;

/** What an `updateModel` must not look at. */
const OUTSIDE: readonly (readonly [string, () => number])[] = [
  ["the clock", () => Date.now()],
  ["random numbers", () => Math.random()],
  ["a variable of the module", () => calls++],
];

for (const [name, look] of OUTSIDE) {
  test(`verifyApp finds an updateModel that looks at ${name}, however short the log`, async () => {
    const updateModel = (model: Model, events: readonly Event[]) =>
      pure(model, events.map(({ name }) => ({ name, amount: name === "n8" ? look() : 0 })));
    const log = await logOf(3, { isInMemory: true });
    const { problems } = await verifyApp(app({ updateModel }), log);
    assert.deepEqual(problems.map(({ code }) => code), ["not deterministic"]);
    assert.match(
      problems[0]?.message ?? "",
      /^a second replay gave another model: model\.total is \S+ after the one, and \S+ after the other; updateModel must look at nothing but/,
    );
  });
}

test("verifyApp finds batches that differ from their events", async () => {
  const updateModel = (model: Model, events: readonly Event[]) =>
    inPlace(model, events.slice(0, 1));
  const { problems } = await verifyApp(app({ updateModel }), await logOf());
  assert.deepEqual(problems.map(({ code }) => code), ["batch differs"]);
  assert.match(problems[0]?.message ?? "", /: model\.total is \d+ after the one, and \d+ after/);
});

test("verifyApp finds a decodeBatch that differs from decode", async () => {
  const codec = {
    ...json,
    decodeBatch: () => Array<never>(2).fill({ name: "", amount: 1 } as never),
  };
  const { problems } = await verifyApp(app({ codec }), await logOf(1));
  assert.deepEqual(problems.map(({ code }) => code), ["batch differs"]);
});

test("verifyApp names an event that cannot be applied, as a start does", async () => {
  const updateModel = (model: Model, events: readonly Event[]) => {
    if (events.some(({ amount }) => amount === 4444)) throw new RangeError("too much");
    return inPlace(model, events);
  };
  // A start would begin with the snapshot, and not come by the event.
  const log = await logOf(COMMITS, { snapshotAt: 5000 });
  const { problems } = await verifyApp(app({ updateModel }), log);
  assert.deepEqual(problems.map(({ code }) => code), ["bad event"]);
  assert.match(
    problems[0]?.message ?? "",
    /^Cannot apply event 2 of commit 4443 of log "db\.events" .*: too much; its bytes are 7b 22 6e/,
  );
});

test("verifyApp finds an updateModel that throws on some batches alone", async () => {
  for (const isBad of [(count: number) => count > 100, (count: number) => count === 1]) {
    const updateModel = (model: Model, events: readonly Event[]) => {
      if (isBad(events.length)) throw new RangeError("not so many");
      return inPlace(model, events);
    };
    const { problems } = await verifyApp(app({ updateModel }), await logOf());
    assert.deepEqual(problems.map(({ code }) => code), ["batch differs"]);
    assert.match(problems[0]?.message ?? "", /not so many/);
  }
});

test("verifyApp finds a snapshot that is not what the log gives, and where", async () => {
  const model = modelAfter(2500);
  model.names.set("n3", 17);
  const options = { snapshotAt: 2500, snapshot: modelCodec.encode(model) };
  const found = await verifyApp(app(), await logOf(COMMITS, options));
  assert.equal(found.snapshot, 2500);
  assert.deepEqual(found.problems.map(({ code }) => code), ["snapshot differs"]);
  assert.match(
    found.problems[0]?.message ?? "",
    /^the snapshot after commit 2500 is not what a replay gives: model\.names\.get\("n3"\) is 17 there, and \d+ after a replay; give modelVersion another value/,
  );
});

test("verifyApp finds a snapshot that cannot be decoded", async () => {
  const options = { snapshotAt: 3, snapshot: new Uint8Array([255]) };
  const { problems } = await verifyApp(app(), await logOf(5, options));
  assert.deepEqual(problems.map(({ code }) => code), ["snapshot differs"]);
  assert.match(problems[0]?.message ?? "", /^the snapshot after commit 3 cannot be decoded: /);
});

test("verifyApp finds a first model that is shared and changed", async () => {
  const first: Model = { total: 0, names: new Map() };
  const { problems } = await verifyApp(app({ initModel: () => first }), await logOf(5));
  assert.deepEqual(problems.map(({ code }) => code), ["shared first model"]);
});

test("verifyApp passes on that the log is damaged", async () => {
  const log = await logOf(5, { isInMemory: true });
  const damaged = Object.assign(log, {
    // deno-lint-ignore require-yield -- it fails before its first batch
    read: async function* (): AsyncGenerator<never> {
      await Promise.resolve();
      throw new RangeError("damaged");
    },
  });
  await assert.rejects(verifyApp(app(), damaged), /damaged/);
});
