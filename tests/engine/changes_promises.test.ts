/**
 * Following the log, as properties: whoever follows sees exactly the durable commits, each once
 * and in order, whatever is written, read, slowed, stopped and started again meanwhile. What is
 * checked is in `support/followers.ts`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Disk, DiskFile } from "../../runtime/log/disk.ts";
import type { Durability } from "../../runtime/log/event_log.ts";
import type { LogOptions } from "../../runtime/log/open_log.ts";
import { flakyLog } from "../support/flaky_log.ts";
import {
  type FollowedStorage,
  type FollowEnd,
  type FollowFault,
  type FollowOptions,
  followSteps,
  runFollowing,
} from "../support/followers.ts";
import { breaks, holds } from "../support/property.ts";
import { Random } from "../support/random.ts";
import type { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { openTestLog } from "../support/test_log.ts";

const FAULTS: readonly FollowFault[] = ["slow", "fast", "no room", "room", "failing"];
const ENDS: readonly FollowEnd[] = ["close", "kill", "nothing", "everything", "prefix", "pages"];

/** A log in memory, which knows no crash. */
function memoryStorage(clock: SimulatedClock): FollowedStorage {
  const { log, faults } = flakyLog(clock);
  return {
    open() {
      faults.nextAppends = "ok";
      return Promise.resolve(log);
    },
    set(fault) {
      if (fault === "slow") faults.appendMs = 20;
      else if (fault === "fast") faults.appendMs = 0;
      else if (fault === "no room") faults.nextAppends = "full";
      else if (fault === "failing") faults.nextAppends = "failed";
      else if (faults.nextAppends === "full") faults.nextAppends = "ok";
    },
    end() {},
    mayForget: false,
  };
}

interface DiskSetting {
  readonly format: LogOptions["format"];
  readonly durability?: Durability;
  /** Breaks the disk on purpose. */
  readonly mutation?: (disk: Disk) => Disk;
}

/** A log on a simulated disk. */
function diskStorage(clock: SimulatedClock, setting: DiskSetting): FollowedStorage {
  const { format = "checked", durability = "always", mutation = (disk) => disk } = setting;
  let disk = new SimulatedDisk({ clock, seed: 1 });
  const random = new Random(2);
  return {
    open: () =>
      openTestLog({
        disk: mutation(disk),
        clock,
        format,
        durability,
        timeOfDay: () => clock.now(),
        // Never the same twice: a new history must be another one.
        random: (bytes) => Uint8Array.from({ length: bytes }, () => random.upTo(255)),
      }),
    set(fault) {
      const { faults } = disk;
      if (fault === "slow") faults.syncMsMax = 20;
      else if (fault === "fast") faults.syncMsMax = 0;
      else if (fault === "no room") faults.roomBytes = 3000;
      else if (fault === "room") faults.roomBytes = Infinity;
      else faults.failingSyncs = 1;
    },
    end(how) {
      disk = how === "close" || how === "kill" ? disk.restart() : disk.crash(how);
    },
    // Also when it is closed, if it has failed and cannot say so.
    mayForget: durability !== "always",
  };
}

async function followersSeeAll(
  runs: number,
  storage: (clock: SimulatedClock) => FollowedStorage,
  options: FollowOptions,
): Promise<void> {
  let cases = 0;
  let taken = 0;
  await holds(runs, followSteps(options), async (steps) => {
    taken += await runFollowing(steps, storage);
    cases++;
  });
  // Runs in which nothing happens would prove nothing.
  assert.ok(taken > 10 * cases, `${cases} cases, ${taken} commits taken`);
}

test("changes are exactly what is durable on a memory log that is slow, full and failing", async () => {
  await followersSeeAll(100, memoryStorage, { faults: FAULTS, ends: ["close"] });
});

test("changes are exactly what is durable on a checked log whose disk fails and crashes", async () => {
  const setting: DiskSetting = { format: "checked" };
  const options = { faults: FAULTS, ends: ENDS };
  await followersSeeAll(60, (clock) => diskStorage(clock, setting), options);
});

test("changes are exactly what is durable on a plain log whose disk is slow, full and crashes", async () => {
  const setting: DiskSetting = { format: "plain" };
  // It cannot tell a hole from empty events.
  const options: FollowOptions = {
    faults: ["slow", "fast", "no room", "room"],
    ends: ["close", "kill", "nothing", "everything"],
  };
  await followersSeeAll(60, (clock) => diskStorage(clock, setting), options);
});

test("changes go on, or their history is unknown, when a crash undoes what was not synced", async () => {
  const setting: DiskSetting = { format: "checked", durability: "no" };
  const options = { faults: FAULTS, ends: ENDS };
  await followersSeeAll(40, (clock) => diskStorage(clock, setting), options);
});

test("changes that a crash can undo are found out on a disk that does not sync", async () => {
  const lying = (file: DiskFile): DiskFile => ({
    ...file,
    syncNow: () => {},
    sync: () => Promise.resolve(),
  });
  const mutation = (disk: Disk): Disk => ({
    open: (path) => {
      const file = disk.open(path);
      return file === undefined ? undefined : lying(file);
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
  });
  const steps = followSteps({ faults: ["slow", "fast"], ends: ["nothing"] });
  const found = await breaks(200, steps, async (steps) => {
    await runFollowing(steps, (clock) => diskStorage(clock, { format: "checked", mutation }));
  });
  assert.match(found ?? "nothing found", /is in the log|Cannot open log|beyond the end/);
});
