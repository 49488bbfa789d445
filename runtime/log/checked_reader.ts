/**
 * Reads the commits of a checked log, for a replay in batches of events, or one by one. All that
 * it hands out has been checked; what is damaged is an error that names the place.
 */

import { assert } from "../errors.ts";
import type { DiskFile } from "./disk.ts";
import type { EventBatch, StoredCommit } from "./event_log.ts";
import { COMMITS } from "./frame.ts";
import { FrameReader, type FrameReaderOptions } from "./frame_reader.ts";
import { EVENTS_PER_BATCH_MAX, type LogReader, unreadable } from "./log_reader.ts";
import type { SparseIndex } from "./sparse_index.ts";
import { readUvarint, uvarintEnd } from "./uvarint.ts";

/** What a {@linkcode CheckedReader} reads. */
export interface CheckedSource {
  readonly file: DiskFile;
  /** The path, for messages. */
  readonly name: string;
  readonly fileId: bigint;
  readonly index: SparseIndex;
  /** How its frames are read. */
  readonly frames?: FrameReaderOptions;
}

/** A commit in the buffer: where its meta and its events are. */
interface Found {
  readonly sequence: number;
  readonly time: number;
  readonly meta: readonly [number, number];
  readonly events: number[];
}

/** Reads on from a place of the index. */
export class CheckedReader implements LogReader {
  readonly #source: CheckedSource;
  readonly #frames: FrameReader;
  readonly #bounds = new Uint32Array(2 * EVENTS_PER_BATCH_MAX);
  readonly #commitOf = new Uint32Array(EVENTS_PER_BATCH_MAX);
  /** The body in hand: what of it was not read, and how many commits that is. */
  #at = 0;
  #to = 0;
  #commitsLeft = 0;
  /** The commit in hand, and how many of its events were not read. */
  #sequence: number;
  #eventsLeft = 0;
  /** The sequence of the first event of a batch. */
  #first = 0;
  #metaFrom = 0;
  #metaTo = 0;

  constructor(source: CheckedSource, sequence: number, size: number) {
    this.#source = source;
    const place = source.index.find(sequence);
    const link = { ...place, before: undefined, fileId: source.fileId };
    this.#frames = new FrameReader(source.file, size, link, source.frames);
    this.#sequence = place.sequence - 1;
  }

  get next(): number {
    return this.#eventsLeft > 0 ? this.#sequence : this.#sequence + 1;
  }

  extendTo(size: number): void {
    this.#frames.extendTo(size);
  }

  batch(after: number, until: number): EventBatch | undefined {
    let count = 0;
    while (count < EVENTS_PER_BATCH_MAX) {
      if (this.#eventsLeft === 0 && !this.#beginCommit(until, count > 0)) break;
      count = this.#takeEvents(count, after, until);
    }
    if (count === 0) return undefined;
    const { bytes, base: offset } = this.#frames;
    return {
      bytes,
      bounds: this.#bounds,
      count,
      firstSequence: this.#first,
      commitOf: this.#commitOf,
      offset,
    };
  }

  /**
   * Notes the bounds of the events of the body in hand, behind the `count` that a batch has already;
   * returns how many it has then. A replay spends its time here: so it goes on to the next commit by
   * itself, and has its state in variables.
   */
  #takeEvents(count: number, after: number, until: number): number {
    const { bytes } = this.#frames;
    const bounds = this.#bounds;
    const commitOf = this.#commitOf;
    const to = this.#to;
    let at = this.#at;
    let eventsLeft = this.#eventsLeft;
    let commitsLeft = this.#commitsLeft;
    let sequence = this.#sequence;
    while (count < EVENTS_PER_BATCH_MAX) {
      if (eventsLeft === 0) {
        // No meta, and less than 128 events: else it is for `#beginCommit`.
        const events = bytes[at + 1] ?? 0;
        if (commitsLeft === 0 || sequence >= until || bytes[at] !== 0 || events > 0x7f) break;
        at += 2;
        eventsLeft = events;
        commitsLeft--;
        sequence++;
        continue;
      }
      let size = bytes[at] ?? 0;
      let from = at + 1;
      if (size > 0x7f) {
        size = readUvarint(bytes, at, to);
        if (size < 0) throw this.#unsound();
        from = uvarintEnd(bytes, at);
      }
      at = from + size;
      if (at > to) throw this.#unsound();
      eventsLeft--;
      if (sequence <= after) continue;
      if (count === 0) this.#first = sequence;
      bounds[2 * count] = from;
      bounds[2 * count + 1] = at;
      commitOf[count] = sequence - this.#first;
      count++;
    }
    this.#at = at;
    this.#eventsLeft = eventsLeft;
    this.#commitsLeft = commitsLeft;
    this.#sequence = sequence;
    return count;
  }

