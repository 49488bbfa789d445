/**
 * What an answer waits for: `always`, `everysec` and `no`, on a simulated disk that loses its
 * power.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Durability, EventLog } from "../../runtime/log/event_log.ts";
import type { OnSync } from "../../runtime/log/file_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";

interface Running {
  readonly clock: SimulatedClock;
  readonly disk: SimulatedDisk;
  readonly log: EventLog;
  append(count: number): Promise<void>;
}

async function run(
  format: LogFormat,
  durability: Durability,
  onSync?: OnSync,
): Promise<Running> {
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ clock, seed: 1 });
  const log = await openTestLog({ disk, clock, format, durability, onSync });
  const append = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await log.append([{ events: [Uint8Array.of(1)], bytes: 2 }]);
  };
  return { clock, disk, log, append };
}

/** The log as it is found after a loss of power that leaves nothing that was not synced. */
async function found({ disk, clock }: Running): Promise<EventLog> {
  return await openTestLog({
    disk: disk.crash("nothing"),
    clock,
    random: (bytes) => new Uint8Array(bytes).fill(99),
  });
}

/** Commits per sync, where three come together, one soon after, and one much later. */
const SYNCS: readonly (readonly [Durability, readonly number[]])[] = [
  ["always", [3, 1, 1]],
  ["everysec", [4, 1]],
  ["no", []],
];

for (const format of ["checked", "plain"] as const) {
  test(`${format} log with everysec is synced within a second of a write`, async () => {
    const running = await run(format, "everysec");
    await running.append(3);
    await running.clock.advance(999);
    await running.append(2);
    assert.equal(running.log.durable, 5, "acknowledged");
    await running.clock.advance(1);
    await running.append(1);
    const after = await found(running);
    assert.equal(after.durable, 5);
    assert.notEqual(after.history, running.log.history, "positions may mean something else now");
  });

  test(`${format} log tells of each sync what it took and how many commits it brought`, async () => {
    for (const [durability, expected] of SYNCS) {
      const seen: number[] = [];
      const { log, append, clock, disk } = await run(format, durability, (ms, commits) => {
        assert.ok(ms >= 0 && ms <= 10, `${ms}`);
        seen.push(commits);
      });
      disk.faults.syncMsMax = 10;
      const commit = { events: [Uint8Array.of(1), Uint8Array.of(2)], bytes: 4 };
      void log.append([commit, commit, commit]);
      await clock.advance(20);
      void append(1);
      await clock.advance(2000);
      void append(1);
      await clock.advance(2000);
      assert.deepEqual(seen, expected, durability);
    }
  });

  test(`${format} log with everysec lets writes wait for a sync that takes too long`, async () => {
    const running = await run(format, "everysec");
    running.disk.faults.syncMsMax = 10_000;
    await running.append(1);
    await running.clock.advance(1001);
    await running.append(1);
    await running.clock.advance(1001);
    let isDone = false;
    const slow = running.append(2).then(() => isDone = true);
    await running.clock.settle();
    assert.equal(isDone, false);
    await running.clock.advance(20_000);
    await slow;
    assert.equal(running.log.durable, 4);
  });

  test(`${format} log with everysec stops writing for good when a sync fails`, async () => {
    const running = await run(format, "everysec");
    await running.append(1);
    running.disk.faults.failingSyncs = 1;
    await running.clock.advance(1000);
    assert.match(running.log.readOnly ?? "", /could not be synced/);
    await assert.rejects(running.append(1), { code: "log_failed" });
    await running.log.close();
  });

  test(`${format} log with no durability loses nothing when it is closed in order`, async () => {
    for (const durability of ["everysec", "no"] as const) {
      const running = await run(format, durability);
      await running.append(3);
      await running.log.close();
      const after = await found(running);
      assert.equal(after.durable, 3);
      assert.equal(after.history, running.log.history);
    }
  });

  test(`${format} log with no durability loses what was not synced, and its history`, async () => {
    const running = await run(format, "no");
    await running.append(3);
    await running.clock.advance(60_000);
    const after = await found(running);
    assert.equal(after.durable, 0);
    assert.notEqual(after.history, running.log.history);
  });

  test(`${format} log with always keeps its history through a loss of power`, async () => {
    const running = await run(format, "always");
    await running.append(3);
    const after = await found(running);
    assert.deepEqual([after.durable, after.history], [3, running.log.history]);
  });
}

test("plain log keeps an empty event at its end when only the process ends", async () => {
  for (const durability of ["always", "everysec", "no"] as const) {
    const { disk, log, append, clock } = await run("plain", durability);
    await append(1);
    await log.append([{ events: [new Uint8Array(0)], bytes: 1 }]);
    const next = disk.restart();
    const again = await openTestLog({ disk: next, clock, warn: assert.fail });
    assert.equal(again.durable, 2, durability);
  }
});

test("checked log is grown ahead of its end with zeros, and whoever opens it then says nothing", async () => {
  const { disk, clock, log, append } = await run("checked", "always");
  await append(3);
  const content = () => disk.contentOf(LOG_PATH) ?? assert.fail();
  assert.ok(content().length > log.durableBytes);
  assert.ok(content().subarray(log.durableBytes).every((byte) => byte === 0));
  const killed = disk.restart();
  const again = await openTestLog({ disk: killed, clock, warn: assert.fail });
  assert.equal(again.durable, 3);
  assert.deepEqual(killed.paths.filter((path) => path.includes(".cut-")), []);
  await again.append([{ events: [Uint8Array.of(1)], bytes: 2 }]);
  await again.close();
  assert.equal(killed.contentOf(LOG_PATH)?.length, again.durableBytes);
});

test("checked log does without zeros where there is no room for them", async () => {
  const { disk, log, append } = await run("checked", "always");
  const before = log.durableBytes;
  for (const room of [1000, 0]) {
    disk.faults.roomBytes = room;
    let appended = 0;
    await assert.rejects(async () => {
      for (;; appended++) await append(1);
    }, { code: "log_full" });
    assert.equal(appended > 0, room > 0);
    assert.equal(disk.contentOf(LOG_PATH)?.length, log.durableBytes);
  }
  assert.ok(log.durableBytes > before + 500);
  disk.faults.roomBytes = Infinity;
  await append(1);
});

test("checked log that another program has written to behind its end is not written any more", async () => {
  const { disk, clock, log, append } = await run("checked", "always");
  await append(1);
  await clock.advance(1000);
  (disk.open(LOG_PATH) ?? assert.fail()).write(Uint8Array.of(1), log.durableBytes + 100);
  await assert.rejects(append(1), { code: "log_failed", message: /by another program/ });
});

test("checked log with everysec that is closed on a full disk says in its mark what it has", async () => {
  const { disk, clock, log, append } = await run("checked", "everysec");
  await append(2);
  const { durableBytes } = log;
  disk.faults.roomBytes = 0;
  await log.close();
  const next = disk.crash("nothing");
  next.put(LOG_PATH, disk.contentOf(LOG_PATH)?.slice(0, durableBytes - 1) ?? new Uint8Array(0));
  await assert.rejects(openTestLog({ disk: next, clock }), /but \d+ bytes were acknowledged/);
});
