/**
 * The checked log on a simulated disk: its bytes, opening and closing, reading, growing, and what
 * ends its writing for good. What it does with damage is in the tests of recovery.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { READ_BYTES } from "../../runtime/limits.ts";
import { type Commit, type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import type { LogOptions } from "../../runtime/log/open_log.ts";
import { readMark } from "../../runtime/log/mark.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH as PATH, openTestLog } from "../support/test_log.ts";

const FOLDER = new URL("../vectors/checked_log/", import.meta.url);
const golden = new Uint8Array(readFileSync(new URL("db.events", FOLDER)));
const goldenMark = new Uint8Array(readFileSync(new URL("db.events.mark", FOLDER)));
const described: {
  readonly fileId: string;
  readonly history: string;
  readonly frames: readonly { readonly time: number; readonly kind: number }[];
  readonly commits: readonly (readonly string[])[];
} = JSON.parse(readFileSync(new URL("db.events.json", FOLDER), "utf8"));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function newDisk(bytes?: Uint8Array, mark?: Uint8Array): SimulatedDisk {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  if (bytes !== undefined) disk.put(PATH, bytes);
  if (mark !== undefined) disk.put(`${PATH}.mark`, mark);
  return disk;
}

function open(disk: SimulatedDisk, options: Partial<LogOptions> = {}): Promise<EventLog> {
  return openTestLog({ disk, warn: assert.fail, ...options });
}

function commitOf(...events: Uint8Array[]): Commit {
  return { events, bytes: events.reduce((sum, event) => sum + sizeInCommit(event), 0) };
}

/** All events behind a commit, each with the sequence of its commit, as `read` hands them out. */
async function eventsOf(log: EventLog, after = 0, until = log.durable): Promise<string[]> {
  const found: string[] = [];
  for await (const { bytes, bounds, count, firstSequence, commitOf } of log.read(until, after)) {
    assert.ok(count > 0);
    for (let i = 0; i < count; i++) {
      const sequence = firstSequence + (commitOf[i] ?? 0);
      found.push(`${sequence} ${hex(bytes.subarray(bounds[2 * i], bounds[2 * i + 1]))}`);
    }
    // These bytes belong to the reader.
    for (let i = 0; i < count; i++) bytes[(bounds[2 * i] ?? 0) - 1] = 0xff;
    bytes[bounds[2 * count - 1] ?? 0] = 0xff;
  }
  return found;
}

/** The same, as `readCommits` hands them out. */
async function commitsOf(log: EventLog, after: number, bytesMax: number): Promise<string[]> {
  const found: string[] = [];
  for (let at = after; at < log.durable;) {
    const commits = await log.readCommits(at, bytesMax);
    assert.ok(commits.length > 0);
    for (const { sequence, events, meta } of commits) {
      assert.equal(sequence, ++at, "no gap, and no repeat");
      assert.equal(meta.length, 0);
      found.push(...events.map((event) => `${sequence} ${hex(event)}`));
    }
  }
  return found;
}

test("checked log writes the bytes of the format's description, and its mark", async () => {
  const ids = [...Buffer.from(described.fileId + described.history, "hex")];
  const times = described.frames.map(({ time }) => time / 1000);
  // The head and the first start are written at one time; then every frame asks for it.
  const options = {
    random: (bytes: number) =>
      bytes === 4 ? new Uint8Array(4) : Uint8Array.from(ids.splice(0, bytes)),
    timeOfDay: () => times.shift() ?? assert.fail("asks for the time too often"),
  };
  times.shift();
  const disk = newDisk();
  const [first = [], second = [], third = [], fourth = []] = described.commits.map((events) =>
    events.map((event) => new Uint8Array(Buffer.from(event, "hex")))
  );
  const log = await open(disk, options);
  await log.append([commitOf(...first), commitOf(...second)]);
  await log.append([commitOf(...third)]);
  await log.close();
  const again = await open(disk, options);
  assert.equal(again.history, described.history);
  await again.append([commitOf(...fourth)]);
  await again.close();
  assert.deepEqual(disk.contentOf(PATH), golden);
  assert.deepEqual(disk.contentOf(`${PATH}.mark`), goldenMark);
  assert.deepEqual(disk.crash("nothing").contentOf(PATH), golden);
});

