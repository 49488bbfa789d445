/**
 * The file of a snapshot: its bytes, and that nothing which can happen to it or to the machine ever
 * gives another model than one that was stored.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import type { Disk, DiskFile } from "../../runtime/log/disk.ts";
import { crcBefore, Snapshots } from "../../runtime/log/find_snapshot.ts";
import {
  listSnapshots,
  readSnapshotBody,
  readSnapshotHead,
  removeSnapshots,
  removeUnfinished,
  type SnapshotHead,
  snapshotPath,
  writeSnapshot,
} from "../../runtime/log/snapshot_file.ts";
import { modelCodec } from "../../runtime/model_codec.ts";
import { assertSame } from "../support/model_values.ts";
import { Random } from "../support/random.ts";
import { CrashError } from "../support/simulated_disk.ts";
import { SURVIVALS } from "../support/simulated_file.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import { append, simulatedDisk } from "../support/upkeep.ts";

const FOLDER = new URL("../vectors/snapshot/", import.meta.url);
const ROUNDS = process.env.ALCEDO_LONG ? 20 : 1;

const bytes = (text: string) => new TextEncoder().encode(text);

/** The model in the golden file. */
function goldenModel(): unknown {
  const ann = { name: "Ann", tags: ["a", "ü"] };
  return {
    users: new Map([["ann", ann], ["bob", { name: "Bob", tags: [] }]]),
    first: ann,
    big: -3n,
    none: [undefined, null, -0, true],
    raw: new Uint8Array([1, 2]),
    at: new Date(1700000000000),
  };
}

function goldenHead(): SnapshotHead {
  const { fileId, ...head } = JSON.parse(readFileSync(new URL("head.json", FOLDER), "utf8"));
  return { ...head, fileId: BigInt(`0x${fileId}`) };
}

function options(disk: Disk, seed = 1) {
  const random = new Random(seed);
  return {
    disk,
    random: (size: number) => Uint8Array.from({ length: size }, () => random.upTo(255)),
  };
}

/** A disk with a log of five commits, two models of it, and the heads of their snapshots. */
async function logWithModels(format: "plain" | "checked", seed = 1) {
  const disk = simulatedDisk(seed);
  const log = await openTestLog({ disk, format });
  const heads: SnapshotHead[] = [];
  for (const sequence of [3, 5]) {
    while (log.durable < sequence) await append(log, [[bytes(`event ${log.durable}`)]]);
    const file = fileOf(disk);
    const fileId = format === "plain"
      ? 0n
      : new DataView(readAll(file).buffer).getBigUint64(53, true);
    heads.push({
      fileId,
      history: log.history,
      alwaysDurable: true,
      isSealed: false,
      sequence,
      offset: log.durableBytes,
      crc: crcBefore({ file, fileId, path: LOG_PATH }, log.durableBytes),
      frameTime: 7,
      time: 1_000_000 * sequence,
      modelVersion: "1",
    });
    file.close();
  }
  await log.close();
  const [older, newer] = heads;
  assert.ok(older !== undefined && newer !== undefined);
  return { disk, older, newer };
}

function fileOf(disk: Disk): DiskFile {
  return disk.openToRead(LOG_PATH) ?? assert.fail("the log is there");
}

function readAll(file: DiskFile): Uint8Array {
  const content = new Uint8Array(file.size());
  for (let at = 0; at < content.length;) at += file.read(content.subarray(at), at);
  return content;
}

const OLDER = bytes("the older model");
const NEWER = bytes("the newer model");

/** The sequence of the model that a start finds; it must be one that was stored. */
function found(disk: Disk, warnings: string[] = [], version = "1"): number {
  const snapshots = new Snapshots(LOG_PATH, disk, (message) => warnings.push(message));
  const file = fileOf(disk);
  try {
    const snapshot = snapshots.load(file, version);
    if (snapshot === undefined) return 0;
    assert.deepEqual(snapshot.model, snapshot.sequence === 3 ? OLDER : NEWER);
    assert.equal(snapshot.time, 1000 * snapshot.sequence);
    return snapshot.sequence;
  } finally {
    file.close();
  }
}