  commits(after: number, bytesMax: number): StoredCommit[] {
    assert(this.#eventsLeft === 0, "commits are read from their begin");
    const found: Found[] = [];
    let start = 0;
    while (this.#beginCommit(Infinity, found.length > 0)) {
      const { bytes, head } = this.#frames;
      const meta = [this.#metaFrom, this.#metaTo] as const;
      const events: number[] = [];
      while (this.#eventsLeft > 0) {
        events.push(this.#sizeAt(bytes), this.#at);
        this.#eventsLeft--;
      }
      if (this.#sequence <= after) continue;
      if (found.length === 0) start = meta[0];
      found.push({ sequence: this.#sequence, time: head.time / 1000, meta, events });
      if (this.#at - start >= bytesMax) break;
    }
    // One copy for all: the buffer is used again.
    const copy = this.#frames.bytes.slice(start, this.#at);
    const cut = (from: number, to: number): Uint8Array => copy.subarray(from - start, to - start);
    return found.map(({ sequence, time, meta, events }) => {
      const cuts: Uint8Array[] = [];
      for (let i = 0; i < events.length; i += 2) cuts.push(cut(events[i] ?? 0, events[i + 1] ?? 0));
      return { sequence, time, meta: cut(...meta), events: cuts };
    });
  }

  /**
   * Goes to the next commit, up to sequence `until`; `false` if there is none, or, if it `isFull`,
   * none without reading on.
   */
  #beginCommit(until: number, isFull: boolean): boolean {
    if (this.#sequence >= until) return false;
    while (this.#commitsLeft === 0) {
      if (this.#at !== this.#to) throw this.#unsound();
      const step = this.#frames.take();
      if (step === "end") return false;
      // What is sound is handed out first, up to the very damage.
      if (step !== "frame" && isFull) return false;
      if (step === "fault") throw this.#damaged();
      if (step === "more") {
        this.#frames.fill();
        // What was in hand is used up: its place is the one at which the buffer begins now.
        this.#at = this.#to = 0;
        continue;
      }
      const { head, bodyFrom, bodyTo } = this.#frames;
      this.#source.index.add(head.sequence, head.offset);
      if (head.kind !== COMMITS) continue;
      this.#at = bodyFrom;
      this.#to = bodyTo;
      this.#commitsLeft = head.commits;
      if (head.commits === 0) throw this.#unsound();
    }
    const { bytes } = this.#frames;
    this.#metaFrom = this.#sizeAt(bytes);
    this.#metaTo = this.#at;
    this.#eventsLeft = this.#number(bytes);
    this.#commitsLeft--;
    this.#sequence++;
    return true;
  }

  /** Reads a size and passes over what has it; returns where that begins. */
  #sizeAt(bytes: Uint8Array): number {
    const size = this.#number(bytes);
    const from = this.#at;
    this.#at += size;
    if (this.#at > this.#to) throw this.#unsound();
    return from;
  }

  #number(bytes: Uint8Array): number {
    const small = bytes[this.#at] ?? 0;
    if (small < 0x80 && this.#at < this.#to) {
      this.#at++;
      return small;
    }
    const value = readUvarint(bytes, this.#at, this.#to);
    if (value < 0) throw this.#unsound();
    this.#at = uvarintEnd(bytes, this.#at);
    return value;
  }

  get byteBehind(): number {
    return this.#frames.bytes[this.#at] ?? 0;
  }

  set byteBehind(byte: number) {
    this.#frames.bytes[this.#at] = byte;
  }

  #damaged(): Error {
    const { link, fault } = this.#frames;
    return unreadable(
      this.#source.name,
      `damaged at offset ${link.offset}, after commit ${link.sequence - 1}: ${fault?.why}`,
    );
  }

  /** The sums are right, and yet the contents are not: nothing that Alcedo has written. */
  #unsound(): Error {
    return unreadable(
      this.#source.name,
      `the frame before offset ${this.#frames.link.offset} is whole but does not hold the ` +
        `commits that it says`,
    );
  }
}
