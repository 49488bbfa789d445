/**
 * What a log is found to be when it is opened: how far it is whole, and whether what follows is
 * the torn tail of a crash, which is cut, or damage to what was acknowledged once, which is
 * refused. Nothing here changes anything: see `open_log.ts` for what is done about it.
 *
 * The rules are those of FORMAT's "Recovery". When in doubt it refuses.
 */

import { encodeHex } from "#std/encoding/hex";
import type { AlcedoError } from "../errors.ts";
import { COMMIT_BYTES_MAX } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import type { EventBatch } from "./event_log.ts";
import { zerosFrom } from "./file_bytes.ts";
import { COMMITS, FILE_HEAD, OPEN, SEAL } from "./frame.ts";
import { FIRST, type FrameFault, FrameReader, type Link } from "./frame_reader.ts";
import { findFrame, framesBehind } from "./frame_search.ts";
import type { ChainEnd } from "./framer.ts";
import { unreadable } from "./log_reader.ts";
import type { FoundMark } from "./mark.ts";
import { PlainReader } from "./plain_reader.ts";
import { SparseIndex } from "./sparse_index.ts";

/** How a log is written: `plain` knows events, `checked` knows commits, with sums. */
export type LogFormat = "plain" | "checked";

/** Bytes of a file's start in which a checked frame is looked for before it is taken as plain. */
const SEARCH_BYTES = 64 * 1024 * 1024;

/** What a history is made of. */
export const HISTORY_BYTES = 16;

/** What was found. */
export interface Survey {
  readonly format: LogFormat;
  /** Where the last whole frame (or event) ends, and the size of the file. */
  readonly end: number;
  readonly size: number;
  /**
   * Where what follows ends that may be part of a frame (or event): behind it are zeros alone, with
   * which a log is grown, or which a crash may leave.
   */
  readonly dataEnd: number;
  /** The sequence of the newest commit (or event). */
  readonly sequence: number;
  /** Bytes that are known to be durable, by the mark or the last frame. */
  readonly durable: number;
  readonly index: SparseIndex;
  /** The history in force; `undefined` if nothing has kept it. */
  readonly history: string | undefined;
  /** Whether it was closed in an orderly way. */
  readonly isClean: boolean;
  /** Whether every commit was synced before it was acknowledged, as far as is known. */
  readonly alwaysDurable: boolean;
  /** Where the chain of frames goes on, in the checked format. */
  readonly chain: ChainEnd | undefined;
  /** Whether the last frame says that the log was opened, and nothing was written since. */
  readonly isJustOpened: boolean;
}

/** What is looked at. */
export interface Subject {
  readonly file: DiskFile;
  /** The path, for messages. */
  readonly path: string;
  readonly mark: FoundMark | undefined;
  readonly warn: (message: string) => void;
  /** Where a snapshot lets the walk begin: all before it was verified when it was made. */
  readonly start?: SurveyStart | undefined;
  /** Called with each frame of a checked log: whole, and in its place. */
  readonly onFrame?: ((frames: FrameReader) => void) | undefined;
  /** Called with each batch of events of a plain log. */
  readonly onBatch?: ((batch: EventBatch) => void) | undefined;
}

/** A place in a log that is known to be sound, and what is known there. */
export interface SurveyStart {
  readonly link: Link;
  /** When the frame before it was written, in microseconds since 1970. */
  readonly time: number;
  readonly history: string;
  readonly alwaysDurable: boolean;
  /** Whether the frame before it is a seal. */
  readonly isSealed?: boolean;
}

/**
 * Looks at a log of either format.
 *
 * @throws {AlcedoError} `log_unreadable` if it is no log, of a version that is not known, or
 * damaged where it was durable once.
 */
export function survey(subject: Subject): Survey {
  return formatOf(subject) === "checked" ? surveyChecked(subject) : surveyPlain(subject);
}

/**
 * In which format a log is, by its first frame; an empty one is plain.
 *
 * @throws {AlcedoError} `log_unreadable` if it is in the checked format and its head is damaged, or
 * of a version that is not known.
 */