test("checked log reads the bytes of the format's description", async () => {
  const expected = described.commits.flatMap((events, i) =>
    events.map((event) => `${i + 1} ${event}`)
  );
  for (const mark of [undefined, goldenMark]) {
    const log = await open(newDisk(golden, mark), { timeOfDay: () => 2e12 });
    assert.equal(log.history, described.history);
    assert.deepEqual(await eventsOf(log), expected);
    for (const bytesMax of [1, 200, 10_000]) {
      assert.deepEqual(await commitsOf(log, 0, bytesMax), expected);
    }
    assert.equal((await log.readCommits(0, 1))[0]?.time, 1_700_000_000_001);
  }
});

test("a mark says no less than before, at whatever steps a close and a start are stopped", async () => {
  for (let closeStep = 1, isClosed = false; !isClosed; closeStep++) {
    for (let startStep = 1, isOpen = false; !isOpen; startStep++) {
      const disk = newDisk();
      const log = await open(disk);
      await log.append([commitOf(text("kept"))]);
      disk.faults.crashAtStep = disk.steps + closeStep;
      isClosed = await log.close().then(() => !disk.hasCrashed, () => false);
      const next = disk.restart();
      next.faults.crashAtStep = next.steps + startStep;
      isOpen = await openTestLog({ disk: next }).then(() => true, () => false);
      const { newest } = readMark(next.restart(), PATH) ?? {};
      assert.equal(newest?.sequence, 1, `steps ${closeStep} and ${startStep}`);
    }
  }
});

test("checked log is created whole, and its name is durable at once", async () => {
  const disk = newDisk();
  const log = await open(disk);
  assert.deepEqual([log.durable, log.counts], [0, "commits"]);
  const found = disk.crash("nothing");
  assert.deepEqual(found.paths, [PATH, `${PATH}.mark`]);
  assert.equal((await open(found)).history, log.history);
});

test("checked log takes the place of an empty file, and a plain log stays plain", async () => {
  const empty = newDisk(new Uint8Array(0));
  assert.equal((await open(empty)).counts, "commits");
  const plain = newDisk();
  await (await open(plain, { format: "plain" })).close();
  assert.equal((await open(plain)).counts, "events");
  assert.equal((await open(newDisk(Uint8Array.of(1, 7)))).counts, "events");
});

test("checked log hands out what was appended, from any commit to any other", async () => {
  const events = fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.uint8Array({ maxLength: 200 }) },
      fc.integer({ min: 0, max: 30_000 }).map((size) => new Uint8Array(size).fill(size)),
    ),
    { maxLength: 6 },
  );
  const flushes = fc.array(fc.array(events, { minLength: 1, maxLength: 4 }), { maxLength: 8 });
  const cut = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat({ max: 5000 }));
  await holds(100, fc.tuple(flushes, cut), async ([flushes, [part, bytesMax]]) => {
    const disk = newDisk();
    let log = await open(disk);
    for (const [i, commits] of flushes.entries()) {
      await log.append(commits.map((it) => commitOf(...it)));
      if (i % 3 !== 2) continue;
      await log.close();
      log = await open(disk);
    }
    const all = flushes.flat().flatMap((events, i) =>
      events.map((event) => `${i + 1} ${hex(event)}`)
    );
    const after = Math.floor(part * log.durable);
    const behind = all.filter((event) => parseInt(event) > after);
    assert.deepEqual(await eventsOf(log), all);
    assert.deepEqual(await eventsOf(log, after), behind);
    assert.deepEqual(await eventsOf(log, 0, after), all.slice(0, all.length - behind.length));
    assert.deepEqual(await commitsOf(log, after, bytesMax), behind);
    const again = await open(disk.crash("nothing"));
    assert.deepEqual(await eventsOf(again), all);
    assert.equal(again.history, log.history, "a crash changes no history");
  });
});

test("checked log reads commits that are larger than its buffer, or have many events", async () => {
  const log = await open(newDisk());
  const large = new Uint8Array(2 * READ_BYTES + 5).fill(7);
  const many = Array.from({ length: 10_000 }, (_, i) => text(`${i}`));
  await log.append([commitOf(text("a")), commitOf(large), commitOf(...many)]);
  await log.append([commitOf(text("z"))]);
  const all = [text("a"), large, ...many, text("z")].map(hex);
  assert.deepEqual((await eventsOf(log)).map((it) => it.replace(/^\d+ /, "")), all);
  assert.deepEqual((await commitsOf(log, 0, 100)).map((it) => it.replace(/^\d+ /, "")), all);
});