test("a snapshot has the bytes that its format's description says", () => {
  const disk = simulatedDisk();
  const golden = readFileSync(new URL("db.events.snapshot-0000000000000003", FOLDER));
  const body = modelCodec.encode(goldenModel());
  const name = writeSnapshot(LOG_PATH, goldenHead(), body, options(disk));
  assert.equal(name, "db.events.snapshot-0000000000000003");
  assert.deepEqual(disk.contentOf(name), new Uint8Array(golden));
  const head = readSnapshotHead(name, 3, disk);
  assert.ok(!("fault" in head));
  const { headBytes, bodyBytes, headCrc: _, ...rest } = head;
  assert.deepEqual(rest, goldenHead());
  assert.equal(headBytes + bodyBytes + 4, golden.length);
  const found = readSnapshotBody(name, head, disk);
  assert.ok(found instanceof Uint8Array);
  assertSame(modelCodec.decode(found), goldenModel());
});

for (const format of ["plain", "checked"] as const) {
  test(`a snapshot of a ${format} log is found, and replaces older ones`, async () => {
    const { disk, older, newer } = await logWithModels(format);
    assert.equal(found(disk), 0);
    writeSnapshot(LOG_PATH, older, OLDER, options(disk));
    assert.equal(found(disk), 3);
    writeSnapshot(LOG_PATH, newer, NEWER, options(disk));
    assert.equal(found(disk), 5);
    assert.deepEqual(listSnapshots(LOG_PATH, disk), [snapshotPath(LOG_PATH, 5)]);
    // Another one of the same commit takes its place.
    writeSnapshot(LOG_PATH, newer, NEWER, options(disk, 2));
    assert.equal(found(disk), 5);
    removeSnapshots(LOG_PATH, disk);
    assert.equal(found(disk), 0);
  });
}

test("a snapshot says where the look at its log may begin, without its body being read", async () => {
  const { disk, older, newer } = await logWithModels("checked");
  writeSnapshot(LOG_PATH, older, OLDER, options(disk));
  const warnings: string[] = [];
  const snapshots = new Snapshots(LOG_PATH, disk, (message) => warnings.push(message));
  const { offset, crc: before, fileId, history, frameTime: time } = older;
  const expected = {
    link: { offset, sequence: 4, before, fileId },
    time,
    history,
    alwaysDurable: true,
    isSealed: false,
  };
  assert.deepEqual(snapshots.start(fileOf(disk), "1"), expected);
  assert.equal(snapshots.start(fileOf(disk), undefined), undefined);
  // A newer one that is damaged is passed over, and said so once.
  disk.put(
    snapshotPath(LOG_PATH, 5),
    bytes("no snapshot ".repeat(20)),
  );
  assert.deepEqual(snapshots.start(fileOf(disk), "1"), expected);
  assert.equal(snapshots.load(fileOf(disk), "1")?.sequence, newer.sequence - 2);
  assert.deepEqual(warnings, [
    `The snapshot "${snapshotPath(LOG_PATH, 5)}" is passed over: it is no snapshot. An older one ` +
    `is taken, or the whole log is replayed.`,
  ]);
});

test("writing a snapshot leaves the old one or the new one, at whatever step it is stopped", async () => {
  for (let round = 1; round <= ROUNDS; round++) {
    for (const areNamesUnordered of [false, true]) {
      for (const survival of SURVIVALS) {
        let isDone = false;
        for (let step = 1; !isDone; step++) {
          const { disk, older, newer } = await logWithModels("checked", 300 * round + step);
          writeSnapshot(LOG_PATH, older, OLDER, options(disk));
          Object.assign(disk.faults, { crashAtStep: disk.steps + step, areNamesUnordered });
          try {
            writeSnapshot(LOG_PATH, newer, NEWER, options(disk, 2));
            isDone = true;
          } catch (error) {
            assert.ok(error instanceof CrashError, String(error));
          }
          const after = disk.crash(survival);
          const sequence = found(after);
          assert.ok(isDone ? sequence === 5 : sequence !== 0, `${sequence} at step ${step}`);
          removeUnfinished(LOG_PATH, after);
          assert.deepEqual(
            after.paths.filter((path) => path.includes("snapshot-new")),
            [],
          );
          writeSnapshot(LOG_PATH, newer, NEWER, options(after, 3));
          assert.equal(found(after.crash("nothing")), 5);
        }
      }
    }
  }
});

