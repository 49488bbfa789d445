/**
 * Conversions between the formats: what is kept, what is refused, and what is left where.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { convertLog } from "../../runtime/log/convert.ts";
import { holdLog } from "../../runtime/log/hold_log.ts";
import { survey } from "../../runtime/log/recovery.ts";
import { holds } from "../support/property.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import {
  anyCommits,
  anyFormat,
  changeFile,
  eventsIn,
  eventsOf,
  logWithMeta,
  openWhole,
  simulatedDisk,
  upkeep,
  writeLog,
} from "../support/upkeep.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const ONE_TWO = [[bytes("one")], [bytes("two"), bytes("three")]];

test("converting there and back keeps all events, in order", async () => {
  await holds(30, fc.tuple(anyFormat, anyCommits), async ([format, commits]) => {
    const other = format === "plain" ? "checked" : "plain";
    const disk = simulatedDisk();
    await writeLog(disk, format, commits);
    const original = disk.contentOf(LOG_PATH);
    const histories = [(await openWhole(disk)).history];
    for (const [i, to] of ([other, format] as const).entries()) {
      const converted = await convertLog(LOG_PATH, { ...upkeep(disk, { seed: i }), to });
      assert.equal(converted.events, eventsIn(commits).length);
      const log = await openWhole(disk);
      assert.equal(log.counts, to === "plain" ? "events" : "commits");
      assert.equal(log.durable, converted.events);
      assert.deepEqual(await eventsOf(log), eventsIn(commits));
      assert.ok(!histories.includes(log.history), "a new history");
      histories.push(log.history);
    }
    assert.deepEqual(disk.contentOf(`${LOG_PATH}.old-500`), original);
    if (format === "plain") assert.deepEqual(disk.contentOf(LOG_PATH), original);
    const old = await openWhole(disk, `${LOG_PATH}.old-500`);
    assert.equal(old.history, histories[0], "the old log has kept its mark");
    assert.deepEqual(disk.paths.filter((path) => path.includes(".new-")), []);
  });
});

test("converting gives the new log another name if there is one, and leaves the old one", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "plain", ONE_TWO);
  const before = disk.contentOf(LOG_PATH);
  const converted = await convertLog(LOG_PATH, { ...upkeep(disk), to: "checked", dest: "other" });
  assert.equal(converted.path, "other");
  assert.deepEqual(disk.contentOf(LOG_PATH), before);
  assert.deepEqual(await eventsOf(await openWhole(disk, "other")), eventsIn(ONE_TWO));
});

test("converting is refused when it would change nothing or overwrite something", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "plain", ONE_TWO);
  disk.put("other", bytes("mine"));
  const before = disk.paths;
  const options = upkeep(disk);
  await assert.rejects(convertLog(LOG_PATH, { ...options, to: "plain" }), { code: "log_refused" });
  await assert.rejects(
    convertLog(LOG_PATH, { ...options, to: "checked", dest: "other" }),
    { code: "log_refused" },
  );
  assert.deepEqual(disk.paths, before);
});

test("converting is refused while the log is written, and lets go of it otherwise", async () => {
  const disk = simulatedDisk();
  const log = await openTestLog({ disk, format: "plain" });
  const options = { ...upkeep(disk), to: "checked" as const };
  await assert.rejects(convertLog(LOG_PATH, options), { code: "log_locked" });
  await log.close();
  await convertLog(LOG_PATH, options);
  await (await openTestLog({ disk })).close();
});

test("converting refuses a damaged log, and leaves out a torn tail with a warning", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", ONE_TWO);
  const whole = disk.contentOf(LOG_PATH) ?? assert.fail();
  changeFile(disk, LOG_PATH, (bytes) => bytes.with(250, (bytes[250] ?? 0) ^ 1));
  const options = { ...upkeep(disk), to: "plain" as const };
  await assert.rejects(convertLog(LOG_PATH, options), { code: "log_unreadable" });
  disk.put(LOG_PATH, Uint8Array.of(...whole, 80, 1, 2));
  const warnings: string[] = [];
  await convertLog(LOG_PATH, { ...options, warn: (message) => void warnings.push(message) });
  assert.match(warnings.join(), /ends with 3 bytes that were never acknowledged/);
  assert.deepEqual(await eventsOf(await openWhole(disk)), eventsIn(ONE_TWO));
});

test("a converted log is one that was closed well, and all of it is durable by its own word", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "plain", ONE_TWO);
  await convertLog(LOG_PATH, { ...upkeep(disk), to: "checked" });
  const held = await holdLog(LOG_PATH, disk);
  const found = survey({ ...held, path: LOG_PATH, mark: undefined, warn: assert.fail });
  assert.ok(found.isClean);
  assert.ok(found.durable > 0 && found.durable < found.end, "up to its seal");
  held.release();
});

test("converting to plain is refused for what was noted with a commit, unless it may be lost", async () => {
  const disk = simulatedDisk();
  disk.put(LOG_PATH, logWithMeta());
  const options = { ...upkeep(disk), to: "plain" as const };
  await assert.rejects(convertLog(LOG_PATH, options), {
    code: "log_refused",
    message: /noted with commit 2; say --drop-meta/,
  });
  assert.deepEqual(disk.paths, [LOG_PATH]);
  const { metaDropped, events } = await convertLog(LOG_PATH, { ...options, mayDropMeta: true });
  assert.equal(metaDropped, 1);
  assert.equal(events, 2);
});
