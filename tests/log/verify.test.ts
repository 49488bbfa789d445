/**
 * Verifying logs: what is counted, what is damage, and what is only in flight.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { COMMITS, FILE_HEAD, smallFrame } from "../../runtime/log/frame.ts";
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
  logWithMeta,
  simulatedDisk,
  upkeep,
  writeLog,
} from "../support/upkeep.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("verifying counts what is in a log", async () => {
  await holds(30, fc.tuple(anyFormat, anyCommits), async ([format, commits]) => {
    const disk = simulatedDisk();
    await writeLog(disk, format, commits);
    const { found, events, frames, marked } = verifyLog(LOG_PATH, upkeep(disk));
    const count = eventsIn(commits).length;
    assert.equal(found.format, format);
    assert.equal(found.sequence, format === "plain" ? count : commits.length);
    assert.equal(events, count);
    assert.equal(frames, format === "plain" ? 0 : commits.length);
    assert.equal(found.end, disk.contentOf(LOG_PATH)?.length);
    assert.equal(marked, found.end);
  });
});

test("verifying counts the commits that have a note", () => {
  const disk = simulatedDisk();
  disk.put(LOG_PATH, logWithMeta());
  const { events, withMeta } = verifyLog(LOG_PATH, upkeep(disk));
  assert.deepEqual({ events, withMeta }, { events: 2, withMeta: 1 });
});

test("verifying finds any flipped bit of a checked log", async () => {
  const disk = simulatedDisk();
  await writeLog(disk, "checked", [[bytes("one")], [bytes("two"), bytes("three")]]);
  const size = disk.contentOf(LOG_PATH)?.length ?? 0;
  await holds(100, fc.tuple(fc.nat(size - 1), fc.nat(7)), ([at, bit]) => {
    const flip = (bytes: Uint8Array) => bytes.with(at, (bytes[at] ?? 0) ^ 1 << bit);
    changeFile(disk, LOG_PATH, flip);
    assert.throws(() => verifyLog(LOG_PATH, upkeep(disk)), { code: "log_unreadable" });
    changeFile(disk, LOG_PATH, flip);
  });
  verifyLog(LOG_PATH, upkeep(disk));
});

test("verifying beside a writer takes nothing that is in flight for damage", async () => {
  await holds(
    30,
    fc.tuple(anyFormat, anyCommits, fc.integer()),
    async ([format, commits, seed]) => {
      const clock = new SimulatedClock();
      const disk = new SimulatedDisk({ clock, seed });
      const log = await openTestLog({ disk, clock, format });
      await append(log, commits);
      const { durable } = log;
      // All that a write call has brought to the file so far: any part of it.
      const size = log.durableBytes;
      disk.faults.syncMsMax = 10_000;
      const inFlight = append(log, [[bytes("a")], [bytes("b")], [bytes("c")]]);
      const grown = disk.contentOf(LOG_PATH) ?? assert.fail();
      const dataEnd = grown.findLastIndex((byte) => byte !== 0) + 1;
      for (let to = size; to <= dataEnd + 7; to += 7) {
        const beside = simulatedDisk();
        beside.put(LOG_PATH, grown.slice(0, to));
        beside.put(`${LOG_PATH}.mark`, disk.contentOf(`${LOG_PATH}.mark`) ?? assert.fail());
        const { found, marked } = verifyLog(LOG_PATH, upkeep(beside));
        assert.equal(marked, size);
        assert.ok(found.sequence >= durable && found.end >= size && found.end <= to);
      }
      await clock.advance(1_000_000);
      await inFlight;
    },
  );
});

test("verifying finds a frame that is whole and does not hold its commits", () => {
  const common = { sequence: 1, time: 1, durable: 0, commits: 0, bodyBytes: 0, fileId: 1n };
  const head = smallFrame(
    { ...common, kind: FILE_HEAD, offset: 0, before: 0 },
    new Uint8Array(0),
  );
  const bodies = [
    Uint8Array.of(),
    Uint8Array.of(0, 1),
    Uint8Array.of(0, 1, 5, 65),
    Uint8Array.of(0, 1, 1, 65, 66),
    Uint8Array.of(9, 1, 1, 65),
    Uint8Array.of(0, 0x80),
    Uint8Array.of(0, 1, 0x80),
  ];
  for (const body of bodies) {
    const offset = head.bytes.length;
    const place = { kind: COMMITS, offset, before: head.crc, commits: 1 };
    const frame = smallFrame({ ...common, ...place }, body);
    const disk = simulatedDisk();
    disk.put(LOG_PATH, Uint8Array.of(...head.bytes, ...frame.bytes));
    assert.throws(() => verifyLog(LOG_PATH, upkeep(disk)), {
      code: "log_unreadable",
      message: new RegExp(`frame at offset ${offset}.*does not hold them.*--cut-at ${offset}`),
    });
  }
});
