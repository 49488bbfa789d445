/**
 * Pages that a failed sync has marked clean though they are not on the disk: they may go from the
 * system's cache at any time, also while a start looks at them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Disk } from "../../runtime/log/disk.ts";
import { sizeInCommit } from "../../runtime/log/event_log.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";

const commit = (text: string) => {
  const event = new TextEncoder().encode(text);
  return { events: [event], bytes: sizeInCommit(event) };
};

/** A disk on which the log's lost pages go when the log is read from `offset` on. */
function evictingAt(disk: SimulatedDisk, offset: number): Disk {
  return {
    open(path) {
      const file = disk.open(path);
      if (file === undefined || path !== LOG_PATH) return file;
      return {
        ...file,
        read(into, at) {
          if (at === offset) disk.evict(path);
          return file.read(into, at);
        },
      };
    },
    openToRead: (path) => disk.openToRead(path),
    create: (path) => disk.create(path),
    remove: (path) => disk.remove(path),
    link: (path, to) => disk.link(path, to),
    rename: (path, to) => disk.rename(path, to),
    list: (prefix) => disk.list(prefix),
    identityOf: (path) => disk.identityOf(path),
    syncFolder: (path) => disk.syncFolder(path),
    lock: (path) => disk.lock(path),
  };
}

test("checked log is not carried on behind pages that went while it was opened", async () => {
  for (const leaves of ["nothing", "prefix", "sectors", "anything"] as const) {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed });
      const log = await openTestLog({ disk });
      await log.append([commit("acknowledged")]);
      const { durableBytes } = log;
      Object.assign(disk.faults, { failingSyncs: 1, failedSyncLeaves: leaves });
      await assert.rejects(log.append([commit("x".repeat(3000))]), { code: "log_failed" });
      const next = disk.restart();
      const again = await openTestLog({ disk: evictingAt(next, durableBytes) });
      const from = again.durable;
      assert.ok(from === 1 || from === 2);
      await again.append([commit("more")]);
      const found = await openTestLog({ disk: next.crash("nothing") });
      assert.equal(found.durable, from + 1);
    }
  }
});
