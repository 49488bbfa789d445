/**
 * The plain log on a simulated disk: opening, recovery, what is refused and left as it is, reading
 * in batches, and growing byte for byte.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import { COMMIT_BYTES_MAX, READ_BYTES } from "../../runtime/limits.ts";
import { type Commit, type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import type { LogOptions } from "../../runtime/log/open_log.ts";
import { uvarintLength, writeUvarint } from "../../runtime/log/uvarint.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openPlainLog } from "../support/test_log.ts";

const PATH = LOG_PATH;

function newDisk(bytes?: Uint8Array): SimulatedDisk {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  if (bytes !== undefined) disk.put(PATH, bytes);
  return disk;
}

function open(disk: SimulatedDisk, options: Partial<LogOptions> = {}): Promise<EventLog> {
  return openPlainLog({ disk, timeOfDay: () => 7, ...options });
}

function encode(...events: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = events.reduce((sum, event) => sum + uvarintLength(event.length) + event.length, 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const event of events) {
    at = writeUvarint(bytes, at, event.length);
    bytes.set(event, at);
    at += event.length;
  }
  return bytes;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function commitOf(...events: Uint8Array[]): Commit {
  return { events, bytes: events.reduce((sum, event) => sum + sizeInCommit(event), 0) };
}

async function eventsOf(log: EventLog, until = log.durable): Promise<Uint8Array[]> {
  const events: Uint8Array[] = [];
  for await (const { bytes, bounds, count } of log.read(until)) {
    assert.ok(count > 0);
    for (let i = 0; i < count; i++) events.push(bytes.slice(bounds[2 * i], bounds[2 * i + 1]));
    // These bytes belong to the reader.
    for (let i = 0; i < count; i++) bytes[(bounds[2 * i] ?? 0) - 1] = 0xff;
    bytes[bounds[2 * count - 1] ?? 0] = 0xff;
  }
  return events;
}

/** Asserts that the file is refused, for this reason, and that nothing was changed. */
async function isRefused(bytes: Uint8Array, why: RegExp): Promise<void> {
  const disk = newDisk(bytes);
  await assert.rejects(open(disk), (error: Error & { code?: string }) => {
    assert.equal(error.code, "log_unreadable");
    assert.match(error.message, why);
    return true;
  });
  assert.deepEqual(disk.contentOf(PATH), bytes);
  assert.deepEqual(disk.paths, [PATH]);
}

test("plain log is created empty, and its name is durable at once", async () => {
  const disk = newDisk();
  const log = await open(disk);
  assert.deepEqual([log.durable, log.durableBytes], [0, 0]);
  assert.deepEqual(disk.crash("nothing").paths, [PATH, `${PATH}.mark`]);
});

test("plain log grows byte for byte, and reads what was written", async () => {
  const events = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.uint8Array({ maxLength: 200 }) },
      fc.integer({ min: 0, max: 20_000 }).map((size) => new Uint8Array(size).fill(size)),
    ),
    { minLength: 1, maxLength: 5 },
  );
  const flushes = fc.array(fc.array(events, { minLength: 1, maxLength: 3 }), { maxLength: 5 });
  await holds(100, flushes, async (flushes) => {
    const disk = newDisk();
    const log = await open(disk);
    for (const commits of flushes) await log.append(commits.map((it) => commitOf(...it)));
    const all = flushes.flat(2);
    assert.deepEqual(disk.contentOf(PATH), encode(...all));
    assert.deepEqual(disk.contentAfterCrash(PATH, "nothing"), encode(...all));
    assert.equal(log.durable, all.length);
    assert.equal(log.durableBytes, encode(...all).length);
    assert.deepEqual(await eventsOf(log), all);
    await log.close();
    const again = await open(disk);
    assert.deepEqual(await eventsOf(again), all);
  });
});

test("plain log reads up to a position, and beside appends", async () => {
  const log = await open(newDisk(encode(text("a"), text("b"), text("c"))));
  assert.deepEqual(await eventsOf(log, 2), [text("a"), text("b")]);
  assert.deepEqual(await eventsOf(log, 0), []);
  const reading = log.read(3)[Symbol.asyncIterator]();
  await log.append([commitOf(text("d"))]);
  let count = 0;
  for (let next = await reading.next(); !next.done; next = await reading.next()) {
    count += next.value.count;
  }
  assert.equal(count, 3);
});

test("plain log reads events that are larger than its buffer", async () => {
  const sizes = [1, READ_BYTES - 4, READ_BYTES, 3 * READ_BYTES + 17, 0, COMMIT_BYTES_MAX, 5];
  const events = sizes.map((size) => new Uint8Array(size).fill(size % 251));
  const log = await open(newDisk(encode(...events)));
  assert.equal(log.durable, events.length);
  const found = await eventsOf(log);
  assert.deepEqual(found.map((event) => event.length), sizes);
  assert.ok(found.every((event, i) => Buffer.compare(event, events[i] ?? event) === 0));
});

test("plain log takes zeros for empty events", async () => {
  const log = await open(newDisk(new Uint8Array(5)));
  assert.equal(log.durable, 5);
  assert.deepEqual(await eventsOf(log), Array.from({ length: 5 }, () => new Uint8Array(0)));
});

