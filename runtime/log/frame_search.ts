/**
 * Looks for whole frames behind a damaged place: they tell whether what is damaged was durable
 * once, and how much follows it.
 */

import { READ_BYTES } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import { readUpTo } from "./file_bytes.ts";
import {
  emptyHead,
  FRAME_BYTES_MIN,
  hasMagic,
  HEAD_BYTES,
  isHead,
  isKnown,
  MAGIC_BYTE,
  readFileId,
  readHead,
} from "./frame.ts";
import { FrameReader } from "./frame_reader.ts";
import { uvarintLength } from "./uvarint.ts";

/** Where to look, and for what. */
export interface FrameSearch {
  readonly from: number;
  readonly to: number;
  /** Only frames of this file count; `undefined` if it is not known. */
  readonly fileId: bigint | undefined;
}

/**
 * Finds the first whole frame that begins between `from` and `to`, byte by byte: both its sums
 * are right, and it stands where it says it does. Returns a reader that has taken it, and can
 * take those that follow.
 */
export function findFrame(file: DiskFile, search: FrameSearch): FrameReader | undefined {
  const { from, to, fileId } = search;
  const size = file.size();
  const buffer = new Uint8Array(Math.min(READ_BYTES, Math.max(0, size - from)));
  const view = new DataView(buffer.buffer);
  const head = emptyHead();
  for (let base = from; base < size;) {
    const filled = readUpTo(file, buffer, base);
    const last = filled - HEAD_BYTES;
    for (let at = nextMagic(view, 0, last); at >= 0; at = nextMagic(view, at + 1, last)) {
      if (!isHead(buffer, view, at) || !isKnown(buffer, view, at)) continue;
      readHead(buffer, view, at, head);
      const offset = base + at - uvarintLength(FRAME_BYTES_MIN + head.bodyBytes);
      if (head.offset !== offset || offset < from) continue;
      if (offset >= to) return undefined;
      const found = readFileId(view, at);
      if (fileId !== undefined && found !== fileId) continue;
      const link = { offset, sequence: head.sequence, before: undefined, fileId: found };
      const reader = new FrameReader(file, size, link);
      if (reader.next() === "frame") return reader;
    }
    if (last < 0 || base > to) return undefined;
    base += last + 1;
  }
  return undefined;
}

/** Where the next magic stands, from `at` to `last`; -1 if nowhere. */
function nextMagic(view: DataView, at: number, last: number): number {
  const bytes = new Uint8Array(view.buffer);
  for (;;) {
    at = bytes.indexOf(MAGIC_BYTE, at);
    if (at < 0 || at > last) return -1;
    if (hasMagic(view, at)) return at;
    at++;
  }
}

/** What is known of the frames behind a damaged place. */
export interface FramesBehind {
  /** The largest number of bytes that one of them says was durable; 0 if there are none. */
  readonly durable: number;
  /** The sequence of the last commit in them, or before them; 0 if there is none. */
  readonly sequence: number;
}

/** Looks at all whole frames of a file that begin between `from` and `to`. */
export function framesBehind(file: DiskFile, { from, to, fileId }: FrameSearch): FramesBehind {
  let durable = 0;
  let sequence = 0;
  let at = from;
  for (let reader = findFrame(file, { from: at, to, fileId }); reader !== undefined;) {
    do {
      const { head } = reader;
      durable = Math.max(durable, head.durable);
      // One without commits has the sequence of the next.
      sequence = Math.max(sequence, head.sequence + head.commits - 1);
      at = reader.link.offset;
    } while (at < to && reader.next() === "frame");
    reader = findFrame(file, { from: at, to, fileId });
  }
  return { durable, sequence };
}