test("writing a snapshot leaves the old one, and nothing else, whatever operation fails", async () => {
  let isDone = false;
  for (let step = 1; !isDone; step++) {
    const { disk, older, newer } = await logWithModels("checked", step);
    writeSnapshot(LOG_PATH, older, OLDER, options(disk));
    disk.faults.failAtStep = disk.steps + step;
    try {
      writeSnapshot(LOG_PATH, newer, NEWER, options(disk, 2));
      isDone = disk.steps < disk.faults.failAtStep;
    } catch (error) {
      assert.ok(error instanceof Error);
    }
    disk.faults.failAtStep = Infinity;
    assert.ok(found(disk) >= (isDone ? 5 : 3), `step ${step}`);
    assert.deepEqual(disk.paths.filter((path) => path.includes("snapshot-new")), []);
  }
});

test("a snapshot without room on the disk is not made", async () => {
  const { disk, older, newer } = await logWithModels("checked");
  writeSnapshot(LOG_PATH, older, OLDER, options(disk));
  disk.faults.roomBytes = 50;
  assert.throws(() => writeSnapshot(LOG_PATH, newer, NEWER, options(disk)));
  assert.equal(found(disk), 3);
  assert.equal(disk.faults.roomBytes, 50);
});

test("a snapshot that does not read back as it was written is not made", async () => {
  const { disk, older, newer } = await logWithModels("checked");
  writeSnapshot(LOG_PATH, older, OLDER, options(disk));
  const size = disk.contentOf(snapshotPath(LOG_PATH, 3))?.length ?? 0;
  for (let bit = 0; bit < 8 * size; bit++) {
    assert.throws(
      () => writeSnapshot(LOG_PATH, newer, NEWER, options(flipping(disk, bit))),
      /^(TypeError: Cannot keep snapshot "db.events.snapshot-0000000000000005": read back, )/,
    );
    assert.equal(found(disk), 3);
  }
});

/** The disk, but it writes one bit of the whole of each file wrong. */
function flipping(disk: Disk, bit: number): Disk {
  const create = (path: string): DiskFile => {
    const file = disk.create(path);
    return {
      ...file,
      write(bytes, offset) {
        const copy = bytes.slice();
        const at = (bit >> 3) - offset;
        if (at >= 0 && at < copy.length) copy[at] = (copy[at] ?? 0) ^ 1 << (bit & 7);
        return file.write(copy, offset);
      },
    };
  };
  return {
    create,
    open: (path) => disk.open(path),
    openToRead: (path) => disk.openToRead(path),
    remove: (path) => disk.remove(path),
    link: (path, to) => disk.link(path, to),
    rename: (path, to) => disk.rename(path, to),
    list: (prefix) => disk.list(prefix),
    identityOf: (path) => disk.identityOf(path),
    syncFolder: (path) => disk.syncFolder(path),
    lock: (path) => disk.lock(path),
  };
}

test("a snapshot with any bit flipped, cut or grown anywhere, gives an older model or none", async () => {
  const { disk, older, newer } = await logWithModels("checked");
  const name = writeSnapshot(LOG_PATH, older, OLDER, options(disk));
  const kept = disk.contentOf(name) ?? assert.fail();
  const newName = writeSnapshot(LOG_PATH, newer, NEWER, options(disk));
  const whole = disk.contentOf(newName) ?? assert.fail();
  const damaged: Uint8Array[] = [
    new Uint8Array([...whole, 0]),
    new Uint8Array([...whole, ...whole]),
  ];
  for (let bit = 0; bit < 8 * whole.length; bit++) {
    const copy = whole.slice();
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ 1 << (bit & 7);
    damaged.push(copy);
  }
  for (let size = 0; size < whole.length; size++) damaged.push(whole.slice(0, size));
  for (const content of damaged) {
    disk.put(newName, content);
    const warnings: string[] = [];
    assert.equal(found(disk, warnings), 0);
    assert.equal(warnings.length, 1);
  }
  disk.put(name, kept);
  assert.equal(found(disk), 3);
});

