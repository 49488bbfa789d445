/**
 * Following a log beside its writer, from any place on; and reading up to where it is damaged.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { convertLog } from "../../runtime/log/convert.ts";
import { type FollowOptions, LogFollower } from "../../runtime/log/follow_log.ts";
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
  simulatedDisk,
  upkeep,
  writeLog,
} from "../support/upkeep.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function follow(disk: SimulatedDisk, options: Partial<FollowOptions> = {}): LogFollower {
  return new LogFollower(LOG_PATH, { disk, warn: assert.fail, ...options });
}

/** All that it hands out now. */
function readAll(follower: LogFollower) {
  const commits = [];
  for (let next = follower.next(); next !== undefined; next = follower.next()) commits.push(next);
  return commits;
}

const eventsOf = (commits: ReturnType<typeof readAll>) =>
  eventsIn(commits.map(({ events }) => events));

test("follower reads what is durable, from any sequence on, and then what comes to be", async () => {
  const cases = fc.tuple(anyFormat, anyCommits, anyCommits, fc.integer(), fc.nat(20));
  await holds(30, cases, async ([format, commits, more, seed, from]) => {
    const clock = new SimulatedClock();
    const disk = new SimulatedDisk({ clock, seed });
    const log = await openTestLog({ disk, clock, format });
    await append(log, commits);
    const after = Math.max(0, from - 1);
    const follower = follow(disk, { from: after + 1 });
    const written = format === "plain" ? eventsIn(commits).map(() => 0) : commits;
    const first = readAll(follower);
    assert.equal(first.length, Math.max(0, written.length - after));
    assert.ok(!follower.refresh());
    disk.faults.syncMsMax = 100;
    const appended = append(log, more);
    const found = [...first, ...readAll(follower)];
    for (let i = 0; i < 20; i++) {
      await clock.advance(100);
      follower.refresh();
      found.push(...readAll(follower));
    }
    await appended;
    assert.deepEqual(found.map(({ sequence }) => sequence), found.map((_, i) => after + i + 1));
    const all = format === "plain"
      ? eventsIn([...commits, ...more]).slice(after)
      : eventsIn([...commits, ...more].slice(after));
    assert.deepEqual(eventsOf(found), all);
  });
});

test("follower begins with the newest commits, without a look at the others", async () => {
  const disk = simulatedDisk();
  const large = new Uint8Array(200_000);
  const commits = Array.from({ length: 20 }, (_, i) => [bytes(`${i}`), large]);
  await writeLog(disk, "checked", commits);
  for (const last of [0, 1, 3, 20, 30]) {
    const follower = follow(disk, { last });
    const found = readAll(follower);
    assert.deepEqual(eventsOf(found), eventsIn(last === 0 ? [] : commits.slice(-last)));
  }
  // Damage at the begin is not its business.
  changeFile(disk, LOG_PATH, (bytes) => bytes.with(1000, 1));
  assert.equal(readAll(follow(disk, { last: 2 })).length, 2);
});

for (const format of ["plain", "checked"] as const) {
  test(`follower reads a damaged ${format} log up to its damage, and says where it is`, async () => {
    const disk = simulatedDisk();
    const log = await openTestLog({ disk, format });
    await append(log, [[bytes("one")], [bytes("two")]]);
    const { durableBytes: end } = log;
    await append(log, [[bytes("three")], [bytes("four")]]);
    // In a plain log: a size that no event can have.
    changeFile(disk, LOG_PATH, (bytes) => bytes.fill(255, end, end + 6));
    const follower = follow(disk);
    assert.deepEqual([follower.next(), follower.next()].map((it) => it?.sequence), [1, 2]);
    for (let i = 0; i < 2; i++) {
      assert.throws(() => follower.next(), {
        code: "log_unreadable",
        message: new RegExp(`damaged at offset ${end}.*events repair`),
      });
    }
  });

  test(`follower reads all that there is of a ${format} log that lost its end`, async () => {
    const disk = simulatedDisk();
    await writeLog(disk, format, [[bytes("one")], [bytes("two")], [bytes("three")]]);
    changeFile(disk, LOG_PATH, (bytes) => bytes.slice(0, format === "plain" ? -3 : -100));
    const follower = follow(disk);
    assert.deepEqual([follower.next(), follower.next()].map((it) => it?.sequence), [1, 2]);
    assert.throws(() => follower.next(), { code: "log_unreadable" });
  });
}

test("follower ends when another log is put in the place of its own", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "plain", [[bytes("one")]]);
  const follower = follow(disk);
  assert.equal(readAll(follower).length, 1);
  await convertLog(LOG_PATH, { ...upkeep(disk), to: "checked" });
  assert.throws(() => follower.refresh(), { message: /another log is in its place/ });
});
