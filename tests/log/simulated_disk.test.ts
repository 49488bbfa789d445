/**
 * The simulated disk itself: what it keeps, what it may lose, and how it fails. What it never
 * does, no test on it can find; so each of these says what it does.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DiskFile } from "../../runtime/log/disk.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { CrashError, SimulatedDisk } from "../support/simulated_disk.ts";
import { type Survival, SURVIVALS } from "../support/simulated_file.ts";

const SEEDS = 300;

function newDisk(seed = 1): SimulatedDisk {
  return new SimulatedDisk({ clock: new SimulatedClock(), seed });
}

function bytes(size: number, value: number): Uint8Array {
  return new Uint8Array(size).fill(value);
}

/** The size, and whether each 512-byte sector has the first or the second content, or others. */
function sectorsIn(content: Uint8Array = new Uint8Array(0)): string {
  let found = "";
  for (let at = 0; at < content.length; at += 512) {
    const sector = content.subarray(at, at + 512);
    const value = sector[0] ?? 0;
    found += sector.every((byte) => byte === value) ? value : "x";
  }
  return `${content.length} ${found}`;
}

/** What is found after a crash, in any of many runs of the same steps. */
function found(survival: Survival, run: (disk: SimulatedDisk) => void): Set<string> {
  const all = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = newDisk(seed);
    run(disk);
    const after = disk.crash(survival);
    all.add(after.paths.map((path) => `${path} ${sectorsIn(after.contentOf(path))}`).join(", "));
  }
  return all;
}

function durableFile(disk: SimulatedDisk, path: string, content: Uint8Array): DiskFile {
  const file = disk.create(path);
  file.write(content, 0);
  file.syncNow();
  disk.syncFolder(path);
  return file;
}

test("simulated disk keeps all that was synced, whatever is lost of the rest", async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("write" as const),
      offset: fc.integer({ min: 0, max: 9000 }),
      size: fc.integer({ min: 0, max: 9000 }),
      value: fc.integer({ min: 1, max: 255 }),
    }),
    fc.record({
      kind: fc.constant("truncate" as const),
      size: fc.integer({ min: 0, max: 9000 }),
    }),
    fc.constant({ kind: "sync" as const }),
  );
  const arbitrary = fc.record({
    seed: fc.integer(),
    writeBackChance: fc.constantFrom(0, 0.3),
    survival: fc.constantFrom(...SURVIVALS),
    steps: fc.array(step, { maxLength: 12 }),
  });
  await holds(500, arbitrary, ({ seed, writeBackChance, survival, steps }) => {
    const disk = newDisk(seed);
    disk.faults.writeBackChance = writeBackChance;
    const file = durableFile(disk, "a", bytes(0, 0));
    // For each byte, the values that it may have; beyond the end, it is 0.
    let possible: Set<number>[] = [];
    let sizes = new Set([0]);
    let model = new Uint8Array(0);
    for (const step of steps) {
      if (step.kind === "sync") {
        file.syncNow();
        possible = [];
        sizes = new Set();
      } else if (step.kind === "truncate") {
        const next = new Uint8Array(step.size);
        next.set(model.subarray(0, step.size));
        file.truncate(step.size);
        note(possible, model, next);
        model = next;
      } else if (step.size > 0) {
        const next = new Uint8Array(Math.max(model.length, step.offset + step.size));
        next.set(model);
        next.fill(step.value, step.offset, step.offset + step.size);
        file.write(bytes(step.size, step.value), step.offset);
        note(possible, model, next);
        model = next;
      }
      sizes.add(model.length);
      assert.deepEqual(disk.contentOf("a"), model, "it reads back");
    }
    const content = disk.crash(survival).contentOf("a");
    assert.ok(content !== undefined);
    const blocks = (size: number) => [size, ...ends(size, 512)];
    const isKnownSize = [...sizes].flatMap(blocks).includes(content.length);
    if (survival !== "prefix") assert.ok(isKnownSize, `${content.length} of ${[...sizes]}`);
    for (const [at, byte] of content.entries()) {
      const values = possible[at];
      assert.ok(values?.has(byte) ?? byte === (model[at] ?? 0), `byte ${at} is ${byte}`);
    }
  });
});

function note(possible: Set<number>[], before: Uint8Array, after: Uint8Array): void {
  for (let at = 0; at < Math.max(before.length, after.length); at++) {
    if (before[at] === after[at]) continue;
    (possible[at] ??= new Set([0])).add(before[at] ?? 0).add(after[at] ?? 0);
  }
}

