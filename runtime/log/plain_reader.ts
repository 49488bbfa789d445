/**
 * Reads the plain format: whole events, in batches, in a buffer that is used again. Nothing is
 * allocated on the word of a size that may be damaged.
 */

import { AlcedoError, assert } from "../errors.ts";
import { COMMIT_BYTES_MAX, READ_BYTES } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import type { EventBatch } from "./event_log.ts";
import { CUT_SHORT, OVERLONG, readUvarint, uvarintEnd } from "./uvarint.ts";

/**
 * Events in one batch. Small events become objects many times their size, and those of a whole
 * mebibyte live long enough to make a garbage collector grow its heap by 100 MB.
 */
const EVENTS_PER_BATCH_MAX = 2048;

/** In a format that knows no commits, each event is one. */
const EACH_ITS_OWN = Uint32Array.from({ length: EVENTS_PER_BATCH_MAX }, (_, i) => i);

/** Reads whole events from the start of a file, up to `size`, in batches. */
export class PlainReader {
  #buffer: Uint8Array = new Uint8Array(READ_BYTES + 1);
  readonly #bounds = new Uint32Array(2 * EVENTS_PER_BATCH_MAX);
  /** Where in the file the buffer begins, and how many bytes of it are filled. */
  #offset = 0;
  #filled = 0;
  /** Where in the buffer the first event that was not handed out begins. */
  #next = 0;
  /** Events handed out. */
  #count = 0;

  readonly #file: DiskFile;
  readonly #size: number;
  readonly #name: string;

  constructor(file: DiskFile, size: number, name: string) {
    this.#file = file;
    this.#size = size;
    this.#name = name;
  }

  /** Where the last event that was handed out ends in the file. */
  get end(): number {
    return this.#offset + this.#next;
  }

  /** The next events, or `undefined` when no whole one follows. */
  next(countMax: number = EVENTS_PER_BATCH_MAX): EventBatch | undefined {
    for (;;) {
      const start = this.#next;
      const count = this.#scan(Math.min(countMax, EVENTS_PER_BATCH_MAX));
      if (count > 0) {
        const { length } = this.#buffer;
        // One byte stays free behind the events: batches promise it.
        assert(this.#next < length, "a batch leaves a byte behind its last event");
        this.#count += count;
        return {
          bytes: this.#buffer.subarray(0, this.#next + 1),
          bounds: this.#bounds,
          count,
          firstSequence: this.#count - count + 1,
          commitOf: EACH_ITS_OWN,
          offset: this.#offset,
        };
      }
      assert(this.#next === start, "no event was passed over");
      if (!this.#fill()) return undefined;
    }
  }

  /** Notes the bounds of the whole events in the buffer; returns how many. */
  #scan(countMax: number): number {
    const buffer = this.#buffer;
    const bounds = this.#bounds;
    const filled = this.#filled;
    let at = this.#next;
    let count = 0;
    while (count < countMax && at < filled) {
      let size = buffer[at] ?? 0;
      let from = at + 1;
      if (size > 0x7f) {
        size = readUvarint(buffer, at, filled);
        if (size === CUT_SHORT) break;
        if (size === OVERLONG) throw this.#damaged(at);
        if (size > COMMIT_BYTES_MAX) {
          // No event is that large; but one that was torn may say so.
          if (this.#offset + at + size <= this.#size) throw this.#damaged(at);
          break;
        }
        from = uvarintEnd(buffer, at);
      }
      if (from + size > filled) break;
      bounds[2 * count] = from;
      bounds[2 * count + 1] = from + size;
      count++;
      at = from + size;
    }
    this.#next = at;
    return count;
  }

  /** An event's size that no event can have, at `at` in the buffer. */
  #damaged(at: number): AlcedoError {
    const offset = this.#offset + at;
    if (offset === 0) return unreadable(this.#name, "not a log: choose another --events-file");
    return unreadable(
      this.#name,
      `damaged at offset ${offset}: what stands there as the size of an event is more than an ` +
        `event may have (${COMMIT_BYTES_MAX}); nothing was changed, restore it from a copy`,
    );
  }

  /** Drops what was handed out and reads on; `false` at the end of the file. */
  #fill(): boolean {
    const rest = this.#buffer.subarray(this.#next, this.#filled);
    if (rest.length + 1 === this.#buffer.length) {
      // One event fills the buffer. Its size is known to be legal, so doubling is bounded.
      const larger = new Uint8Array(Math.min(2 * rest.length, COMMIT_BYTES_MAX + 10) + 1);
      larger.set(rest);
      this.#buffer = larger;
    } else {
      this.#buffer.copyWithin(0, this.#next, this.#filled);
    }
    this.#offset += this.#next;
    this.#filled = rest.length;
    this.#next = 0;
    const room = this.#buffer.length - 1 - this.#filled;
    const left = this.#size - this.#offset - this.#filled;
    const read = this.#file.read(
      this.#buffer.subarray(this.#filled, this.#filled + Math.min(room, left)),
      this.#offset + this.#filled,
    );
    this.#filled += read;
    return read > 0;
  }

  /** The byte behind the events that were handed out last, which their reader may change. */
  get byteBehind(): number {
    return this.#buffer[this.#next] ?? 0;
  }

  set byteBehind(byte: number) {
    this.#buffer[this.#next] = byte;
  }
}

/** The error for a file that is no plain log, or a damaged one. */
export function unreadable(path: string, why: string, options?: ErrorOptions): AlcedoError {
  return new AlcedoError("log_unreadable", `Cannot open log "${path}": ${why}`, options);
}