test("a snapshot's sizes are not believed before they are checked", async () => {
  const { disk, newer } = await logWithModels("checked");
  const name = writeSnapshot(LOG_PATH, newer, NEWER, options(disk));
  const head = readSnapshotHead(name, 5, disk);
  assert.ok(!("fault" in head));
  assert.deepEqual(readSnapshotBody(name, { ...head, bodyBytes: 2 ** 50 }, disk), {
    fault: `it has 104 bytes, not ${2 ** 50 + 89}`,
  });
});

test("a snapshot of another log, another version, or a part that the log has not, is not used", async () => {
  const { disk, newer } = await logWithModels("checked");
  const cases: readonly [Partial<SnapshotHead>, string][] = [
    [{ fileId: newer.fileId ^ 1n }, "it belongs to another log"],
    [{ fileId: 0n }, "it belongs to another log"],
    [{ offset: newer.offset + 100_000 }, "it shows more than there is in the log"],
    [{ offset: newer.offset - 1 }, "the log has something else where it ends"],
    [{ offset: 0 }, "the log has something else where it ends"],
    [{ crc: newer.crc ^ 1 }, "the log has something else where it ends"],
    [{ modelVersion: "2" }, 'its model has version "2", and the application\'s has "1"'],
  ];
  for (const [change, why] of cases) {
    writeSnapshot(LOG_PATH, { ...newer, ...change }, NEWER, options(disk));
    const warnings: string[] = [];
    assert.equal(found(disk, warnings), 0);
    assert.deepEqual(warnings, [
      `The snapshot "${
        snapshotPath(LOG_PATH, 5)
      }" is passed over: ${why}. An older one is taken, ` +
      `or the whole log is replayed.`,
    ]);
  }
});

test("a log that ends before what a snapshot of it shows has lost something, and is refused", async () => {
  const { disk, older, newer } = await logWithModels("checked");
  writeSnapshot(LOG_PATH, newer, NEWER, options(disk));
  const log = disk.contentOf(LOG_PATH)?.slice(0, older.offset) ?? assert.fail();
  disk.put(LOG_PATH, log);
  disk.remove(`${LOG_PATH}.mark`);
  await assert.rejects(openTestLog({ disk }), {
    code: "log_unreadable",
    message: /after commit 3, but "db.events.snapshot-0*5" shows commit 5, which was acknowledged/,
  });
  assert.deepEqual(disk.contentOf(LOG_PATH), log);
  disk.remove(snapshotPath(LOG_PATH, 5));
  assert.equal((await openTestLog({ disk })).durable, 3);
});

test("a snapshot of a plain log is not used once the log was another before its end", async () => {
  const { disk, newer } = await logWithModels("plain");
  writeSnapshot(LOG_PATH, newer, NEWER, options(disk));
  assert.equal(found(disk), 5);
  const log = disk.contentOf(LOG_PATH) ?? assert.fail();
  log[newer.offset - 1] = 0x21;
  disk.put(LOG_PATH, log);
  assert.equal(found(disk), 0);
});

test("a snapshot that cannot be read is passed over", async () => {
  const { disk, newer } = await logWithModels("checked");
  const name = writeSnapshot(LOG_PATH, newer, NEWER, options(disk));
  for (const fault of ["failingReads", "failingLooks"] as const) {
    Object.assign(disk.faults, { [fault]: 1000, failPath: name });
    const warnings: string[] = [];
    assert.equal(found(disk, warnings), 0);
    assert.match(warnings.join(), /it cannot be read \(.*EIO.*\)/);
    disk.faults[fault] = 0;
  }
  assert.equal(found(disk), 5);
});
