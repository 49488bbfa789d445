/**
 * What a start does with each fault that a log can have: the table of `docs/accidents.md` through
 * the real command, on real files damaged by hand. What it refuses, it leaves as it is.
 */

import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32c } from "../../runtime/log/crc32c.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { readUvarint, uvarintEnd } from "../../runtime/log/uvarint.ts";
import { makeDiary, recoverDiary } from "../support/diary_file.ts";
import { refusedDiary, serveDiary, withDiaries } from "../support/diary_server.ts";
import { needsDisk, withDisk } from "../support/mounted_disk.ts";
import { start } from "../support/server_process.ts";

const ENTRIES = Array.from({ length: 10 }, (_, i) => `entry ${i}`);

/** A log that a crash has left, with ten commits, and what can be done to it. */
interface Subject {
  readonly file: string;
  readonly mark: string;
  readonly size: number;
  /** Where its frames (plain: events) begin, and in the end its size. */
  readonly offsets: readonly number[];
  /** Writes the log anew, of these stretches of bytes. */
  write(...parts: Uint8Array[]): void;
  /** The bytes of the `i`-th frame, and of those from one on to before another. */
  frame(i: number): Uint8Array;
  frames(from: number, to?: number): Uint8Array;
  /** Turns one bit over. */
  flip(offset: number, bit?: number): void;
}

/** Where the ten commits begin among the frames: behind the head and the start. */
const FIRST_COMMIT = { checked: 2, plain: 0 } as const;

async function makeSubject(file: string, format: LogFormat): Promise<Subject> {
  await makeDiary(file, ENTRIES, { format, isCrashed: true });
  const offsets = [0];
  const grown = readFileSync(file);
  let size = 0;
  // Up to the zeros behind a log that was not closed.
  while (size < grown.length && grown[size] !== 0) {
    size = uvarintEnd(grown, size) + readUvarint(grown, size, grown.length);
    offsets.push(size);
  }
  const bytes = grown.subarray(0, size);
  writeFileSync(file, bytes);
  assert.equal(offsets.length, FIRST_COMMIT[format] + ENTRIES.length + 1);
  return {
    file,
    mark: `${file}.mark`,
    size,
    offsets,
    write: (...parts) => writeFileSync(file, parts.length === 0 ? "" : concat(parts)),
    frame: (i) => bytes.subarray(offsets[i], offsets[i + 1]),
    frames: (from, to = offsets.length - 1) => bytes.subarray(offsets[from], offsets[to]),
    flip(offset, bit = 4): void {
      bytes[offset] = (bytes[offset] ?? 0) ^ bit;
      writeFileSync(file, bytes);
    },
  };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** All files beside a log, but for its lock, which says nothing. */
function contentOf(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => !name.endsWith(".lock")).sort();
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), "latin1")]));
}

interface Case {
  readonly format: LogFormat;
  readonly what: string;
  harm(log: Subject): void;
}

interface Refused extends Case {
  /** What the one line says. */
  readonly says: RegExp;
  /** The last commit (plain: event) before the fault: its end is where the line puts it. */
  readonly after?: number;
}

/** At the first bytes of a frame's body. */
const inBody = (log: Subject, commit: number) =>
  (log.offsets[FIRST_COMMIT.checked + commit - 1] ?? 0) + 70;