function ends(size: number, block: number): number[] {
  return Array.from({ length: Math.floor(size / block) }, (_, i) => (i + 1) * block);
}

test("simulated disk loses any sectors, or pages, of what was not synced", () => {
  const write = (disk: SimulatedDisk) => {
    durableFile(disk, "a", bytes(512, 1)).write(bytes(1536, 2), 512);
  };
  const sectors = found("sectors", write);
  for (
    const [what, content] of [
      ["nothing of it", "512 1"],
      ["all of it", "2048 1222"],
      ["zeros for data", "2048 1000"],
      ["a hole, then data", "2048 1002"],
      ["the first of it", "1024 12"],
    ]
  ) assert.ok(sectors.has(`a ${content}`), `${what}: ${[...sectors]}`);
  const pages = found("pages", write);
  assert.deepEqual([...pages].sort(), ["a 2048 1000", "a 2048 1222", "a 512 1"]);
});

test("simulated disk keeps a later write without an earlier one", () => {
  const contents = found("sectors", (disk) => {
    const file = durableFile(disk, "a", bytes(1024, 1));
    file.write(bytes(512, 2), 0);
    file.write(bytes(512, 3), 512);
  });
  assert.deepEqual([...contents].sort(), ["a 1024 11", "a 1024 13", "a 1024 21", "a 1024 23"]);
});

test("simulated disk may write back at any time, but nothing that was cut off", () => {
  const contents = found("nothing", (disk) => {
    const file = durableFile(disk, "a", bytes(512, 1));
    disk.faults.writeBackChance = 0.5;
    file.write(bytes(8192, 2), 512);
    file.size();
    file.truncate(512);
    file.size();
    file.write(bytes(512, 3), 512);
    file.size();
  });
  for (const content of ["512 1", "1024 13", "1024 10"]) assert.ok(contents.has(`a ${content}`));
  assert.ok([...contents].some((content) => content.includes("2")), "early");
  assert.ok(![...contents].some((content) => /3.*2/.test(content)), "cut off for good");
});

test("simulated disk may lose for good what a failed sync was to cover, though it reads back", () => {
  const lost = (disk: SimulatedDisk) => {
    const file = durableFile(disk, "a", bytes(512, 1));
    file.write(bytes(512, 2), 512);
    disk.faults.failingSyncs = 1;
    assert.throws(() => file.syncNow(), { code: "EIO" });
    assert.deepEqual(sectorsIn(disk.contentOf("a")), "1024 12", "it reads back");
    file.syncNow();
    return file;
  };
  const contents = found("everything", (disk) => void lost(disk));
  for (const content of ["512 1", "1024 10", "1024 12"]) assert.ok(contents.has(`a ${content}`));
  const again = found("nothing", (disk) => {
    const file = lost(disk);
    file.write(bytes(512, 2), 512);
    file.syncNow();
  });
  assert.deepEqual([...again], ["a 1024 12"], "writing it again helps");
  const evicted = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = newDisk(seed);
    const file = lost(disk);
    disk.faults.writeBackChance = 1;
    file.size();
    evicted.add(sectorsIn(disk.contentOf("a")));
  }
  assert.ok(evicted.has("1024 10") && evicted.has("1024 12"), "later it may not even read back");
});

test("simulated disk keeps the first changes of names, each whole, and all with the folder", () => {
  const rename = (disk: SimulatedDisk) => {
    durableFile(disk, "a", bytes(512, 1));
    const file = disk.create("b");
    file.write(bytes(512, 2), 0);
    file.syncNow();
    disk.rename("b", "a");
    disk.create("c").syncNow();
  };
  assert.deepEqual([...found("nothing", rename)], ["a 512 1"]);
  assert.deepEqual([...found("everything", rename)], ["a 512 2, c 0 "]);
  assert.deepEqual([...found("sectors", rename)].sort(), [
    "a 512 1",
    "a 512 1, b 512 2",
    "a 512 2",
    "a 512 2, c 0 ",
  ]);
  const unordered = found("sectors", (disk) => {
    rename(disk);
    disk.faults.areNamesUnordered = true;
  });
  assert.ok(unordered.has("a 512 1, c 0 "));
  const synced = found("nothing", (disk) => {
    rename(disk);
    disk.syncFolder("a");
    disk.remove("c");
  });
  assert.deepEqual([...synced], ["a 512 2, c 0 "]);
});

test("simulated disk keeps a durable name whose content was never synced", () => {
  const contents = found("nothing", (disk) => {
    disk.create("a").write(bytes(512, 1), 0);
    disk.link("a", "b");
    disk.syncFolder("a");
  });
  assert.deepEqual([...contents], ["a 0 , b 0 "]);
});

