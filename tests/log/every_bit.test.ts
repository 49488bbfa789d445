/**
 * A log of more than two hundred commits, damaged in every way that is small: every single bit
 * turned over, every length that it could be cut to, every frame missing, doubled, or in the place
 * of the next. It is refused, or cut, as the table in docs/log_format.md says, and the message
 * names the place and what to do.
 *
 * For every bit, the look at the log is called alone (`survey`, which changes nothing, on bytes in
 * memory); for some of them, the log is opened as a whole on a simulated disk.
 */

import assert from "node:assert/strict";
import { env } from "node:process";
import { test } from "node:test";
import type { DiskFile } from "../../runtime/log/disk.ts";
import { sizeInCommit } from "../../runtime/log/event_log.ts";
import { type FoundMark, readMark } from "../../runtime/log/mark.ts";
import { type Survey, survey } from "../../runtime/log/recovery.ts";
import { type Frame, judge, readSlots } from "../support/checked_format.ts";
import { RUNTIME } from "../support/runtime.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH as PATH, openTestLog } from "../support/test_log.ts";

const MARK = `${PATH}.mark`;
const LONG = env.ALCEDO_LONG !== undefined;
/** Every bit takes twenty seconds: one runtime does that, the others take one bit of each byte. */
const EACH = LONG || RUNTIME === "deno";

interface Subject {
  readonly log: Uint8Array;
  readonly frames: readonly Frame[];
  readonly mark: Uint8Array;
  readonly found: FoundMark;
  /** The newest commit. */
  readonly last: number;
}

/** A log with flushes of one commit and of more, closed and opened again in its midst. */
async function writeLog(isClosed: boolean): Promise<Subject> {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  let written = 0;
  const commitOf = (events: number) => {
    const list = Array.from({ length: events }, () => new TextEncoder().encode(`${written++}`));
    return { events: list, bytes: list.reduce((sum, event) => sum + sizeInCommit(event), 0) };
  };
  let log = await openTestLog({ disk });
  for (let flush = 0; flush < 150; flush++) {
    const commits = 1 + (flush % 7 === 0 ? 3 : 0);
    await log.append(Array.from({ length: commits }, (_, i) => commitOf((flush + i) % 3)));
    if (flush !== 75) continue;
    await log.close();
    log = await openTestLog({ disk });
  }
  const last = log.durable;
  assert.ok(last > 200);
  if (isClosed) await log.close();
  const [file, mark] = [disk.contentOf(PATH), disk.contentOf(MARK)];
  assert.ok(file !== undefined && mark !== undefined);
  // Without the zeros behind a log that is open.
  const bytes = file.subarray(0, file.findLastIndex((byte) => byte !== 0) + 1);
  const { kind, frames } = judge(bytes, readSlots(mark));
  assert.equal(kind, "whole");
  const found = readMark(disk, PATH);
  assert.ok(found?.newest?.durable === bytes.length && found.newest.sequence === last);
  return { log: bytes, frames, mark, found, last };
}

const open = await writeLog(false);
const closed = await writeLog(true);

/** Bytes as a file that can only be looked at. */
function fileOf(bytes: Uint8Array): DiskFile {
  const fail = () => assert.fail("nothing is changed");
  return {
    identity: "",
    size: () => bytes.length,
    read(into, offset) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
    write: fail,
    truncate: fail,
    syncNow: fail,
    sync: fail,
    close: fail,
  };
}

/** What is found; or why it is refused. */
function look(bytes: Uint8Array, mark: FoundMark | undefined): Survey | string {
  try {
    return survey({ file: fileOf(bytes), path: PATH, mark, warn: assert.fail });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "log_unreadable")) {
      throw error;
    }
    return error.message;
  }
}

/**
 * Asserts that the message says where the damage is, what it costs if that `isKnown`, and what to
 * do.
 */
function names(message: string, at: number, { frames, last }: Subject, isKnown = true): void {
  const commit = sequenceBefore(frames, at);
  const lost = !isKnown
    ? "give up what follows, and nothing tells how many commits that is,"
    : commit === last
    ? "go on without what follows, which is no commit,"
    : commit === last - 1
    ? `give up 1 commit (${last})`
    : `give up ${last - commit} commits (${commit + 1} to ${last})`;
  const place = at === 0
    ? "at offset 0, before commit 1"
    : `at offset ${at}, after commit ${commit}`;
  const parts = [
    `Cannot open log "${PATH}": `,
    place,
    "Nothing was changed: restore it from a backup with: events restore",
    ...(at === 0 ? [] : [`, or ${lost} with: events repair "${PATH}" --cut-at ${at}`]),
  ];
  for (const part of parts) assert.ok(message.includes(part), `${part} is not in: ${message}`);
}

/** The last commit before the frame that begins at `offset`. */
function sequenceBefore(frames: readonly Frame[], offset: number): number {
  return (frames.findLast(({ from }) => from <= offset)?.sequence ?? 1) - 1;
}

/** Opens the damaged log as a whole: with this mark, or none. */
async function start(log: Uint8Array, mark: Uint8Array | undefined): Promise<number | string> {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  disk.put(PATH, log);
  if (mark !== undefined) disk.put(MARK, mark);
  const { paths } = disk;
  try {
    const opened = await openTestLog({ disk });
    return opened.durable;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "log_unreadable")) {
      throw error;
    }
    assert.deepEqual(disk.contentOf(PATH), log, "nothing was changed");
    assert.deepEqual(disk.paths, paths);
    return error.message;
  }
}