const REFUSED: readonly Refused[] = [
  {
    format: "checked",
    what: "a flipped bit in its midst",
    harm: (log) => log.flip(inBody(log, 5)),
    after: 4,
    says: /after commit 4: its body is damaged; \d+ bytes were durable once.*give up 6 commits/,
  },
  {
    format: "checked",
    what: "a flipped bit in its last commit",
    harm: (log) => log.flip(inBody(log, 10)),
    after: 9,
    says:
      /after commit 9: its body is damaged; \d+ bytes were durable once.*give up 1 commit \(10\)/,
  },
  {
    format: "checked",
    what: "a missing commit",
    harm: (log) => log.write(log.frames(0, 6), log.frames(7)),
    after: 4,
    says: /after commit 4, but \d+ bytes were acknowledged.*give up 6 commits \(5 to 10\)/,
  },
  {
    format: "checked",
    what: "two commits in the wrong order",
    harm: (log) => log.write(log.frames(0, 6), log.frame(7), log.frame(6), log.frames(8)),
    after: 4,
    says: /after commit 4: it was written for offset \d+;.*give up 6 commits \(5 to 10\)/,
  },
  {
    format: "checked",
    what: "a frame of a later version",
    harm(log): void {
      const frame = log.frame(6).slice();
      const head = frame.subarray(uvarintEnd(frame, 0));
      head[4] = 2;
      new DataView(head.buffer, head.byteOffset).setUint32(60, crc32c(head, 0, 60), true);
      log.write(log.frames(0, 6), frame, log.frames(7));
    },
    says: /after commit 4, .*version 2.*use a newer Alcedo\. Nothing was changed/,
  },
  {
    format: "checked",
    what: "a damaged head",
    harm: (log) => log.flip(10),
    says: /damaged at offset 0, before commit 1: .*checked format with 10 commits/,
  },
  {
    format: "checked",
    what: "a damaged head and no mark",
    harm(log): void {
      log.flip(10);
      rmSync(log.mark);
    },
    says: /damaged at offset 0, before commit 1: .*checked format with 10 commits/,
  },
  {
    format: "plain",
    what: "a damaged size of an event",
    harm: (log) => log.flip(log.offsets[4] ?? 0, 0x40),
    after: 4,
    says: /after \w+ 4: the file ends within an event; 100 bytes were durable.*events repair/,
  },
  {
    format: "checked",
    what: "an end before its mark",
    harm: (log) => log.write(log.frames(0, 9)),
    after: 7,
    says: /after commit 7, but \d+ bytes were acknowledged.*give up 3 commits \(8 to 10\)/,
  },
  {
    format: "plain",
    what: "an end before its mark",
    harm: (log) => log.write(log.frames(0, 7)),
    after: 7,
    says: /after \w+ 7, but \d+ bytes were acknowledged.*give up 3 \w+ \(8 to 10\)/,
  },
  {
    format: "checked",
    what: "nothing but its mark",
    harm: (log) => rmSync(log.file),
    says: /missing, though ".*\.mark" is there, and \d+ bytes of it \(10 .* a new one with --new/,
  },
  {
    format: "plain",
    what: "no bytes, and its mark",
    harm: (log) => log.write(),
    says: /empty, though ".*\.mark" is there, and \d+ bytes of it \(10 .* a new one with --new/,
  },
  {
    format: "plain",
    what: "bytes of something else",
    harm(log): void {
      log.write(new TextEncoder().encode("\u0089PNG and so on"));
      rmSync(log.mark);
    },
    says: /not a log: choose another --events-file/,
  },
];

for (const { format, what, harm, after, says } of REFUSED) {
  test(`a start refuses a ${format} log with ${what}, and changes nothing`, async () => {
    await withDiaries(async (folder) => {
      const log = await makeSubject(join(folder, "db.events"), format);
      harm(log);
      const before = contentOf(folder);
      const { stderr, code } = await refusedDiary(log.file);
      assert.equal(code, 1);
      const [line = "", ...more] = stderr.trimEnd().split("\n");
      assert.deepEqual(more, [], "one line");
      assert.ok(line.startsWith(`alcedo: Cannot open log "${log.file}": `), line);
      assert.match(line, says);
      if (after !== undefined) {
        const offset = log.offsets[FIRST_COMMIT[format] + after];
        assert.match(line, new RegExp(` offset ${offset}, .* --cut-at ${offset}$`));
      }
      assert.deepEqual(contentOf(folder), before);
    });
  });
}

interface Cut extends Case {
  readonly says: RegExp;
  /** What is kept beside the log. */
  readonly kept?: Uint8Array;
}

const TORN = Uint8Array.of(90, 1, 2, 3);

const CUT: readonly Cut[] = (["checked", "plain"] as const).flatMap((format): Cut[] => [
  {
    format,
    what: "a torn tail",
    harm: (log) => appendFileSync(log.file, TORN),
    says: /ended inside .*: 4 bytes after \w+ 10 were never acknowledged, and are now kept in "/,
    kept: TORN,
  },
  {
    format,
    what: "a tail of zeros",
    harm: (log) => appendFileSync(log.file, new Uint8Array(100_000)),
    says: /ended in zeros, .*: 100000 bytes after \w+ 10 were cut off/,
  },
]);

for (const { format, what, harm, says, kept } of CUT) {
  test(`a start cuts ${what} off a ${format} log, and says so`, async () => {
    await withDiaries(async (folder) => {
      const log = await makeSubject(join(folder, "db.events"), format);
      const whole = readFileSync(log.file);
      harm(log);
      const server = await serveDiary(log.file);
      assert.match(server.stderr(), new RegExp(`^alcedo: The log "${log.file}" .*\n$`));
      assert.match(server.stderr(), says);
      assert.deepEqual(await server.entries(), ENTRIES);
      assert.equal(await server.post("more"), 200);
      assert.equal(await server.stop(), 0);
      assert.deepEqual(readFileSync(log.file).subarray(0, whole.length), whole);
      const aside = readdirSync(folder).filter((name) => name.includes(".cut-"));
      assert.equal(aside.length, kept === undefined ? 0 : 1);
      for (const name of aside) {
        assert.match(name, new RegExp(`^db\\.events\\.cut-${whole.length}-\\d+$`));
        assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), kept);
      }
      assert.deepEqual(await recoverDiary(log.file, assert.fail), [...ENTRIES, "more"]);
    });
  });
}