export function formatOf({ file, path, mark }: Pick<Subject, "file" | "path" | "mark">): LogFormat {
  const size = file.size();
  if (size === 0) {
    const { fileId = 0n, durable, sequence = 0 } = mark?.newest ?? {};
    if (fileId === 0n || sequence === 0) return "plain";
    throw unreadable(
      path,
      `it is empty, but ${durable} bytes of it (${sequence} commits) were acknowledged. Nothing ` +
        `was changed: restore it from a backup with: events restore`,
    );
  }
  const reader = new FrameReader(file, size, FIRST);
  const step = reader.next();
  if (step === "frame" && reader.head.kind === FILE_HEAD) return "checked";
  const why = reader.fault?.why ?? "it does not begin with the head of a log";
  if (reader.fault?.kind === "unknown") {
    throw unreadable(
      path,
      `it is in the checked format, but ${why}; this version knows version 1 with frame kinds 0 ` +
        `to ${OPEN}: use a newer Alcedo`,
    );
  }
  const isChecked = reader.hasMagic || mark?.newest !== undefined && mark.newest.fileId !== 0n;
  const whole = findFrame(file, { from: 0, to: SEARCH_BYTES, fileId: undefined });
  if (!isChecked && whole === undefined) return "plain";
  const { sequence } = framesBehind(file, { from: 0, to: size, fileId: undefined });
  const commits = Math.max(sequence, mark?.newest?.sequence ?? 0);
  throw unreadable(
    path,
    `damaged at offset 0, before commit 1: ${why}. It is a log in the checked format` +
      `${commits > 0 ? ` with ${commits} commits` : ""}, and without its head no part of it can ` +
      `be trusted. Nothing was changed: restore it from a backup with: events restore`,
  );
}

function surveyChecked(subject: Subject): Survey {
  const { file, path, mark } = subject;
  const size = file.size();
  const index = new SparseIndex();
  const { start } = subject;
  const { link = FIRST } = start ?? {};
  // Before the walk: beside a writer, zeros become frames meanwhile.
  const written = zerosFrom(file, link.offset, size);
  index.add(link.sequence, link.offset);
  const reader = new FrameReader(file, size, link);
  let history = start?.history;
  let alwaysDurable = start?.alwaysDurable ?? true;
  let lastKind = -1;
  while (reader.next() === "frame") {
    const { head } = reader;
    lastKind = head.kind;
    index.add(head.sequence, head.offset);
    if (head.kind === OPEN) {
      const body = reader.bytes.subarray(reader.bodyFrom, reader.bodyTo);
      history = encodeHex(body.subarray(0, HISTORY_BYTES));
      alwaysDurable = (body[HISTORY_BYTES] ?? 0) === 0;
    } else if ((head.kind === COMMITS) === (head.commits === 0)) {
      throw unreadable(path, `the frame at offset ${head.offset} has ${head.commits} commits`);
    }
    subject.onFrame?.(reader);
  }
  const { offset: end, sequence: next, fileId = 0n } = reader.link;
  const dataEnd = Math.max(end, written);
  const isOurMark = mark?.newest?.fileId === fileId;
  // Of another log: but one without a commit says nothing.
  const isForeignMark = mark?.newest !== undefined && !isOurMark && mark.newest.sequence > 0;
  const marked = isOurMark ? mark?.newest : undefined;
  const place = { path, end, size, sequence: next - 1, unit: "commit" } as const;
  // What is followed by nothing but zeros is whole, as long as it is not known to have gone on.
  // Not, though, where a restore was stopped that had put the log's own mark aside already.
  const isPutAside = mark?.newest?.fileId === BigInt.asUintN(64, ~fileId);
  const isWhole = dataEnd === end && (marked?.durable ?? 0) <= end && !(isPutAside && end < size);
  if (!isWhole && reader.fault !== undefined) {
    const behind = framesBehind(file, { from: end, to: dataEnd, fileId });
    const durable = Math.max(marked?.durable ?? 0, behind.durable);
    const lastKnown = Math.max(marked?.sequence ?? 0, behind.sequence);
    if (reader.fault.kind !== "broken" || durable > end) {
      throw damaged(place, reader.fault, { durable, lastKnown });
    }
    if (isForeignMark) {
      throw damaged(place, { ...reader.fault, why: `${reader.fault.why}; ${FOREIGN_MARK}` }, {
        durable,
        lastKnown,
      });
    }
  } else if (isForeignMark) {
    subject.warn(`The log "${path}" is whole; ${FOREIGN_MARK}, and is not used.`);
  }
  if (marked !== undefined && marked.durable > end) {
    throw tooShort(place, { durable: marked.durable, lastKnown: marked.sequence });
  }
  const { head, crc = 0 } = reader;
  return {
    format: "checked",
    end,
    size,
    dataEnd,
    sequence: next - 1,
    durable: Math.max(marked?.durable ?? 0, head.durable, start?.link.offset ?? 0),
    index,
    history,
    isClean: lastKind === SEAL || lastKind < 0 && start?.isSealed === true,
    alwaysDurable,
    chain: { fileId, sequence: next - 1, crc, time: Math.max(head.time, start?.time ?? 0) },
    isJustOpened: lastKind === OPEN,
  };
}

const FOREIGN_MARK = "the mark beside it belongs to another log";

