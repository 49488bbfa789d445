/**
 * Turns commits into the bytes of one flush, in each of the two formats, in a buffer that is used
 * again.
 */

import { assert } from "../errors.ts";
import type { Commit } from "./event_log.ts";
import { bodyAt, COMMITS, frameBytes, type NewHead, smallFrame, writeFrame } from "./frame.ts";
import { uvarintLength, writeUvarint } from "./uvarint.ts";

/** Where a flush goes. */
export interface FlushPlace {
  /** Where in the file it begins. */
  readonly offset: number;
  /** How many bytes of the file are durable. */
  readonly durable: number;
}

/** Makes the bytes of flushes. */
export interface Framer {
  /** The sequence of the newest commit that is in the log. */
  readonly sequence: number;
  /** When it was framed, in milliseconds since 1970, if the format says so. */
  readonly time: number | undefined;
  /** The bytes of a flush; valid until the next call. */
  frame(commits: readonly Commit[], place: FlushPlace): Uint8Array;
  /** What was framed last is in the log now: the next flush follows it. */
  accept(): void;
}

/** A buffer that grows. */
class FlushBuffer {
  #bytes = new Uint8Array(64 * 1024);

  take(size: number): Uint8Array {
    if (size > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(size, 2 * this.#bytes.length));
    }
    return this.#bytes.subarray(0, size);
  }
}

function writeEvents(into: Uint8Array, at: number, events: readonly Uint8Array[]): number {
  for (const event of events) {
    at = writeUvarint(into, at, event.length);
    into.set(event, at);
    at += event.length;
  }
  return at;
}

/** The plain format: events and nothing else. */
export class PlainFramer implements Framer {
  readonly time = undefined;
  readonly #buffer = new FlushBuffer();
  #sequence: number;
  #framed = 0;

  constructor(sequence: number) {
    this.#sequence = sequence;
  }

  get sequence(): number {
    return this.#sequence;
  }

  frame(commits: readonly Commit[]): Uint8Array {
    let size = 0;
    for (const commit of commits) size += commit.bytes;
    const bytes = this.#buffer.take(size);
    let at = 0;
    this.#framed = 0;
    for (const { events } of commits) {
      at = writeEvents(bytes, at, events);
      this.#framed += events.length;
    }
    assert(at === size, "a commit knows its size");
    return bytes;
  }

  accept(): void {
    this.#sequence += this.#framed;
  }
}

/** Where a {@linkcode CheckedFramer} goes on. */
export interface ChainEnd {
  readonly fileId: bigint;
  /** The sequence of the newest commit. */
  readonly sequence: number;
  /** The CRC that ends the last frame. */
  readonly crc: number;
  /** When it was written, in microseconds since 1970. */
  readonly time: number;
}

/** What a {@linkcode CheckedFramer} needs beside it. */
export interface CheckedFramerOptions {
  /** Milliseconds since 1970. */
  readonly timeOfDay: () => number;
  readonly warn: (message: string) => void;
  /** The path, for messages. */
  readonly name: string;
}

/** A clock that is behind the log by more than this, in microseconds, is worth a warning. */
const CLOCK_BEHIND_MAX = 1_000_000;

/** The checked format: one frame a flush. */
export class CheckedFramer implements Framer {
  readonly #buffer = new FlushBuffer();
  readonly #options: CheckedFramerOptions;
  readonly #fileId: bigint;
  #sequence: number;
  #crc: number;
  #time: number;
  #hasWarned = false;
  /** What the frame that was made last would leave behind. */
  #framed = { sequence: 0, crc: 0, time: 0 };

  constructor(end: ChainEnd, options: CheckedFramerOptions) {
    this.#fileId = end.fileId;
    this.#sequence = end.sequence;
    this.#crc = end.crc;
    this.#time = end.time;
    this.#options = options;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get time(): number {
    return this.#time / 1000;
  }

  get crc(): number {
    return this.#crc;
  }

  frame(commits: readonly Commit[], place: FlushPlace): Uint8Array {
    let bodyBytes = 0;
    for (const { events, bytes } of commits) bodyBytes += 1 + uvarintLength(events.length) + bytes;
    const frame = this.#buffer.take(frameBytes(bodyBytes));
    let at = bodyAt(bodyBytes);
    for (const { events } of commits) {
      frame[at++] = 0; // No meta.
      at = writeUvarint(frame, at, events.length);
      at = writeEvents(frame, at, events);
    }
    assert(at === frame.length - 4, "a commit knows its size");
    const head = this.#head(COMMITS, place);
    const crc = writeFrame(frame, { ...head, commits: commits.length, bodyBytes });
    this.#framed = { sequence: this.#sequence + commits.length, crc, time: head.time };
    return frame;
  }

  /** A frame without commits. */
  note(kind: number, body: Uint8Array, place: FlushPlace): Uint8Array {
    const head = this.#head(kind, place);
    const { bytes, crc } = smallFrame({ ...head, commits: 0, bodyBytes: body.length }, body);
    this.#framed = { sequence: this.#sequence, crc, time: head.time };
    return bytes;
  }

  accept(): void {
    const { sequence, crc, time } = this.#framed;
    this.#sequence = sequence;
    this.#crc = crc;
    this.#time = time;
  }

  #head(kind: number, { offset, durable }: FlushPlace): Omit<NewHead, "commits" | "bodyBytes"> {
    return {
      kind,
      sequence: this.#sequence + 1,
      time: this.#nextTime(),
      offset,
      durable,
      before: this.#crc,
      fileId: this.#fileId,
    };
  }

  /** The time of day, but never before that of the last frame. */
  #nextTime(): number {
    const { timeOfDay, warn, name } = this.#options;
    const now = Math.floor(timeOfDay() * 1000);
    if (now >= this.#time) return now;
    const behind = this.#time - now;
    if (behind > CLOCK_BEHIND_MAX && !this.#hasWarned) {
      this.#hasWarned = true;
      warn(
        `The clock is ${(behind / 1e6).toFixed(1)} s behind the last commit of "${name}": set it ` +
          `right. Until it has caught up, commits get times right after that one.`,
      );
    }
    return this.#time + 1;
  }
}
