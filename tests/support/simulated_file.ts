/**
 * One file of the simulated disk: what reads back, what is on the disk, and the changes between
 * the two that no sync has covered yet. A failed sync forgets such changes: they still read back,
 * and no later sync brings them to the disk; only writing them again does.
 */

import type { Random } from "./random.ts";

/**
 * What of the unsynced changes a loss of power leaves on the disk: none of them, all of them, the
 * first of them up to any byte, or any of their 512-byte sectors.
 */
export type Survival = "nothing" | "everything" | "prefix" | "sectors";

const SECTOR_BYTES = 512;

type Change =
  | { readonly kind: "write"; readonly bytes: Uint8Array; readonly offset: number }
  | { readonly kind: "truncate"; readonly size: number };

let files = 0;

export class SimulatedFile {
  /** Its device and inode. */
  readonly identity: string = `0-${++files}`;
  /** What reads back. */
  readonly #cache: Content;
  /** What is on the disk. */
  readonly #disk: Content;
  /** What was changed and not synced, oldest first. */
  #changes: Change[] = [];
  /** How many changes were synced, or forgotten, before those. */
  #done = 0;

  constructor(durable: Uint8Array = new Uint8Array(0)) {
    this.#cache = new Content(durable);
    this.#disk = new Content(durable);
  }

  get size(): number {
    return this.#cache.size;
  }

  content(): Uint8Array {
    return this.#cache.bytes().slice();
  }

  read(into: Uint8Array, offset: number): number {
    const found = this.#cache.bytes().subarray(offset, offset + into.length);
    into.set(found);
    return found.length;
  }

  write(bytes: Uint8Array, offset: number): void {
    if (bytes.length > 0) this.#change({ kind: "write", bytes: bytes.slice(), offset });
  }

  truncate(size: number): void {
    this.#change({ kind: "truncate", size });
  }

  #change(change: Change): void {
    this.#cache.apply(change);
    this.#changes.push(change);
  }

  /** Names the changes up to now, for {@linkcode sync}. */
  dirty(): number {
    return this.#done + this.#changes.length;
  }

  /** Makes the changes up to `until` durable. */
  sync(until: number): void {
    for (const change of this.#take(until)) this.#disk.apply(change);
  }

  /**
   * Forgets what was written up to `until`, of which any first part may have reached the disk.
   * How long the file is, is not forgotten: it is in the file system's own journal.
   */
  failSync(until: number, random: Random): void {
    const changes = this.#take(until);
    const applied = prefix(changes, random);
    for (const change of applied) this.#disk.apply(change);
    const cuts = changes.slice(applied.length).filter(({ kind }) => kind === "truncate");
    this.#changes.unshift(...cuts);
    this.#done -= cuts.length;
  }

  #take(until: number): Change[] {
    const taken = this.#changes.splice(0, until - this.#done);
    this.#done += taken.length;
    return taken;
  }

  /** What is on the disk after a loss of power now. */
  afterCrash(survival: Survival, random: Random): Uint8Array {
    const found = new Content(this.#disk.bytes());
    for (const change of surviving(this.#changes, survival, random)) found.apply(change);
    return found.bytes().slice();
  }
}

function surviving(changes: readonly Change[], survival: Survival, random: Random): Change[] {
  switch (survival) {
    case "nothing":
      return [];
    case "everything":
      return [...changes];
    case "prefix":
      return prefix(changes, random);
    case "sectors":
      return changes.flatMap((change) => sectors(change).filter(() => random.chance(0.5)));
  }
}

/** The changes up to any byte of one of them. */
function prefix(changes: readonly Change[], random: Random): Change[] {
  const whole = changes.slice(0, random.upTo(changes.length));
  const next = changes[whole.length];
  if (next?.kind !== "write") return whole;
  const bytes = next.bytes.subarray(0, random.upTo(next.bytes.length));
  return bytes.length > 0 ? [...whole, { ...next, bytes }] : whole;
}

/** A change in pieces that reach the disk each for itself. */
function sectors(change: Change): Change[] {
  if (change.kind === "truncate") return [change];
  const pieces: Change[] = [];
  const { bytes, offset } = change;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES);
    pieces.push({ kind: "write", bytes: bytes.subarray(at, end), offset: offset + at });
    at = end;
  }
  return pieces;
}

/** Bytes that grow and shrink as a file's do: what was never written is zero. */
class Content {
  #buffer: Uint8Array;
  size: number;

  constructor(bytes: Uint8Array) {
    this.#buffer = bytes.slice();
    this.size = bytes.length;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.size);
  }

  apply(change: Change): void {
    if (change.kind === "truncate") {
      this.#resize(change.size);
      return;
    }
    const end = change.offset + change.bytes.length;
    if (end > this.size) this.#resize(end);
    this.#buffer.set(change.bytes, change.offset);
  }

  #resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(this.bytes());
      this.#buffer = larger;
    }
    if (size < this.size) this.#buffer.fill(0, size, this.size);
    this.size = size;
  }
}