test("plain log takes zeros behind its mark for what a crash leaves, and cuts them off", async () => {
  // ext4 may know the new size of a file when the power fails, and not yet what was written there.
  for (const torn of [new Uint8Array(5), new Uint8Array(5000)]) {
    const disk = newDisk();
    const log = await open(disk);
    const events = [text("whole"), Uint8Array.of(7, 0, 0, 0)]; // Zeros of an event stay.
    await log.append([commitOf(...events)]);
    const file = disk.open(PATH) ?? assert.fail();
    file.write(torn, file.size());
    const warnings: string[] = [];
    const left = newDisk(disk.contentOf(PATH));
    left.put(`${PATH}.mark`, disk.contentOf(`${PATH}.mark`) ?? assert.fail());
    const found = await open(left, { warn: (message) => warnings.push(message) });
    assert.deepEqual(await eventsOf(found), events);
    assert.deepEqual(left.contentOf(PATH), encode(...events));
    assert.match(warnings[0] ?? "", new RegExp(` ${torn.length} bytes after event 2 were `));
    await found.append([commitOf(text("next"))]);
    assert.deepEqual(await eventsOf(found), [...events, text("next")]);
  }
});

test("plain log keeps empty events that were acknowledged, whatever is lost of the mark", async () => {
  for (const durability of ["always", "everysec"] as const) {
    const clock = new SimulatedClock();
    const disk = new SimulatedDisk({ clock, seed: 1 });
    const log = await open(disk, { clock, durability });
    await log.append([commitOf(text("first"), new Uint8Array(0)), commitOf()]);
    await clock.advance(1000);
    const found = await open(disk.crash("nothing"));
    assert.deepEqual(await eventsOf(found), [text("first"), new Uint8Array(0)]);
  }
});

test("plain log hands out many small events in more than one batch", async () => {
  const log = await open(newDisk(new Uint8Array(200_000)));
  assert.equal((await eventsOf(log)).length, 200_000);
});

test("plain log keeps a torn tail aside, cuts it off, and warns", async () => {
  const whole = encode(text("first"), text("second"));
  const torn = encode(text("third")).subarray(0, 3);
  const disk = newDisk(new Uint8Array([...whole, ...torn]));
  const warnings: string[] = [];
  const log = await open(disk, { warn: (message) => void warnings.push(message) });
  assert.equal(log.durable, 2);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /3 bytes after event 2/);
  const kept = `${PATH}.cut-${whole.length}-7`;
  const after = disk.crash("nothing");
  assert.deepEqual(after.contentOf(PATH), whole);
  assert.deepEqual(after.contentOf(kept), torn);
});

test("plain log loses nothing when it is stopped at any step of cutting a tail", async () => {
  const whole = encode(text("first"), text("second"));
  const bytes = new Uint8Array([...whole, ...encode(text("third")).subarray(0, 3)]);
  for (const survival of ["nothing", "everything", "prefix", "sectors"] as const) {
    for (let step = 1; step < 30; step++) {
      const disk = newDisk(bytes);
      disk.faults.crashAtStep = step;
      await open(disk).catch(() => {}); // Stopped, or not.
      const log = await open(disk.crash(survival), { timeOfDay: () => 8 });
      assert.deepEqual(await eventsOf(log), [text("first"), text("second")]);
    }
  }
});

test("plain log with nothing but a torn first event is not a log, and is left as it is", async () => {
  await isRefused(encode(text("alone")).subarray(0, 4), /not a log/);
  await isRefused(text("just some text"), /not a log/);
});

test("plain log refuses a first size that no event can have", async () => {
  await isRefused(new Uint8Array([...Array(10).fill(0xff), 0x01]), /not a log/);
});

test("plain log refuses an overlong size in its midst, and names the place", async () => {
  const bytes = new Uint8Array([...encode(text("a")), ...Array(11).fill(0x80), 1]);
  await isRefused(bytes, /damaged at offset 2/);
});

test("plain log refuses an event that is larger than a commit may be", async () => {
  const bytes = new Uint8Array(2 + 4 + COMMIT_BYTES_MAX + 1);
  bytes.set(encode(text("a")));
  writeUvarint(bytes, 2, COMMIT_BYTES_MAX + 1);
  await isRefused(bytes, /damaged at offset 2/);
});

test("plain log refuses a tail that is more than a torn write leaves", async () => {
  const bytes = new Uint8Array(2 + 4 + COMMIT_BYTES_MAX - 1);
  bytes.set(encode(text("a")));
  writeUvarint(bytes, 2, COMMIT_BYTES_MAX);
  await isRefused(bytes, /damaged at offset 2, after event 1/);
});

test("plain log refuses a file in the checked format", async () => {
  const head = new Uint8Array(68);
  head.set([0xf5, 0x4c, 0x4f, 0x47, 1]);
  await isRefused(encode(head, text("more")), /checked format.*events restore/);
});

test("plain log refuses a second writer, and lets the next one in", async () => {
  const disk = newDisk();
  const log = await open(disk);
  await assert.rejects(open(disk), { code: "log_locked" });
  await log.close();
  await log.close();
  await (await open(disk)).close();
});

