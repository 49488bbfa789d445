/**
 * Reads the plain format: whole events, in batches or one by one, in a buffer that is used again.
 * Nothing is allocated on the word of a size that may be damaged.
 */

import { type AlcedoError, assert } from "../errors.ts";
import { COMMIT_BYTES_MAX, READ_BYTES, SMALL_READ_BYTES } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import type { EventBatch, StoredCommit } from "./event_log.ts";
import { EVENTS_PER_BATCH_MAX, type LogReader, unreadable } from "./log_reader.ts";
import type { SparseIndex } from "./sparse_index.ts";
import { CUT_SHORT, OVERLONG, readUvarint, uvarintEnd } from "./uvarint.ts";

/** In a format that knows no commits, each event is one. */
const EACH_ITS_OWN = Uint32Array.from({ length: EVENTS_PER_BATCH_MAX }, (_, i) => i);

const NO_META = new Uint8Array(0);

/** What a {@linkcode PlainReader} reads. */
export interface PlainSource {
  readonly file: DiskFile;
  /** The path, for messages. */
  readonly name: string;
  readonly index: SparseIndex;
  /** Bytes to read at a time. */
  readonly readBytes?: number | undefined;
}

/** Reads on from a place of the index, up to `size`. */
export class PlainReader implements LogReader {
  #buffer: Uint8Array;
  readonly #bounds = new Uint32Array(2 * EVENTS_PER_BATCH_MAX);
  /** Where in the file the buffer begins, and how many bytes of it are filled. */
  #offset: number;
  #filled = 0;
  /** Where in the buffer the first event that was not handed out begins, and its sequence. */
  #at = 0;
  #next: number;
  #size: number;
  readonly #source: PlainSource;

  constructor(source: PlainSource, sequence: number, size: number) {
    this.#source = source;
    const place = source.index.find(sequence);
    // A small file needs no large buffer, though it may grow while it is read.
    const left = Math.max(SMALL_READ_BYTES, size - place.offset);
    this.#buffer = new Uint8Array(Math.min(source.readBytes ?? READ_BYTES, left) + 1);
    this.#size = size;
    this.#offset = place.offset;
    this.#next = place.sequence;
  }

  get next(): number {
    return this.#next;
  }

  /** Where the last event that was handed out ends in the file. */
  get end(): number {
    return this.#offset + this.#at;
  }

  extendTo(size: number): void {
    this.#size = size;
  }

  batch(after: number, until: number): EventBatch | undefined {
    // Whole batches are passed over, then the first of what is asked for.
    while (this.#next <= after) {
      if (this.#take(after - this.#next + 1) === 0) return undefined;
    }
    const count = this.#take(until - this.#next + 1);
    if (count === 0) return undefined;
    // One byte stays free behind the events: batches promise it.
    assert(this.#at < this.#buffer.length, "a batch leaves a byte behind its last event");
    return {
      bytes: this.#buffer.subarray(0, this.#at + 1),
      bounds: this.#bounds,
      count,
      firstSequence: this.#next - count,
      commitOf: EACH_ITS_OWN,
      offset: this.#offset,
    };
  }

  commits(after: number, bytesMax: number): StoredCommit[] {
    const batch = this.batch(after, Infinity);
    if (batch === undefined) return [];
    const { bounds, firstSequence } = batch;
    const start = bounds[0] ?? 0;
    let count = 1;
    while (count < batch.count && (bounds[2 * count - 1] ?? 0) - start < bytesMax) count++;
    const end = bounds[2 * count - 1] ?? 0;
    // The others are read again by whoever wants them.
    if (count < batch.count) {
      this.#at = end;
      this.#next -= batch.count - count;
    }
    const copy = batch.bytes.slice(start, end);
    return Array.from({ length: count }, (_, i) => {
      const event = copy.subarray((bounds[2 * i] ?? 0) - start, (bounds[2 * i + 1] ?? 0) - start);
      return { sequence: firstSequence + i, time: undefined, meta: NO_META, events: [event] };
    });
  }

  /** Notes the bounds of the next whole events, and passes over them; returns how many. */
  #take(countMax: number): number {
    for (;;) {
      const place = this.end;
      const count = this.#scan(Math.min(countMax, EVENTS_PER_BATCH_MAX));
      if (count > 0) {
        this.#source.index.add(this.#next, place);
        this.#next += count;
        return count;
      }
      if (countMax < 1 || !this.#fill()) return 0;
    }
  }

  /** Notes the bounds of the whole events in the buffer; returns how many. */
  #scan(countMax: number): number {
    const buffer = this.#buffer;
    const bounds = this.#bounds;
    const filled = this.#filled;
    let at = this.#at;
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
    this.#at = at;
    return count;
  }

  /** An event's size that no event can have, at `at` in the buffer. */
  #damaged(at: number): AlcedoError {
    const offset = this.#offset + at;
    const { name } = this.#source;
    if (offset === 0) return unreadable(name, "not a log: choose another --events-file");
    return unreadable(
      name,
      `damaged at offset ${offset}: what stands there as the size of an event is more than an ` +
        `event may have (${COMMIT_BYTES_MAX}); nothing was changed, restore it from a backup, or ` +
        `cut it there with: events repair "${name}" --cut-at ${offset}`,
    );
  }

  /** Drops what was handed out and reads on; `false` at the end of the file. */
  #fill(): boolean {
    const rest = this.#buffer.subarray(this.#at, this.#filled);
    if (rest.length + 1 === this.#buffer.length) {
      // One event fills the buffer. Its size is known to be legal, so doubling is bounded.
      const larger = new Uint8Array(Math.min(2 * rest.length, COMMIT_BYTES_MAX + 10) + 1);
      larger.set(rest);
      this.#buffer = larger;
    } else {
      this.#buffer.copyWithin(0, this.#at, this.#filled);
    }
    this.#offset += this.#at;
    this.#filled = rest.length;
    this.#at = 0;
    const room = this.#buffer.length - 1 - this.#filled;
    const left = this.#size - this.#offset - this.#filled;
    const read = this.#source.file.read(
      this.#buffer.subarray(this.#filled, this.#filled + Math.min(room, left)),
      this.#offset + this.#filled,
    );
    this.#filled += read;
    return read > 0;
  }

  get byteBehind(): number {
    return this.#buffer[this.#at] ?? 0;
  }

  set byteBehind(byte: number) {
    this.#buffer[this.#at] = byte;
  }
}
