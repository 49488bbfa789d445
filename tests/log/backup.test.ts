/**
 * Copies of logs that are written meanwhile, and bringing them back.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backupLog, restoreLog } from "../../runtime/log/backup.ts";
import { crcBefore } from "../../runtime/log/find_snapshot.ts";
import { readMark } from "../../runtime/log/mark.ts";
import { writeSnapshot } from "../../runtime/log/snapshot_file.ts";
import { verifyLog } from "../../runtime/log/verify.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import {
  anyCommits,
  anyFormat,
  append,
  changeFile,
  eventsIn,
  eventsOf,
  openWhole,
  simulatedDisk,
  upkeep,
  writeLog,
} from "../support/upkeep.ts";

/** Keeps a snapshot of the test log up to `offset`. */
function keepSnapshot(
  disk: SimulatedDisk,
  offset: number,
  { sequence, history, isOther = false }: {
    readonly sequence: number;
    readonly history: string;
    /** Whether the log has something else there. */
    readonly isOther?: boolean;
  },
): void {
  const file = disk.open(LOG_PATH) ?? assert.fail();
  const fileId = readMark(disk, LOG_PATH)?.newest?.fileId ?? assert.fail();
  const crc = crcBefore({ file, fileId, path: LOG_PATH }, offset) ^ (isOther ? 1 : 0);
  const head = {
    ...{ fileId, history, alwaysDurable: true, isSealed: false, sequence, offset, crc },
    ...{ frameTime: 1, time: 1, modelVersion: "1", isSealed: false },
  };
  const older = disk.paths.filter((path) => path.includes(".snapshot-"));
  const kept = older.map((path) => [path, disk.contentOf(path) ?? assert.fail()] as const);
  writeSnapshot(LOG_PATH, head, bytes("model"), upkeep(disk));
  for (const [path, content] of kept) disk.put(path, content);
}

const bytes = (text: string) => new TextEncoder().encode(text);
const ONE_TWO = [[bytes("one")], [bytes("two"), bytes("three")]];
const COPY = "copy";

test("a backup of a log that is being written is its durable prefix, verifies and opens", async () => {
  const flushes = fc.tuple(anyFormat, anyCommits, anyCommits, fc.integer());
  await holds(30, flushes, async ([format, commits, more, seed]) => {
    const clock = new SimulatedClock();
    const disk = new SimulatedDisk({ clock, seed });
    const log = await openTestLog({ disk, clock, format });
    await append(log, commits);
    disk.faults.syncMsMax = 10_000;
    const three = [[bytes("a")], [bytes("b")], [bytes("c")]];
    const inFlight = append(log, [...more, ...three]);
    const { durable, history } = log;
    const copied = await backupLog(LOG_PATH, COPY, upkeep(disk));
    assert.ok(copied.sequence >= durable);
    const copy = disk.contentOf(COPY) ?? assert.fail();
    assert.deepEqual(copy, disk.contentOf(LOG_PATH)?.subarray(0, copy.length));
    const verified = verifyLog(COPY, upkeep(disk));
    assert.equal(verified.marked, copy.length);
    assert.equal(verified.found.end, copy.length);
    const opened = await openTestLog({ disk, warn: assert.fail }, COPY);
    assert.equal(opened.history, history);
    const all = eventsIn([...commits, ...more, ...three]);
    const events = await eventsOf(opened);
    assert.deepEqual(events, all.slice(0, events.length));
    assert.ok(events.length >= eventsIn(commits).length);
    await clock.advance(1_000_000);
    await inFlight;
  });
});

test("a backup survives a loss of power right after it", async () => {
  for (const format of ["plain", "checked"] as const) {
    const disk = simulatedDisk();
    await writeLog(disk, format, ONE_TWO);
    await backupLog(LOG_PATH, COPY, upkeep(disk));
    const after = disk.crash("nothing");
    assert.deepEqual(await eventsOf(await openWhole(after, COPY)), eventsIn(ONE_TWO));
    assert.ok(after.paths.includes(`${COPY}.mark`));
  }
});

test("a backup is refused when there is something at its place, or the log is damaged", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE_TWO);
  disk.put("mine", bytes("mine"));
  const before = disk.paths;
  await assert.rejects(backupLog(LOG_PATH, "mine", upkeep(disk)), { code: "log_refused" });
  changeFile(disk, LOG_PATH, (bytes) => bytes.with(250, (bytes[250] ?? 0) ^ 1));
  await assert.rejects(backupLog(LOG_PATH, COPY, upkeep(disk)), {
    code: "log_unreadable",
    message: /"db\.events": damaged at offset/,
  });
  assert.deepEqual(disk.paths, before);
});

test("a backup is refused when the log is shorter than its mark", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE_TWO);
  changeFile(disk, LOG_PATH, (bytes) => bytes.slice(0, -90));
  await assert.rejects(backupLog(LOG_PATH, COPY, upkeep(disk)), { code: "log_unreadable" });
  assert.ok(!disk.paths.includes(COPY));
});