test("checked log gives commits times that never go back, and warns of a clock that does", async () => {
  const warnings: string[] = [];
  let now = 5_000_000;
  const options = { timeOfDay: () => now, warn: (message: string) => void warnings.push(message) };
  const log = await open(newDisk(), options);
  for (now of [6_000_000, 5_999_500, 5_000_000, 6_000_001]) await log.append([commitOf(text("a"))]);
  const times: unknown[] = [];
  for (let at = 0; at < log.durable; at = times.length) {
    times.push(...(await log.readCommits(at, 1000)).map(({ time }) => time));
  }
  assert.deepEqual(times, [6e6, 6e6 + 0.001, 6e6 + 0.002, 6_000_001]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /clock is 1000.0 s behind/);
});

for (const format of ["checked", "plain"] as const) {
  test(`${format} log notices at once that another program writes to its file`, async () => {
    for (const change of [[1, 2], []]) {
      const disk = newDisk();
      const log = await open(disk, { format });
      await log.append([commitOf(text("mine"))]);
      const file = disk.open(PATH) ?? assert.fail();
      if (change.length > 0) file.write(Uint8Array.from(change), file.size());
      else file.truncate(file.size() - 1);
      const before = disk.contentOf(PATH);
      await assert.rejects(log.append([commitOf(text("more"))]), {
        code: "log_failed",
        message: /another program has written to it/,
      });
      assert.match(log.readOnly ?? "", /another program/);
      assert.deepEqual(disk.contentOf(PATH), before, "it is left alone");
    }
  });

  test(`${format} log notices within a second that its file was replaced or removed`, async () => {
    for (const what of ["replaced", "removed"]) {
      const clock = new SimulatedClock();
      const disk = new SimulatedDisk({ clock, seed: 1 });
      const log = await open(disk, { format, clock });
      await log.append([commitOf(text("mine"))]);
      disk.remove(PATH);
      if (what === "replaced") disk.put(PATH, golden);
      await clock.advance(1000);
      await assert.rejects(log.append([commitOf(text("more"))]), {
        code: "log_failed",
        message: new RegExp(`has been ${what}`),
      });
      if (what === "replaced") assert.deepEqual(disk.contentOf(PATH), golden);
    }
  });

  test(`${format} log is read, and not changed, where it is opened to be read`, async () => {
    const disk = newDisk();
    const log = await open(disk, { format });
    await log.append([commitOf(text("a"), text("b"))]);
    const before = disk.contentOf(PATH);
    const paths = disk.paths;
    const reading = await open(disk, { readOnly: true });
    assert.deepEqual(await eventsOf(reading), await eventsOf(log));
    assert.equal(reading.history, log.history);
    assert.match(reading.readOnly ?? "", /read/);
    await reading.close();
    assert.deepEqual([disk.contentOf(PATH), disk.paths], [before, paths]);
    await log.append([commitOf(text("c"))]);
  });

  test(`${format} log that is missing or empty is not begun anew while its mark is there`, async () => {
    for (const bytes of [undefined, new Uint8Array(0)]) {
      const disk = newDisk();
      const log = await open(disk, { format });
      await log.append([commitOf(text("a"))]);
      await log.close();
      const left = newDisk(bytes, disk.contentOf(`${PATH}.mark`));
      await assert.rejects(open(left, { format }), {
        code: "log_unreadable",
        message: /db\.events\.mark" is there, and \d+ bytes of it \(1 commits\).*--new/,
      });
      assert.deepEqual(left.contentOf(PATH), bytes);
      const anew = await open(left, { format, isNew: true });
      assert.equal(anew.durable, 0);
      assert.deepEqual(left.paths.filter((path) => path.includes(".old-")).length, 1);
    }
  });
}

test("checked log keeps its mark though half of another one was left beside it", async () => {
  const disk = newDisk(golden, goldenMark);
  disk.put(`${PATH}.mark-new`, text("half a mark"));
  const log = await open(disk, { timeOfDay: () => 2e12 });
  await log.append([commitOf(text("more"))]);
  const left = newDisk(new Uint8Array(0), disk.contentOf(`${PATH}.mark`));
  await assert.rejects(open(left), { message: new RegExp(`${log.durableBytes} bytes of it`) });
});

test("checked log is begun anew in an empty file beside a snapshot that was put aside", async () => {
  const disk = newDisk(new Uint8Array(0));
  disk.put(`${PATH}.snapshot-0000000000000001.old-1700000000000`, text("a snapshot"));
  assert.equal((await open(disk)).durable, 0);
});
