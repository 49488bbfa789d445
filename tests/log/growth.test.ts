/**
 * A checked log is grown ahead of its end with zeros: who looks at it from elsewhere, writes into
 * them, or finds them where commits were.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { backupLog, restoreLog } from "../../runtime/log/backup.ts";
import type { DiskFile, DiskLock } from "../../runtime/log/disk.ts";
import type { Commit } from "../../runtime/log/event_log.ts";
import { verifyLog } from "../../runtime/log/verify.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import { upkeep } from "../support/upkeep.ts";

const MARK_PATH = `${LOG_PATH}.mark`;

function commitOf(byte: number): Commit[] {
  return [{ events: [Uint8Array.of(byte)], bytes: 2 }];
}

function newDisk(): { clock: SimulatedClock; disk: SimulatedDisk } {
  const clock = new SimulatedClock();
  return { clock, disk: new SimulatedDisk({ clock, seed: 1 }) };
}

/** A disk whose log becomes another one between two reads of it. */
class MovingDisk extends SimulatedDisk {
  readsLeft = Infinity;
  next: Uint8Array = new Uint8Array(0);

  override openToRead(path: string): DiskFile | undefined {
    const file = super.openToRead(path);
    if (file === undefined || path !== LOG_PATH) return file;
    const read = (into: Uint8Array, offset: number): number => {
      if (--this.readsLeft === 0) this.open(LOG_PATH)?.write(this.next, 0);
      return file.read(into, offset);
    };
    return { ...file, read };
  }
}

for (const look of ["verify", "read-only"] as const) {
  test(`a log is whole for ${look}, whatever a writer adds between two reads`, async () => {
    const { clock, disk } = newDisk();
    const log = await openTestLog({ disk, clock });
    for (let i = 0; i < 3; i++) await log.append(commitOf(i));
    const before = disk.contentOf(LOG_PATH) ?? assert.fail();
    const mark = disk.contentOf(MARK_PATH) ?? assert.fail();
    for (let i = 0; i < 3; i++) await log.append(commitOf(i));
    const after = disk.contentOf(LOG_PATH) ?? assert.fail();
    assert.equal(before.length, after.length, "both are in what it was grown by");
    for (let reads = 1;; reads++) {
      const beside = new MovingDisk({ clock, seed: 1 });
      beside.put(LOG_PATH, before);
      beside.put(MARK_PATH, mark);
      beside.next = after;
      beside.readsLeft = reads;
      const found = look === "verify"
        ? verifyLog(LOG_PATH, upkeep(beside)).found.sequence
        : (await openTestLog({ disk: beside, clock, readOnly: true })).durable;
      assert.ok(found >= 3 && found <= 6);
      if (beside.readsLeft > 0) break;
    }
  });
}

/** A disk on which two writers do not see each other's locks. */
class UnlockedDisk extends SimulatedDisk {
  override lock(): Promise<DiskLock> {
    return Promise.resolve({ release() {} });
  }
}

test("a writer whose lock was not seen is stopped before it writes over another's commit", async () => {
  const clock = new SimulatedClock();
  const disk = new UnlockedDisk({ clock, seed: 1 });
  const first = await openTestLog({ disk, clock });
  await first.append(commitOf(1));
  const second = await openTestLog({ disk, clock });
  await second.append(commitOf(2));
  await assert.rejects(first.append(commitOf(3)), { code: "log_failed" });
  await second.append(commitOf(4));
  assert.equal((await openTestLog({ disk: disk.restart(), clock })).durable, 3);
});

test("what another program has written behind the end is left alone when the log is closed", async () => {
  const { clock, disk } = newDisk();
  const warnings: string[] = [];
  const log = await openTestLog({ disk, clock, warn: (message) => warnings.push(message) });
  await log.append(commitOf(1));
  const at = log.durableBytes + 1000;
  (disk.open(LOG_PATH) ?? assert.fail()).write(Uint8Array.of(9, 9, 9), at);
  await log.close();
  assert.deepEqual(disk.contentOf(LOG_PATH)?.slice(at, at + 3), Uint8Array.of(9, 9, 9));
  assert.match(warnings.join(), /another program/);
});

test("a log whose last commits became zeros is not opened by a restore that is stopped", async () => {
  for (let step = 1;; step++) {
    const { clock, disk } = newDisk();
    const log = await openTestLog({ disk, clock });
    for (let i = 0; i < 2; i++) await log.append(commitOf(i));
    await backupLog(LOG_PATH, "copy", upkeep(disk));
    const { durableBytes, history } = log;
    for (let i = 0; i < 3; i++) await log.append(commitOf(i));
    const next = disk.restart();
    next.put(LOG_PATH, (next.contentOf(LOG_PATH) ?? assert.fail()).fill(0, durableBytes));
    next.put(MARK_PATH, next.contentOf(MARK_PATH) ?? assert.fail());
    await assert.rejects(openTestLog({ disk: next, clock }), { code: "log_unreadable" });
    next.faults.crashAtStep = next.steps + step;
    const isRestored = await restoreLog("copy", LOG_PATH, { ...upkeep(next), isReplacing: true })
      .then(() => true, () => false);
    const found = next.crash("nothing");
    try {
      const again = await openTestLog({ disk: found, clock });
      assert.equal(again.durable, 2);
      assert.notEqual(again.history, history, `step ${step}`);
    } catch (error) {
      assert.match(String(error), /acknowledged|durable once|belongs to another log/);
    }
    if (isRestored) break;
  }
});

test("a torn tail of a plain log is kept with the zeros that it ends in", async () => {
  const { clock, disk } = newDisk();
  const log = await openTestLog({ disk, clock, format: "plain" });
  await log.append(commitOf(1));
  const next = disk.restart();
  const torn = [10, 1, 0, 0, 0];
  next.put(LOG_PATH, Uint8Array.of(...next.contentOf(LOG_PATH) ?? assert.fail(), ...torn));
  const again = await openTestLog({ disk: next, clock });
  assert.equal(again.durable, 1);
  const kept = next.paths.find((path) => path.includes(".cut-")) ?? assert.fail();
  assert.deepEqual(next.contentOf(kept), Uint8Array.from(torn));
});