test("restoring makes a log of the backup's commits, under a new history", async () => {
  await holds(20, fc.tuple(anyFormat, anyCommits, anyCommits), async ([format, commits, more]) => {
    const disk = simulatedDisk();
    await writeLog(disk, format, commits);
    await backupLog(LOG_PATH, COPY, upkeep(disk));
    const log = await openTestLog({ disk });
    const { history } = log;
    await append(log, more);
    await log.close();
    const lost = disk.contentOf(LOG_PATH);
    const isReplacing = true;
    const restored = await restoreLog(COPY, LOG_PATH, { ...upkeep(disk), isReplacing });
    const opened = await openTestLog({ disk, warn: assert.fail });
    assert.deepEqual(await eventsOf(opened), eventsIn(commits));
    assert.notEqual(opened.history, history);
    assert.equal(restored.sequence, opened.durable);
    assert.deepEqual(disk.contentOf(restored.old ?? ""), lost);
    const old = await openWhole(disk, restored.old);
    assert.deepEqual(await eventsOf(old), eventsIn([...commits, ...more]));
    assert.equal(old.history, history);
  });
});

test("a backup has the newest snapshot that fits, and restoring brings it back", async () => {
  for (const format of ["plain", "checked"] as const) {
    const disk = simulatedDisk();
    const log = await openTestLog({ disk, format });
    await append(log, ONE_TWO);
    keepSnapshot(disk, log.durableBytes, { sequence: log.durable, history: log.history });
    const { durable } = log;
    keepSnapshot(disk, log.durableBytes, { sequence: 99, history: log.history, isOther: true });
    await append(log, ONE_TWO);
    assert.equal((await backupLog(LOG_PATH, COPY, upkeep(disk))).snapshot, durable);
    assert.equal((await restoreLog(COPY, "restored", upkeep(disk))).snapshot, durable);
    for (const path of [COPY, "restored"]) {
      const opened = await openTestLog({ disk, modelVersion: "1", warn: assert.fail }, path);
      assert.deepEqual(opened.snapshot?.("1")?.model, bytes("model"));
      assert.equal(opened.history === log.history, path === COPY);
      assert.equal((await eventsOf(opened)).length, 6);
      await opened.close();
    }
  }
});

test("restoring to a place where no log is keeps the mark that is left of one aside", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE_TWO);
  await backupLog(LOG_PATH, COPY, upkeep(disk));
  const mark = disk.contentOf(`${LOG_PATH}.mark`);
  disk.put(`${LOG_PATH}.snapshot-2`, bytes("snapshot"));
  disk.remove(LOG_PATH);
  await restoreLog(COPY, LOG_PATH, upkeep(disk));
  assert.deepEqual(disk.contentOf(`${LOG_PATH}.old-500.mark`), mark);
  assert.deepEqual(disk.contentOf(`${LOG_PATH}.old-500.snapshot-2`), bytes("snapshot"));
  const opened = await openTestLog({ disk, warn: assert.fail });
  assert.deepEqual(await eventsOf(opened), eventsIn(ONE_TWO));
});

test("restoring is refused when a log is there, in use, or when the backup is damaged", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE_TWO);
  await backupLog(LOG_PATH, COPY, upkeep(disk));
  const before = disk.contentOf(LOG_PATH);
  const options = { ...upkeep(disk), isReplacing: true };
  await assert.rejects(restoreLog(COPY, LOG_PATH, upkeep(disk)), { code: "log_refused" });
  await assert.rejects(restoreLog(COPY, COPY, options), { code: "log_refused" });
  await assert.rejects(restoreLog("nothing", LOG_PATH, options), { code: "log_unreadable" });
  changeFile(disk, COPY, (bytes) => bytes.with(250, (bytes[250] ?? 0) ^ 1));
  await assert.rejects(restoreLog(COPY, LOG_PATH, options), { code: "log_unreadable" });
  assert.deepEqual(disk.contentOf(LOG_PATH), before);
  const log = await openTestLog({ disk });
  await assert.rejects(restoreLog(COPY, LOG_PATH, options), { code: "log_locked" });
  await log.close();
});

test("a backup after a loss of power has all that the next start will find", async () => {
  for (const format of ["plain", "checked"] as const) {
    const disk = simulatedDisk();
    const log = await openTestLog({ disk, format });
    await append(log, ONE_TWO);
    // The mark is not synced with each commit.
    const after = disk.crash("nothing");
    await backupLog(LOG_PATH, COPY, upkeep(after));
    const copy = await openWhole(after, COPY);
    assert.deepEqual(await eventsOf(copy), eventsIn(ONE_TWO));
    assert.deepEqual(await eventsOf(await openTestLog({ disk: after })), eventsIn(ONE_TWO));
  }
});
