/**
 * What a start must not overlook, swallow or carry on: an empty file that was a log once, a flush
 * that nobody knows the end of, a sync of a folder that failed, two who begin at the same time.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { openFileLog } from "../../adapters/file_log.ts";
import { backupLog, restoreLog } from "../../runtime/log/backup.ts";
import type { Disk, DiskFile } from "../../runtime/log/disk.ts";
import { holdLog } from "../../runtime/log/hold_log.ts";
import { verifyLog } from "../../runtime/log/verify.ts";
import { withFiles } from "../support/broken_disk.ts";
import { SURVIVALS } from "../support/simulated_file.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import { append, eventsOf, simulatedDisk, upkeep, writeLog } from "../support/upkeep.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const ONE = [[bytes("one")]];
const TWO = [[bytes("two")]];
const MARK = `${LOG_PATH}.mark`;

test("a checked log that became empty is refused by all who read it, and never shown as empty", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE);
  disk.put(LOG_PATH, new Uint8Array(0));
  const damage = { code: "log_unreadable", message: /db\.events.*1 commits.*events restore/s };
  await assert.rejects(openTestLog({ disk, readOnly: true }), damage);
  assert.throws(() => verifyLog(LOG_PATH, upkeep(disk)), damage);
  await assert.rejects(backupLog(LOG_PATH, "copy", upkeep(disk)), damage);
});

test("a log opened to be read shows a flush of unknown end under a history of its own", async () => {
  for (const format of ["checked", "plain"] as const) {
    const disk = simulatedDisk();
    const log = await openTestLog({ disk, format });
    await append(log, ONE);
    disk.faults.failingSyncs = 1;
    await assert.rejects(append(log, TWO), { code: "log_failed" });
    const found = disk.restart();
    const reader = await openTestLog({
      disk: found,
      readOnly: true,
      random: upkeep(disk, { seed: 3 }).random,
    });
    assert.equal(reader.durable, 2);
    // A loss of power may undo it, and then the same place in the history gets another commit.
    assert.notEqual(reader.history, log.history);
    await reader.close();
  }
});

test("a log opened to be read keeps its history when all that it shows was durable", async () => {
  for (const format of ["checked", "plain"] as const) {
    const disk = simulatedDisk();
    const log = await openTestLog({ disk, format });
    await append(log, ONE);
    const reader = await openTestLog({
      disk,
      readOnly: true,
      random: upkeep(disk, { seed: 3 }).random,
    });
    assert.equal(reader.history, log.history);
    await reader.close();
    await log.close();
  }
});

test("a log that grows while it is opened to be read is not taken for a damaged one", async () => {
  const disk = simulatedDisk();
  const log = await openTestLog({ disk });
  await append(log, ONE);
  const before = log.durableBytes;
  await append(log, TWO);
  await append(log, ONE);
  await log.close();
  disk.remove(MARK);
  // The first look finds the second flush half written; all later ones find it, and more.
  let looks = 0;
  const growing: Disk = {
    ...withFiles(disk, () => undefined),
    openToRead(path) {
      const file = disk.openToRead(path);
      if (file === undefined || path !== LOG_PATH) return file;
      let limit = before + 10;
      return {
        ...file,
        size: () => looks++ < 2 ? before + 10 : file.size(),
        read(into, offset) {
          const room = Math.max(0, limit - offset);
          const read = file.read(into.subarray(0, room), offset);
          if (offset + read >= limit) limit = Infinity;
          return read;
        },
      };
    },
  };
  const reader = await openTestLog({ disk: growing, readOnly: true });
  assert.equal(reader.durable, 1);
  await reader.close();
});

test("a new log is not used when the sync of its name failed", async () => {
  for (const format of ["checked", "plain"] as const) {
    const disk = simulatedDisk();
    disk.faults.failPath = LOG_PATH;
    disk.faults.failingSyncs = 1;
    await assert.rejects(openTestLog({ disk, format }), { code: "EIO" });
  }
});

test("two who begin the same log at the same time: one opens it, the other finds it locked", async () => {
  const disk = simulatedDisk();
  // Just before it names its own, another one has begun the log, and tidied up.
  let other: Awaited<ReturnType<typeof openTestLog>> | undefined;
  let opening: Promise<unknown> | undefined;
  const slow: Disk = {
    ...withFiles(disk, () => undefined),
    link(path, to) {
      opening = openTestLog({ disk, random: upkeep(disk, { seed: 3 }).random })
        .then((log) => other = log);
      disk.link(path, to);
    },
  };
  await assert.rejects(openTestLog({ disk: slow }), { code: "log_locked" });
  await opening;
  await other?.close();
});

test("a log is opened although its lock cannot name its holder on a full disk", async () => {
  if (process.platform !== "linux") return;
  const folder = mkdtempSync(join(tmpdir(), "alcedo-"));
  const path = join(folder, "log");
  symlinkSync("/dev/full", `${path}.lock`);
  const log = await openFileLog(path, { warn: assert.fail });
  await append(log, ONE);
  await log.close();
  const again = await openFileLog(path, { warn: assert.fail });
  await again.close();
  rmSync(folder, { recursive: true });
});

test("a log whose mark cannot be read is let go of, file and lock", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE);
  let open = 0;
  const counting: Disk = {
    ...withFiles(disk, () => undefined),
    open(path) {
      const file = disk.open(path);
      if (file === undefined) return undefined;
      open++;
      return { ...file, close: () => (open--, file.close()) } satisfies DiskFile;
    },
  };
  disk.faults.failPath = MARK;
  disk.faults.failingLooks = 1;
  await assert.rejects(holdLog(LOG_PATH, counting), { code: "EIO" });
  assert.equal(open, 0);
  (await holdLog(LOG_PATH, counting)).release();
  assert.equal(open, 0);
});

test("restoring a lost log that is stopped anywhere never lets the next start begin an empty one", async () => {
  for (const areNamesUnordered of [false, true]) {
    for (const survival of SURVIVALS) {
      for (let step = 1, isOver = false; !isOver; step++) {
        const disk = simulatedDisk(step);
        await writeLog(disk, "checked", [...ONE, ...TWO]);
        await backupLog(LOG_PATH, "copy", upkeep(disk));
        disk.put(`${LOG_PATH}.snapshot-0000000000000002`, bytes("snapshot"));
        disk.remove(LOG_PATH);
        disk.syncFolder(LOG_PATH);
        disk.faults.areNamesUnordered = areNamesUnordered;
        disk.faults.crashAtStep = disk.steps + step;
        try {
          await restoreLog("copy", LOG_PATH, upkeep(disk));
          isOver = true;
        } catch {
          assert.ok(disk.hasCrashed);
        }
        const next = disk.crash(survival);
        let log;
        try {
          log = await openTestLog({ disk: next, random: upkeep(next, { seed: 3 }).random });
        } catch (error) {
          assert.ok(error instanceof Error && "code" in error, String(error));
          assert.equal(error.code, "log_unreadable");
          continue;
        }
        assert.equal((await eventsOf(log)).length, 2, `step ${step}, ${survival}`);
      }
    }
  }
});

test("restoring leaves a log alone that was begun in the meantime, and its mark", async () => {
  for (const hasMark of [true, false]) {
    const elsewhere = simulatedDisk();
    const { random } = upkeep(elsewhere, { seed: 3 });
    await append(await openTestLog({ disk: elsewhere, random }), ONE);
    const begun = elsewhere.contentOf(LOG_PATH) ?? new Uint8Array(0);
    const itsMark = elsewhere.contentOf(MARK) ?? new Uint8Array(0);
    const disk = simulatedDisk();
    await writeLog(disk, "checked", [...ONE, ...TWO]);
    await backupLog(LOG_PATH, "copy", upkeep(disk));
    disk.remove(LOG_PATH);
    disk.remove(MARK);
    let isBegun = false;
    const slow: Disk = {
      ...withFiles(disk, () => undefined),
      link(path, to) {
        if (!isBegun) {
          disk.put(LOG_PATH, begun);
          if (hasMark) disk.put(MARK, itsMark);
        }
        isBegun = true;
        disk.link(path, to);
      },
    };
    const restoring = restoreLog("copy", LOG_PATH, { ...upkeep(disk), disk: slow });
    await assert.rejects(restoring, { code: "log_refused" });
    assert.deepEqual(disk.contentOf(LOG_PATH), begun);
    if (hasMark) assert.deepEqual(disk.contentOf(MARK), itsMark);
    assert.deepEqual(disk.paths.filter((path) => path.includes(".new-")), []);
  }
});

test("a plain log whose mark cannot be written does not carry its history on where power may undo", async () => {
  const disk = simulatedDisk();
  const log = await openTestLog({ disk, format: "plain" });
  await append(log, ONE);
  await log.close();
  disk.faults.failPath = MARK;
  disk.faults.failingWrites = Infinity;
  const weak = await openTestLog({
    disk,
    durability: "no",
    random: upkeep(disk, { seed: 3 }).random,
  });
  await append(weak, TWO);
  const after = disk.crash("nothing");
  const again = await openTestLog({ disk: after, random: upkeep(after, { seed: 4 }).random });
  assert.equal(again.durable, 1);
  assert.notEqual(again.history, weak.history);
});

test("a start removes what a look for room and half of a mark have left", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE);
  disk.put(`${LOG_PATH}.room`, bytes("x"));
  disk.put(`${MARK}-new`, bytes("x"));
  await (await openTestLog({ disk })).close();
  assert.deepEqual(disk.paths, [LOG_PATH, MARK]);
});

test("a log that is missing is begun although a snapshot of one was put aside", async () => {
  const disk = simulatedDisk();
  disk.put(`${LOG_PATH}.snapshot-0000000000000001.old-1700000000000`, bytes("x"));
  await (await openTestLog({ disk })).close();
});

test("restoring in place of a damaged log that is stopped never lets the next start go on with that", async () => {
  for (const survival of SURVIVALS) {
    for (let step = 1, isOver = false; !isOver; step++) {
      const disk = simulatedDisk(step);
      await writeLog(disk, "checked", ONE);
      await backupLog(LOG_PATH, "copy", upkeep(disk));
      const log = await openTestLog({ disk });
      await append(log, TWO);
      // Its last commit was acknowledged, and only its mark tells it from a torn one.
      disk.flipBit(LOG_PATH, 8 * (log.durableBytes - 5));
      disk.put(MARK, disk.contentOf(MARK) ?? assert.fail());
      const next = disk.restart();
      next.faults.crashAtStep = next.steps + step;
      try {
        await restoreLog("copy", LOG_PATH, { ...upkeep(next), isReplacing: true });
        isOver = true;
      } catch {
        assert.ok(next.hasCrashed);
      }
      const found = next.crash(survival);
      const { random } = upkeep(found, { seed: 3 });
      const again = await openTestLog({ disk: found, random }).catch((error) => {
        assert.equal(error.code, "log_unreadable");
      });
      if (again !== undefined) assert.notEqual(again.history, log.history, `step ${step}`);
    }
  }
});