test("simulated disk has one file behind two names and two handles", () => {
  const disk = newDisk();
  const file = durableFile(disk, "a", bytes(3, 1));
  disk.link("a", "b");
  assert.throws(() => disk.link("a", "b"), { code: "EEXIST" });
  disk.syncFolder("b");
  const after = disk.crash("nothing");
  assert.equal(after.identityOf("b"), file.identity, "across a crash, too");
  const other = after.openToRead("b");
  after.open("a")?.write(bytes(3, 2), 3);
  after.remove("a");
  assert.deepEqual(after.list(""), ["b"]);
  assert.equal(other?.size(), 6);
  assert.throws(() => other?.write(bytes(1, 1), 0), { code: "EBADF" });
  assert.throws(() => other?.truncate(0), { code: "EBADF" });
  other?.close();
  assert.throws(() => other?.size(), { code: "EBADF" });
  assert.throws(() => after.create("b"), { code: "EEXIST" });
});

test("simulated disk shows what other programs do, and bits that turn over", () => {
  const disk = newDisk();
  const file = durableFile(disk, "a", bytes(4, 1));
  disk.appendAsOther("a", bytes(1, 2));
  assert.equal(file.size(), 5);
  assert.equal(disk.flipBit("a", 9), 9);
  assert.deepEqual(disk.contentOf("a"), Uint8Array.of(1, 3, 1, 1, 2));
  assert.deepEqual(disk.contentAfterCrash("a", "nothing"), Uint8Array.of(1, 3, 1, 1));
  assert.ok(disk.flipBit("a") < 40);
  const { identity } = file;
  disk.put("a", bytes(1, 7));
  assert.notEqual(disk.identityOf("a"), identity);
  assert.equal(file.size(), 5, "the other one is still open");
});

test("simulated disk fails in each of its operations when it is told to", async () => {
  const operations: Record<string, (disk: SimulatedDisk, file: DiskFile) => unknown> = {
    open: (disk) => disk.open("a"),
    openToRead: (disk) => disk.openToRead("a"),
    list: (disk) => disk.list("a"),
    identityOf: (disk) => disk.identityOf("a"),
    lock: (disk) => disk.lock("a"),
    create: (disk) => disk.create("b"),
    link: (disk) => disk.link("a", "b"),
    rename: (disk) => disk.rename("a", "b"),
    remove: (disk) => disk.remove("a"),
    syncFolder: (disk) => disk.syncFolder("a"),
    size: (_, file) => file.size(),
    read: (_, file) => file.read(bytes(1, 0), 0),
    write: (_, file) => file.write(bytes(1, 0), 0),
    truncate: (_, file) => file.truncate(0),
    syncNow: (_, file) => file.syncNow(),
    sync: (_, file) => file.sync(),
  };
  for (const [name, operation] of Object.entries(operations)) {
    const run = async (change: (disk: SimulatedDisk) => void): Promise<SimulatedDisk> => {
      const disk = newDisk();
      const file = durableFile(disk, "a", bytes(4, 1));
      change(disk);
      await operation(disk, file);
      return disk;
    };
    await run(() => {});
    const failing = run((disk) => {
      disk.faults.failAtStep = disk.steps + 1;
      disk.faults.failCode = "EROFS";
    });
    await assert.rejects(failing, { code: "EROFS" }, name);
    await assert.rejects(run((disk) => disk.faults.crashAtStep = 1), CrashError, name);
  }
});

test("simulated disk fails as often as it is told to, and only for the file it is told", () => {
  const disk = newDisk();
  const a = durableFile(disk, "a", bytes(4, 1));
  const b = durableFile(disk, "b", bytes(4, 1));
  Object.assign(disk.faults, { failingReads: 2, failPath: "b" });
  assert.equal(a.size(), 4);
  assert.throws(() => b.size(), { code: "EIO" });
  assert.throws(() => b.read(bytes(4, 0), 0), { code: "EIO" });
  assert.equal(b.size(), 4);
});

test("simulated disk does the same again from the same seed", () => {
  const run = (seed: number) => {
    const disk = newDisk(seed);
    disk.faults.writeBackChance = 0.2;
    const file = durableFile(disk, "a", bytes(100, 1));
    for (let i = 0; i < 20; i++) file.write(bytes(1000, i), 1000 * i);
    return disk.crash("sectors").contentOf("a");
  };
  assert.deepEqual(run(5), run(5));
  assert.notDeepEqual(run(5), run(6));
});
