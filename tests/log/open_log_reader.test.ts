/**
 * Reading a log beside its writer: what is durable is seen, what is in flight is not, and is
 * never taken for damage.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { openLogReader } from "../../runtime/log/open_log_reader.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";

const FORMATS: readonly LogFormat[] = ["plain", "checked"];

function commitOf(text: string) {
  const event = new TextEncoder().encode(text);
  return { events: [event], bytes: sizeInCommit(event) };
}

async function textsOf(log: EventLog): Promise<string[]> {
  const texts: string[] = [];
  for await (const { bytes, bounds, count } of log.read(log.durable)) {
    for (let i = 0; i < count; i++) {
      texts.push(new TextDecoder().decode(bytes.slice(bounds[2 * i], bounds[2 * i + 1])));
    }
  }
  return texts;
}

function openToRead(disk: SimulatedDisk) {
  const random = (bytes: number) => new Uint8Array(bytes);
  return openLogReader(LOG_PATH, {
    disk,
    clock: new SimulatedClock(),
    random,
    warn: assert.fail,
  });
}

for (const format of FORMATS) {
  test(`reader of a ${format} log sees what is durable, and not what is being written`, async () => {
    const clock = new SimulatedClock();
    const disk = new SimulatedDisk({ clock, seed: 1 });
    const log = await openTestLog({ disk, clock, format });
    await log.append([commitOf("one"), commitOf("two")]);
    disk.faults.syncMsMax = 10_000;
    const appended = log.append([commitOf("three"), commitOf("four"), commitOf("five")]);
    const { log: reader, found } = openToRead(disk);
    assert.deepEqual(await textsOf(reader), ["one", "two"]);
    assert.equal(reader.durable, 2);
    assert.equal(reader.history, log.history);
    assert.equal(found.end, reader.durableBytes);
    await clock.advance(20_000);
    await appended;
    assert.equal(reader.durable, 2);
    assert.deepEqual(await textsOf(openToRead(disk).log), ["one", "two", "three", "four", "five"]);
  });

  test(`reader of a ${format} log goes without a mark where none is`, async () => {
    const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
    const log = await openTestLog({ disk, format });
    await log.append([commitOf("one")]);
    await log.close();
    disk.remove(`${LOG_PATH}.mark`);
    assert.deepEqual(await textsOf(openToRead(disk).log), ["one"]);
  });
}

test("reader of a checked log without a mark stops at what its last frame calls durable", async () => {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  const log = await openTestLog({ disk });
  await log.append([commitOf("one")]);
  await log.append([commitOf("two")]);
  disk.remove(`${LOG_PATH}.mark`);
  assert.deepEqual(await textsOf(openToRead(disk).log), ["one"]);
});

test("reader refuses a log that is shorter than its mark, or damaged before it", async () => {
  for (const isCut of [true, false]) {
    const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
    const log = await openTestLog({ disk });
    await log.append([commitOf("one")]);
    await log.append([commitOf("two")]);
    const file = disk.open(LOG_PATH) ?? assert.fail();
    const end = log.durableBytes;
    if (isCut) file.truncate(end - 1);
    else file.write(new Uint8Array(1), end - 5);
    const damage = {
      code: "log_unreadable",
      message: /after commit 1.*were (durable|acknowledged)/,
    };
    assert.throws(() => openToRead(disk), damage);
  }
});
