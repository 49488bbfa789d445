/**
 * Logs of random commits on a simulated disk, and what the tests of work on whole logs ask of them.
 */

import { strict as assert } from "node:assert";
import fc from "fast-check";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { COMMITS, FILE_HEAD, smallFrame } from "../../runtime/log/frame.ts";
import type { UpkeepOptions } from "../../runtime/log/hold_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { Random } from "./random.ts";
import { SimulatedClock } from "./simulated_clock.ts";
import { SimulatedDisk } from "./simulated_disk.ts";
import { LOG_PATH, openTestLog } from "./test_log.ts";

/** The events of some commits. */
export type Commits = readonly (readonly Uint8Array[])[];

/** Commits of any sizes: some without events, some that need more than a byte for their size. */
export const anyCommits: fc.Arbitrary<Commits> = fc.array(
  fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }),
  { maxLength: 12 },
);

export const anyFormat: fc.Arbitrary<LogFormat> = fc.constantFrom("plain", "checked");

export function simulatedDisk(seed = 1): SimulatedDisk {
  return new SimulatedDisk({ clock: new SimulatedClock(), seed });
}

/** What work on whole logs needs; it must not warn, unless told. */
export function upkeep(
  disk: SimulatedDisk,
  more: Partial<UpkeepOptions> & { seed?: number } = {},
): UpkeepOptions {
  const random = new Random(more.seed ?? 2);
  return {
    disk,
    timeOfDay: () => 500,
    random: (bytes) => Uint8Array.from({ length: bytes }, () => random.upTo(255)),
    warn: assert.fail,
    ...more,
  };
}

/** Appends each commit by itself. */
export async function append(log: EventLog, commits: Commits): Promise<void> {
  for (const events of commits) {
    // A plain log has no place for a commit without events.
    if (events.length === 0 && log.counts === "events") continue;
    await log.append([{ events, bytes: events.reduce((sum, it) => sum + sizeInCommit(it), 0) }]);
  }
}

/** Makes a log of these commits, and closes it. */
export async function writeLog(
  disk: SimulatedDisk,
  format: LogFormat,
  commits: Commits,
): Promise<void> {
  const log = await openTestLog({ disk, format });
  await append(log, commits);
  await log.close();
}

/** Opens a log to be read; it must be whole. */
export function openWhole(disk: SimulatedDisk, path: string = LOG_PATH): Promise<EventLog> {
  return openTestLog({ disk, readOnly: true, warn: assert.fail }, path);
}

/** All events of a log, as texts of their bytes. */
export async function eventsOf(log: EventLog): Promise<string[]> {
  const events: string[] = [];
  for await (const { bytes, bounds, count } of log.read(log.durable)) {
    for (let i = 0; i < count; i++) {
      events.push(textOf(bytes.subarray(bounds[2 * i], bounds[2 * i + 1])));
    }
  }
  return events;
}

/** All events of commits, as texts of their bytes. */
export function eventsIn(commits: Commits): string[] {
  return commits.flat().map(textOf);
}

function textOf(bytes: Uint8Array): string {
  return bytes.join(" ");
}

/** Changes a file that is there. */
export function changeFile(
  disk: SimulatedDisk,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array,
): void {
  disk.put(path, change(disk.contentOf(path) ?? assert.fail(`${path} is there`)));
}

/** A checked log of two commits, the second of which has a note: `{}`. */
export function logWithMeta(): Uint8Array {
  const common = { sequence: 1, time: 1, durable: 0, commits: 0, bodyBytes: 0, fileId: 1n };
  const head = { ...common, kind: FILE_HEAD, offset: 0, before: 0 };
  const first = smallFrame(head, new Uint8Array(0));
  const place = { offset: first.bytes.length, before: first.crc, commits: 2 };
  const body = new TextEncoder().encode("\x00\x01\x01A\x02{}\x01\x01B");
  const second = smallFrame({ ...common, ...place, kind: COMMITS }, body);
  return Uint8Array.of(...first.bytes, ...second.bytes);
}
