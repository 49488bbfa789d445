/**
 * Events as bytes: the codec port and the two codecs that come with the runtime.
 *
 * The bytes are all that a log keeps of an event, so a codec must read every version of an
 * event that was ever written with it.
 */

import type { EventBatch } from "./log/event_log.ts";

/** Turns an event into bytes and back. */
export interface Codec<Event> {
  /** Encodes an event. It throws if the event cannot be kept. */
  encode(event: Event): Uint8Array;
  /**
   * Encodes an event as {@linkcode encode} does, but into `into`, and returns how many bytes
   * that took; -1 if it may not fit, upon which `encode` is called. For codecs that can do so
   * faster.
   */
  encodeInto?(event: Event, into: Uint8Array): number;
  /**
   * Decodes what {@linkcode encode} of this or an earlier version returned, and may turn an
   * old event into a new one. `bytes` are only lent: copy what is to be kept. It throws if
   * the bytes are no event.
   */
  decode(bytes: Uint8Array): Event;
  /**
   * Decodes all events of a batch at once, exactly as {@linkcode decode} one by one, or
   * throws, upon which they are decoded one by one. For codecs that can do so faster.
   */
  decodeBatch?(batch: EventBatch): Event[];
}

/** Turns a model into the bytes of a snapshot and back. */
export interface ModelCodec<Model> {
  /** Encodes a model, and leaves it as it is. It throws if the model cannot be kept. */
  encode(model: Model): Uint8Array;
  /** Decodes what {@linkcode encode} returned. It throws if the bytes are no model. */
  decode(bytes: Uint8Array): Model;
}

/**
 * The part of `T` that JSON can say: `T` itself, where every value of it is JSON.
 *
 * @internal
 */
type JsonPart<T> = T extends string | number | boolean | null ? T
  : T extends undefined | bigint | symbol | ((...args: never[]) => unknown) ? never
  : T extends object ? { [K in keyof T]: JsonPart<T[K]> }
  : T; // unknown and any: the application knows

/** Whether every value of `T` survives `JSON.stringify` and `JSON.parse`, as types tell. */
export type IsJson<T> = [T] extends [JsonPart<T>] ? true : false;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Encodes whatever it is given.
 *
 * @internal
 */
interface Encoder {
  encode(event: unknown): Uint8Array;
  encodeInto(event: unknown, into: Uint8Array): number;
}

/**
 * Events as JSON text in UTF-8 (RFC 8259). What JSON leaves out or changes (`undefined`,
 * `NaN`, a `Map`, a `Date`) is left out or changed here too; `checkApp` finds such events.
 */
export const json: Codec<never> & Encoder = {
  encode: (event: unknown): Uint8Array => encoder.encode(stringify(event)),
  encodeInto(event: unknown, into: Uint8Array): number {
    const text = stringify(event);
    // A UTF-16 unit takes three bytes at most.
    if (text.length * 3 > into.length) return -1;
    return encoder.encodeInto(text, into).written;
  },
  decode(bytes: Uint8Array): never {
    return JSON.parse(decoder.decode(bytes)) as never;
  },
  decodeBatch,
};

function stringify(event: unknown): string {
  const text = JSON.stringify(event) as string | undefined;
  if (text === undefined) {
    throw new TypeError(`Cannot encode event: ${typeof event} has no JSON`);
  }
  return text;
}

/** What is written byte by byte rather than by a call. */
const LOOP_BYTES_MAX = 16;

const COMMA = 0x2c, SPACE = 0x20, OPEN = 0x5b, CLOSE = 0x5d;

/**
 * Parses a batch as one JSON array, which it makes in place: the bytes between the events
 * (their sizes, in a log) become commas and spaces. One decode and one parse a mebibyte
 * instead of one an event is a quarter to a third of a replay's time.
 */
function decodeBatch(batch: EventBatch): never[] {
  const { bytes, bounds, count } = batch;
  const start = bounds[0] ?? 0;
  const end = bounds[2 * count - 1] ?? 0;
  bytes[start - 1] = OPEN;
  bytes[end] = CLOSE;
  for (let i = 1; i < count; i++) {
    const from = bounds[2 * i - 1] ?? 0;
    const to = bounds[2 * i] ?? 0;
    bytes[from] = COMMA;
    // A few bytes as a rule, for which a call is dearer than a loop.
    if (to - from > LOOP_BYTES_MAX) bytes.fill(SPACE, from + 1, to);
    else for (let at = from + 1; at < to; at++) bytes[at] = SPACE;
  }
  const events: never[] = JSON.parse(decoder.decode(bytes.subarray(start - 1, end + 1)));
  // Text such as `1,2` is no JSON, yet fits between two commas.
  if (events.length !== count) throw new SyntaxError("Cannot decode batch: not one value each");
  return events;
}

/** Events that are bytes already. `decode` returns a copy. */
export const bytes: Codec<Uint8Array> = {
  encode(event: Uint8Array): Uint8Array {
    if (!(event instanceof Uint8Array)) {
      throw new TypeError("Cannot encode event: the bytes codec takes a Uint8Array");
    }
    return event;
  },
  decode: (bytes: Uint8Array): Uint8Array => bytes.slice(),
};