/** Where the whole part of a log ends. */
interface Place {
  readonly path: string;
  readonly end: number;
  readonly size: number;
  readonly sequence: number;
  /** What a sequence counts. */
  readonly unit: "commit" | "event";
}

interface Known {
  /** Bytes that are known to have been durable; 0 if nothing is known. */
  readonly durable: number;
  /** The last commit that is known to have been in the log. */
  readonly lastKnown: number;
}

function damaged(place: Place, fault: FrameFault, known: Known): AlcedoError {
  const { path, end, size, sequence, unit } = place;
  if (fault.kind === "unknown") {
    return unreadable(
      path,
      `at offset ${end}, after ${unit} ${sequence}, ${fault.why}; use a newer Alcedo. Nothing ` +
        `was changed`,
    );
  }
  if (known.durable > size) return tooShort(place, known);
  const durable = known.durable > end ? `; ${known.durable} bytes were durable once` : "";
  return unreadable(
    path,
    `damaged at offset ${end}, after ${unit} ${sequence}: ${fault.why}${durable}. Nothing was ` +
      `changed: ${remedy(place, known)}`,
  );
}

function tooShort(place: Place, known: Known): AlcedoError {
  return unreadable(
    place.path,
    `it ends at offset ${place.end}, after ${place.unit} ${place.sequence}, but ${known.durable} bytes ` +
      `were acknowledged. Nothing was changed: ${remedy(place, known)}`,
  );
}

function remedy({ path, end, sequence, unit }: Place, { durable, lastKnown }: Known): string {
  const lost = lastKnown - sequence;
  const price = lost === 1
    ? `give up 1 ${unit} (${lastKnown})`
    : lost > 0
    ? `give up ${lost} ${unit}s (${sequence + 1} to ${lastKnown})`
    : durable > end
    ? `go on without what follows, which is no ${unit},`
    : `give up what follows, and nothing tells how many ${unit}s that is,`;
  return `restore it from a backup with: events restore, or ${price} with: events repair ` +
    `"${path}" --cut-at ${end}`;
}

function surveyPlain(subject: Subject): Survey {
  const { file, path, mark } = subject;
  const size = file.size();
  const index = new SparseIndex();
  const { offset = 0, sequence: first = 1 } = subject.start?.link ?? {};
  index.add(first, offset);
  const found = mark?.newest;
  const isOurs = found?.fileId === 0n;
  const marked = isOurs ? found : undefined;
  // Zeros at the end are empty events; but behind the mark, they are what a file system leaves
  // where something was to be written (ext4: when it knew the new size, and not yet the data).
  const solid = marked === undefined ? size : zerosFrom(file, marked.durable, size);
  const reader = new PlainReader({ file, name: path, index }, first, solid);
  for (let until = Infinity;;) {
    const batch = reader.batch(0, until);
    if (batch !== undefined) subject.onBatch?.(batch);
    else if (until === Infinity && reader.end < solid && solid < size) {
      // They may still be the end of one event.
      reader.extendTo(size);
      until = reader.next;
    } else break;
  }
  const { end } = reader;
  const sequence = reader.next - 1;
  const place = { path, end, size, sequence, unit: "event" } as const;
  if (end < size) {
    if (marked !== undefined && marked.durable > end) {
      throw damaged(place, { kind: "broken", why: "the file ends within an event" }, {
        durable: marked.durable,
        lastKnown: marked.sequence,
      });
    }
    // With a mark that says that nothing was durable yet, it is the first flush that was torn.
    if (end === 0 && !isOurs) throw unreadable(path, "not a log: choose another --events-file");
    if (size - end > COMMIT_BYTES_MAX) {
      throw unreadable(
        path,
        `damaged at offset ${end}, after event ${sequence}: the ${size - end} bytes that follow ` +
          `are no event, and more than a torn write leaves. Nothing was changed: ` +
          remedy(place, { durable: 0, lastKnown: 0 }),
      );
    }
  } else if (found !== undefined && !isOurs) {
    subject.warn(`The log "${path}" is whole; ${FOREIGN_MARK}, and is not used.`);
  }
  if (marked !== undefined && marked.durable > end) {
    throw tooShort(place, { durable: marked.durable, lastKnown: marked.sequence });
  }
  const note = isOurs ? mark?.note : undefined;
  return {
    format: "plain",
    end,
    size,
    // What an event was torn in may be zeros, too.
    dataEnd: zerosFrom(file, end, size) === end ? end : size,
    sequence,
    durable: marked?.durable ?? 0,
    index,
    history: note?.history,
    isClean: false, // It has nothing to say so.
    alwaysDurable: note?.alwaysDurable ?? true,
    chain: undefined,
    isJustOpened: false,
  };
}
