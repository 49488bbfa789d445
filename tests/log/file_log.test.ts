/**
 * A real file of another program that uses the plain format, on the simulated disk and on a real
 * one: it opens, replays, and grows byte for byte.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openFileLog } from "../../adapters/file_log.ts";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { openPlainLog } from "../support/test_log.ts";

const FOLDER = fileURLToPath(new URL("../vectors/plain_log/", import.meta.url));

interface Described {
  readonly size: number;
  readonly offset: number;
  readonly sha256: string;
}

const described: readonly Described[] =
  JSON.parse(readFileSync(join(FOLDER, "db.events.json"), "utf8")).events;

/** Each event as the vectors describe it. */
async function hashesOf(log: EventLog): Promise<Pick<Described, "size" | "sha256">[]> {
  const found: Pick<Described, "size" | "sha256">[] = [];
  for await (const { bytes, bounds, count } of log.read(log.durable)) {
    for (let i = 0; i < count; i++) {
      const event = bytes.subarray(bounds[2 * i], bounds[2 * i + 1]);
      const sha256 = createHash("sha256").update(event).digest("hex");
      found.push({ size: event.length, sha256 });
    }
  }
  return found;
}

const expected = described.map(({ size, sha256 }) => ({ size, sha256 }));

/** Calls `use` with the path of a copy of a vector, in a folder of its own. */
async function withCopy(name: string, use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-log-"));
  try {
    const path = join(folder, "db.events");
    copyFileSync(join(FOLDER, name), path);
    await use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const more = new TextEncoder().encode("one more");

test("a file of another program opens, replays and grows, on the simulated disk", async () => {
  const bytes = new Uint8Array(readFileSync(join(FOLDER, "db.events")));
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  disk.put("db.events", bytes);
  const log = await openPlainLog({ disk, warn: assert.fail });
  assert.deepEqual(await hashesOf(log), expected);
  assert.deepEqual(disk.contentOf("db.events"), bytes);
});

test("a file of another program opens, replays and grows, on a real disk", async () => {
  await withCopy("db.events", async (path) => {
    const before = readFileSync(path);
    const log = await openFileLog(path, { warn: assert.fail });
    assert.equal(log.durable, expected.length);
    assert.deepEqual(await hashesOf(log), expected);
    assert.deepEqual(readFileSync(path), before);
    await log.append([{ events: [more], bytes: sizeInCommit(more) }]);
    await log.close();
    assert.deepEqual(readFileSync(path), Buffer.concat([before, Buffer.from([more.length]), more]));
  });
});

test("a truncated file is kept aside after its last whole event and cut, on a real disk", async () => {
  await withCopy("db.events.truncated", async (path) => {
    const before = readFileSync(path);
    const { offset } = described.at(-1) ?? assert.fail();
    const warnings: string[] = [];
    const log = await openFileLog(path, { warn: (message) => void warnings.push(message) });
    assert.deepEqual(await hashesOf(log), expected.slice(0, -1));
    assert.equal(warnings.length, 1);
    await log.append([{ events: [more], bytes: sizeInCommit(more) }]);
    await log.close();
    const kept = readdirSync(join(path, "..")).filter((name) => name.includes(".cut-"));
    assert.equal(kept.length, 1);
    assert.ok(kept[0]?.startsWith(`db.events.cut-${offset}-`));
    assert.deepEqual(readFileSync(join(path, "..", kept[0] ?? "")), before.subarray(offset));
    const grown = Buffer.concat([before.subarray(0, offset), Buffer.from([more.length]), more]);
    assert.deepEqual(readFileSync(path), grown);
  });
});
