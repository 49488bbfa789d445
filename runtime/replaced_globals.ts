/**
 * Clock and randomness as an application sees them through its globals, in a test's hand: while it
 * works for the test, `Date`, `Temporal.Now`, `Math.random` and `crypto` show what the test says.
 *
 * The one place where globals are replaced. Handlers may look at them, and so may what they call:
 * a test that is to hold them in hand has no other way. They are put back as soon as nobody works.
 */

import { encodeHex } from "#std/encoding/hex";

/** What the globals show. */
export interface Shown {
  /** The time of day, in milliseconds since 1970. */
  now(): number;
  /** A number from 0 up to, not including, 1. */
  random(): number;
}

/** Whose they are at this moment: a process has one set of globals. */
let holder: ReplacedGlobals | undefined;

/** The globals, as one test wants them shown. */
export class ReplacedGlobals {
  /** What they show; may be changed at any time. */
  shown: Shown;
  #works = 0;
  #restore: () => void = () => {};
  #released: Promise<void> = Promise.resolve();

  constructor(shown: Shown) {
    this.shown = shown;
  }

  /** Runs `work` with the globals replaced; first waits until no other test has them. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    while (holder !== undefined && holder !== this) await holder.#released;
    if (this.#works++ === 0) this.#replace();
    try {
      return await work();
    } finally {
      if (this.#works > 0 && --this.#works === 0) this.release();
    }
  }

  /** Puts them back, whoever still works with them. */
  release(): void {
    if (holder !== this) return;
    this.#works = 0;
    holder = undefined;
    this.#restore();
  }

  #replace(): void {
    holder = this;
    const undo = replacements(() => this.shown).map(replace);
    this.#released = new Promise((resolve) => {
      this.#restore = () => {
        for (const putBack of undo) putBack();
        resolve();
      };
    });
  }
}

/** A property, and what it is to be. */
type Replacement = readonly [of: object, name: string, value: unknown];

function replacements(shown: () => Shown): Replacement[] {
  const now = () => Math.floor(shown().now());
  const fill = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(shown().random() * 256);
    return bytes;
  };
  const { getRandomValues } = crypto;
  const TestDate = dateWith(now);
  return [
    [globalThis, "Date", TestDate],
    [Date.prototype, "constructor", TestDate],
    ...temporalWith(now),
    [Math, "random", () => shown().random()],
    [crypto, "getRandomValues", <T extends ArrayBufferView<ArrayBuffer>>(array: T): T => {
      getRandomValues.call(crypto, array); // It knows what it may be asked for.
      fill(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return array;
    }],
    [crypto, "randomUUID", () => uuidOf(fill(new Uint8Array(16)))],
  ];
}

/** Replaces a property; returns what puts it back. */
function replace([of, name, value]: Replacement): () => void {
  const before = Object.getOwnPropertyDescriptor(of, name);
  Object.defineProperty(of, name, { configurable: true, writable: true, value });
  return () => {
    if (before === undefined) Reflect.deleteProperty(of, name);
    else Object.defineProperty(of, name, before);
  };
}

/** `Date`, but for what asks for the time. Its dates are those of the real one. */
function dateWith(now: () => number): unknown {
  const RealDate = Date;
  function TestDate(...args: unknown[]): unknown {
    if (new.target === undefined) return new RealDate(now()).toString();
    const target: unknown = new.target;
    const given = args.length === 0 ? [now()] : args;
    return Reflect.construct(RealDate, given, target === TestDate ? RealDate : new.target);
  }
  Object.defineProperties(TestDate, Object.getOwnPropertyDescriptors(RealDate));
  Object.defineProperty(TestDate, "now", { value: now, configurable: true, writable: true });
  return TestDate;
}

/** What this file uses of Temporal. */
interface ZonedTime {
  toPlainDateTime(): unknown;
  toPlainDate(): unknown;
  toPlainTime(): unknown;
}
interface TemporalNamespace {
  readonly Now: { timeZoneId(): unknown };
  readonly Instant: {
    fromEpochMilliseconds(ms: number): { toZonedDateTimeISO(zone: unknown): ZonedTime };
  };
}

function temporalWith(now: () => number): Replacement[] {
  const { Temporal } = globalThis as { Temporal?: TemporalNamespace };
  if (Temporal === undefined) return [];
  const { Now, Instant } = Temporal;
  const instant = () => Instant.fromEpochMilliseconds(now());
  const zoned = (zone: unknown = Now.timeZoneId()) => instant().toZonedDateTimeISO(zone);
  return [
    [Now, "instant", instant],
    [Now, "zonedDateTimeISO", zoned],
    [Now, "plainDateTimeISO", (zone?: unknown) => zoned(zone).toPlainDateTime()],
    [Now, "plainDateISO", (zone?: unknown) => zoned(zone).toPlainDate()],
    [Now, "plainTimeISO", (zone?: unknown) => zoned(zone).toPlainTime()],
  ];
}

/** A UUID of version 4 (RFC 9562) with these random bits. */
function uuidOf(bytes: Uint8Array): string {
  bytes[6] = (bytes[6] ?? 0) & 0x0f | 0x40;
  bytes[8] = (bytes[8] ?? 0) & 0x3f | 0x80;
  return encodeHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