for (const [name, subject] of Object.entries({ open, closed })) {
  const { log, frames, mark, found, last } = subject;
  const final = frames.at(-1);
  assert.ok(final !== undefined);

  test(`log that was left ${name} is refused for every single bit that turns over`, () => {
    const damaged = log.slice();
    for (const frame of frames) {
      for (let at = frame.from; at < frame.to; at++) {
        for (let bit = EACH ? 0 : at % 8; bit < 8; bit += EACH ? 1 : 8) {
          damaged[at] = (log[at] ?? 0) ^ 1 << bit;
          const seen = look(damaged, found);
          assert.ok(typeof seen === "string", `bit ${bit} of byte ${at} is found`);
          names(seen, frame.from, subject);
        }
        damaged[at] = log[at] ?? 0;
      }
    }
  });

  test(`log that was left ${name} without its mark loses at most its last frame to a bit`, () => {
    const damaged = log.slice();
    for (const frame of frames) {
      for (let at = frame.from; at < frame.to; at++) {
        for (let bit = LONG ? 0 : at % 8; bit < 8; bit += LONG ? 1 : 8) {
          damaged[at] = (log[at] ?? 0) ^ 1 << bit;
          const seen = look(damaged, undefined);
          if (typeof seen === "string") names(seen, frame.from, subject);
          else {
            assert.equal(frame, final, `bit ${bit} of byte ${at} is found`);
            assert.deepEqual([seen.end, seen.sequence], [frame.from, frame.sequence - 1]);
          }
        }
        damaged[at] = log[at] ?? 0;
      }
    }
  });

  test(`log that was left ${name} changes nothing when it is opened with a bit turned over`, async () => {
    for (let at = 0; at < log.length; at += LONG ? 1 : 13) {
      const damaged = log.with(at, (log[at] ?? 0) ^ 1 << at % 8);
      const message = await start(damaged, mark);
      assert.ok(typeof message === "string", `byte ${at}`);
    }
  });

  test(`log that was left ${name} is refused at every length, or cut where it has no mark`, async () => {
    for (let size = 0; size < log.length; size++) {
      const short = log.subarray(0, size);
      const end = frames.findLast(({ to }) => to <= size)?.to ?? 0;
      // Of nothing, nothing is to be seen; but it is not begun anew.
      const marked = size === 0 ? await start(short, mark) : look(short, found);
      assert.ok(typeof marked === "string", `${size} bytes`);
      if (end > 0) {
        names(marked, end, subject);
        assert.ok(marked.includes(`but ${log.length} bytes were acknowledged`), marked);
      }
      if (size === 0) continue;
      const unmarked = look(short, undefined);
      if (end === 0) assert.ok(typeof unmarked === "string", `${size} bytes`);
      else assert.equal(typeof unmarked === "object" && unmarked.end, end);
    }
    for (const { to } of frames) {
      for (const size of [to - 1, to, to + 1]) {
        if (size >= log.length) continue;
        const refusal = await start(log.slice(0, size), mark);
        assert.ok(typeof refusal === "string", `${size} bytes`);
      }
    }
  });

  test(`log that was left ${name} is refused without one of its frames, or with one twice`, async () => {
    for (const frame of frames) {
      const before = log.slice(0, frame.from);
      const bytes = log.slice(frame.from, frame.to);
      const missing = await start(join(before, log.slice(frame.to)), mark);
      assert.ok(typeof missing === "string", `frame at ${frame.from}`);
      names(missing, frame.from, subject);
      const twice = join(before, bytes, log.slice(frame.from));
      for (const beside of [mark, undefined]) {
        const doubled = await start(twice, beside);
        assert.ok(typeof doubled === "string", `frame at ${frame.from}`);
        assert.ok(doubled.includes(`damaged at offset ${frame.to}, after commit `), doubled);
        assert.ok(doubled.includes(`it was written for offset ${frame.from}`), doubled);
      }
      const unmarked = await start(join(before, log.slice(frame.to)), undefined);
      if (frame !== final) assert.ok(typeof unmarked === "string", `frame at ${frame.from}`);
      else assert.equal(unmarked, last - frame.commits.length, "nothing tells");
    }
  });

  test(`log that was left ${name} is refused with two of its frames in each other's place`, async () => {
    for (const [i, frame] of frames.entries()) {
      const next = frames[i + 1];
      if (next === undefined) continue;
      const swapped = join(
        log.slice(0, frame.from),
        log.slice(next.from, next.to),
        log.slice(frame.from, frame.to),
        log.slice(next.to),
      );
      for (const beside of [mark, undefined]) {
        const refusal = await start(swapped, beside);
        assert.ok(typeof refusal === "string", `frame at ${frame.from}`);
        // What stands at the end, nothing but the mark knows.
        names(refusal, frame.from, subject, beside === mark || next !== final);
        if (i > 0) assert.ok(refusal.includes(`it was written for offset ${next.from}`), refusal);
      }
    }
  });
}

function join(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
