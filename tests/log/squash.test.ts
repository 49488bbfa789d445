/**
 * Giving up a log's history: the model stays, the old log is kept aside.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { App } from "../../runtime/app.ts";
import { replay } from "../../runtime/replay.ts";
import { squashLog } from "../../runtime/squash.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import {
  anyFormat,
  append,
  openWhole,
  simulatedDisk,
  upkeep,
  writeLog,
} from "../support/upkeep.ts";

type Counts = Map<string, number>;
interface Added {
  readonly name: string;
  readonly add: number;
}

/** Counts by name. Names that were given up leave nothing but their events. */
const counts: App<Counts, Added> = {
  initModel: () => new Map(),
  updateModel(model, events) {
    for (const { name, add } of events) {
      const sum = (model.get(name) ?? 0) + add;
      if (sum === 0) model.delete(name);
      else model.set(name, sum);
    }
    return model;
  },
  *eventsFrom(model) {
    for (const [name, add] of model) yield { name, add };
  },
  handleRequest: () => new Response(),
};

const anyEvents = fc.array(fc.record({ name: fc.constantFrom("a", "b", "c"), add: fc.nat(3) }));

const encode = (event: Added) => new TextEncoder().encode(JSON.stringify(event));

function squash(disk: SimulatedDisk, app: App<Counts, Added>) {
  return squashLog(app, LOG_PATH, { ...upkeep(disk), clock: new SimulatedClock() });
}

async function modelOf(disk: SimulatedDisk, path: string = LOG_PATH): Promise<Counts> {
  const log = await openWhole(disk, path);
  return (await replay(counts, log, log.durable, { warn: assert.fail })).model;
}

test("squashing keeps the model, and puts the old log aside", async () => {
  await holds(20, fc.tuple(anyFormat, anyEvents), async ([format, events]) => {
    const disk = simulatedDisk();
    await writeLog(disk, format, events.map((event) => [encode(event)]));
    const { history } = await openWhole(disk);
    const before = disk.contentOf(LOG_PATH);
    const model = await modelOf(disk);
    const squashed = await squash(disk, counts);
    assert.deepEqual(await modelOf(disk), model);
    assert.equal(squashed.format, format);
    assert.equal(squashed.sequenceBefore, events.length);
    assert.equal(squashed.events, model.size);
    assert.deepEqual(disk.contentOf(squashed.old), before);
    assert.deepEqual(await modelOf(disk, squashed.old), model);
    const log = await openTestLog({ disk, warn: assert.fail });
    assert.equal(log.durable, model.size);
    assert.notEqual(log.history, history);
    await append(log, [[encode({ name: "more", add: 1 })]]);
    await log.close();
    assert.deepEqual(await modelOf(disk), new Map([...model, ["more", 1]]));
  });
});

test("squashing is refused when the events would make another model", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", [[encode({ name: "a", add: 1 })]]);
  const { paths } = disk;
  const before = disk.contentOf(LOG_PATH);
  const wrong = { ...counts, eventsFrom: () => [{ name: "b", add: 1 }] };
  await assert.rejects(squash(disk, wrong), {
    code: "log_refused",
    message: /make another model/,
  });
  const { eventsFrom: _, ...without } = counts;
  await assert.rejects(squash(disk, without), { code: "log_refused", message: /no eventsFrom/ });
  assert.deepEqual(disk.paths, paths);
  assert.deepEqual(disk.contentOf(LOG_PATH), before);
});

test("squashing is refused while the log is written", async () => {
  const disk = simulatedDisk();
  const log = await openTestLog({ disk });
  await assert.rejects(squash(disk, counts), { code: "log_locked" });
  await log.close();
});
