/**
 * Looks at every byte of a log: sums, chain, and whether the bodies hold the commits that their
 * heads speak of. It may be written meanwhile: what is added after the file was opened is not
 * looked at, and what was being written just then is a tail that was not acknowledged yet.
 */

import { COMMITS } from "./frame.ts";
import type { FrameReader } from "./frame_reader.ts";
import { findLog, type UpkeepOptions } from "./hold_log.ts";
import { unreadable } from "./log_reader.ts";
import { firstBytes } from "./open_log_reader.ts";
import { type Survey, survey } from "./recovery.ts";
import { readUvarint, uvarintEnd } from "./uvarint.ts";

/** What was found in a log that is whole. */
export interface Verified {
  readonly found: Survey;
  readonly events: number;
  /** Commits that the runtime has noted something with. */
  readonly withMeta: number;
  /** How many frames the commits are in; 0 in a plain log. */
  readonly frames: number;
  /** When the first and the last commit were written, in milliseconds since 1970, if known. */
  readonly firstTime: number | undefined;
  readonly lastTime: number | undefined;
  /** Bytes that are known to be durable by the mark, if the log has one. */
  readonly marked: number | undefined;
}

/**
 * Verifies the log at `path`, from its first byte to its last.
 *
 * @throws {AlcedoError} `log_unreadable` if it is no log, or damaged.
 */
export function verifyLog(
  path: string,
  { disk, warn, onProgress }: Pick<UpkeepOptions, "disk" | "warn" | "onProgress">,
): Verified {
  const { file, mark, size } = findLog(path, disk);
  try {
    const counts = { events: 0, withMeta: 0 };
    let frames = 0;
    let firstTime: number | undefined;
    let lastTime: number | undefined;
    const found = survey({
      file: firstBytes(file, size),
      path,
      mark,
      warn,
      onFrame(reader) {
        const { head } = reader;
        onProgress?.({ bytes: head.offset, bytesTotal: size, events: counts.events });
        if (head.kind !== COMMITS) return;
        if (!countEvents(reader, counts)) throw unsound(path, reader);
        frames++;
        lastTime = head.time / 1000;
        firstTime ??= lastTime;
      },
      onBatch({ count, offset }) {
        counts.events += count;
        onProgress?.({ bytes: offset, bytesTotal: size, events: counts.events });
      },
    });
    const marked = mark?.newest?.fileId === (found.chain?.fileId ?? 0n)
      ? mark.newest.durable
      : undefined;
    return { found, ...counts, frames, firstTime, lastTime, marked };
  } finally {
    file.close();
  }
}

/** What {@linkcode countEvents} adds to. */
interface Counts {
  events: number;
  withMeta: number;
}

/** Counts the events in the body of the frame at hand; `false` if it does not hold its commits. */
function countEvents({ bytes, bodyFrom, bodyTo, head }: FrameReader, counts: Counts): boolean {
  let at = bodyFrom;
  let events = 0;
  for (let left = head.commits; left > 0; left--) {
    // Most commits have no meta and few events, and most events are small: one byte each.
    let count = bytes[at + 1] ?? 0;
    if (bytes[at] === 0 && count < 0x80) at += 2;
    else {
      const metaTo = passOver(bytes, at, bodyTo);
      count = metaTo < 0 ? -1 : readUvarint(bytes, metaTo, bodyTo);
      if (count < 0) return false;
      if (metaTo > at + 1) counts.withMeta++;
      at = uvarintEnd(bytes, metaTo);
    }
    // Each takes a byte at least.
    if (count > bodyTo - at) return false;
    events += count;
    for (; count > 0; count--) {
      const size = bytes[at] ?? 0;
      at = size < 0x80 ? at + 1 + size : passOver(bytes, at, bodyTo);
      if (at < 0) return false;
    }
    if (at > bodyTo) return false;
  }
  counts.events += events;
  return at === bodyTo;
}

/** Where that ends which begins with its size at `at`; -1 if not before `end`. */
function passOver(bytes: Uint8Array, at: number, end: number): number {
  const size = readUvarint(bytes, at, end);
  if (size < 0) return -1;
  const to = uvarintEnd(bytes, at) + size;
  return to > end ? -1 : to;
}

function unsound(path: string, { head }: FrameReader): Error {
  return unreadable(
    path,
    `the frame at offset ${head.offset}, with the commits ${head.sequence} to ` +
      `${
        head.sequence + head.commits - 1
      }, is whole, but does not hold them: no version of Alcedo ` +
      `has written it. Nothing was changed: restore it from a backup with: events restore, or cut ` +
      `it there with: events repair "${path}" --cut-at ${head.offset}`,
  );
}