test("plain log lets go of its lock when it cannot be opened", async () => {
  const disk = newDisk(text("no log"));
  await assert.rejects(open(disk), { code: "log_unreadable" });
  await assert.rejects(open(disk), { code: "log_unreadable" });
});

test("plain log says log_full for every way in which a disk has no room, and appends again", async () => {
  for (const noRoomCode of ["ENOSPC", "EDQUOT", "EFBIG"] as const) {
    for (const roomBytes of [0, 1, 5]) {
      const disk = newDisk(encode(text("a")));
      const log = await open(disk);
      Object.assign(disk.faults, { noRoomCode, roomBytes });
      await assert.rejects(log.append([commitOf(text("bbbbbbbbb"))]), { code: "log_full" });
      assert.equal(await log.hasRoom?.(10), false);
      assert.deepEqual(disk.contentOf(PATH), encode(text("a")));
      disk.faults.roomBytes = 100;
      assert.equal(await log.hasRoom?.(10), true);
      await log.append([commitOf(text("c"))]);
      assert.deepEqual(disk.contentAfterCrash(PATH, "nothing"), encode(text("a"), text("c")));
    }
  }
});

test("plain log has failed for good after EIO, a failed sync, or a cut that failed", async () => {
  const faults = [
    { failingWrites: 1 },
    { failingSyncs: 1 },
    { roomBytes: 1, failingTruncates: 1 },
    { roomBytes: 1, failingSyncs: 1 },
  ];
  for (const fault of faults) {
    const disk = newDisk(encode(text("a")));
    const log = await open(disk);
    Object.assign(disk.faults, fault);
    await assert.rejects(log.append([commitOf(text("bbbbbbbbb"))]), { code: "log_failed" });
    const { steps } = disk;
    await assert.rejects(log.append([commitOf(text("c"))]), { code: "log_failed" });
    assert.equal(disk.steps, steps, "nothing is tried");
    assert.deepEqual(await eventsOf(log), [text("a")], "it can be read");
  }
});

test("plain log writes again what a failed sync may not have brought to the disk", async () => {
  const disk = newDisk(encode(text("a")));
  const log = await open(disk);
  disk.faults.failingSyncs = 1;
  await assert.rejects(log.append([commitOf(text("b".repeat(100)))]), { code: "log_failed" });
  const next = disk.restart();
  const again = await open(next);
  assert.equal(again.durable, 2, "it reads back well");
  await again.append([commitOf(text("c"))]);
  const found = await open(next.crash("nothing"));
  assert.deepEqual(await eventsOf(found), [text("a"), text("b".repeat(100)), text("c")]);
});

test("plain log that was found empty stays empty, though a cut was never synced", async () => {
  for (let seed = 0; seed < 50; seed++) {
    const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed });
    const log = await open(disk);
    // Room for the first commit and a part of the second.
    Object.assign(disk.faults, { roomBytes: 6, failingSyncs: 1 });
    const commits = [commitOf(text("aaa")), commitOf(text("bbb"))];
    await assert.rejects(log.append(commits), { code: "log_failed" });
    const next = disk.restart();
    assert.deepEqual(await eventsOf(await open(next)), []);
    assert.deepEqual(await eventsOf(await open(next.crash("nothing"))), []);
  }
});

test("plain log keeps what was acknowledged whatever sectors survive of what was not", async () => {
  const arbitrary = fc.record({
    acknowledged: fc.array(fc.uint8Array({ minLength: 1, maxLength: 900 }), { minLength: 1 }),
    last: fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { minLength: 1 }),
    seed: fc.integer(),
  });
  await holds(100, arbitrary, async ({ acknowledged, last, seed }) => {
    const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed });
    const log = await open(disk);
    for (const event of acknowledged) await log.append([commitOf(event)]);
    // Open, write, and stop before the sync.
    disk.faults.crashAtStep = disk.steps + 2;
    await assert.rejects(log.append([commitOf(...last)]));
    const found = disk.crash("sectors");
    const before = found.contentOf(PATH) ?? new Uint8Array(0);
    const whole = encode(...acknowledged);
    assert.deepEqual(before.subarray(0, whole.length), whole);
    try {
      const events = await eventsOf(await open(found));
      assert.deepEqual(events.slice(0, acknowledged.length), acknowledged);
    } catch (error) {
      // Without checksums, a hole can look like anything: then nothing is touched.
      assert.equal((error as { code?: unknown }).code, "log_unreadable");
      assert.deepEqual(found.contentOf(PATH), before);
    }
  });
});

test("plain log that was made on a full disk opens when there is room", async () => {
  const disk = newDisk();
  disk.faults.roomBytes = 0;
  const warnings: string[] = [];
  await (await open(disk, { warn: (message) => void warnings.push(message) })).close();
  assert.match(warnings[0] ?? "", /Cannot write "db\.events\.mark"/);
  const next = disk.restart();
  const log = await open(next, { warn: assert.fail });
  assert.equal(log.durable, 0);
  assert.ok(next.contentOf(`${PATH}.mark`) !== undefined);
});