test("what a refusal says to do makes a damaged log one that starts", async () => {
  await withDiaries(async (folder) => {
    const log = await makeSubject(join(folder, "db.events"), "checked");
    log.flip(inBody(log, 5));
    const { stderr } = await refusedDiary(log.file);
    const [, path = "", offset = ""] = /with: events repair "(.*)" --cut-at (\d+)$/m.exec(stderr) ??
      [];
    const repair = start("mod.ts", ["events", "repair", path, "--cut-at", offset, "--yes"]);
    assert.equal((await repair.ended).code, 0, repair.stderr());
    assert.deepEqual(await recoverDiary(log.file, assert.fail), ENTRIES.slice(0, 4));
    const [kept = ""] = readdirSync(folder).filter((name) => name.includes(".cut-"));
    assert.equal(readFileSync(join(folder, kept)).length, log.size - Number(offset));
  });
});

test("--new begins a log where one is missing, and keeps what was left of it", async () => {
  await withDiaries(async (folder) => {
    const log = await makeSubject(join(folder, "db.events"), "checked");
    const mark = readFileSync(log.mark);
    rmSync(log.file);
    const server = await serveDiary(log.file, ["--new"]);
    assert.deepEqual(await server.entries(), []);
    assert.equal(await server.stop(), 0);
    const [kept = ""] = readdirSync(folder).filter((name) => name.includes(".mark.old-"));
    assert.deepEqual(readFileSync(join(folder, kept)), mark);
  });
});

needsDisk("tmpfs")("a log that can only be read is refused, unless that is asked for", async () => {
  await withDisk("tmpfs", async (disk) => {
    const log = await makeSubject(join(disk.folder, "db.events"), "checked");
    appendFileSync(log.file, TORN);
    const before = contentOf(disk.folder);
    disk.makeReadOnly();
    const { stderr, code } = await refusedDiary(log.file);
    assert.equal(code, 1);
    assert.match(stderr, /^alcedo: [Cc]annot open .* start with --read-only.*\n$/);
    const server = await serveDiary(log.file, ["--read-only"]);
    assert.deepEqual(await server.entries(), ENTRIES);
    assert.equal(await server.post("more"), 503);
    assert.match((await server.health()).state, /^read-only: /);
    assert.match(server.stderr(), /4 bytes that were never acknowledged/);
    assert.equal(await server.stop(), 0);
    assert.deepEqual(contentOf(disk.folder), before);
  });
});
