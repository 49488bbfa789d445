/**
 * One file of the simulated disk: what reads back (the page cache), what is on the disk, and the
 * changes between the two that no sync has covered yet.
 *
 * Blocks reach the disk in any order, before a crash or in it, and so do sizes, though these in
 * their own order (a journal): so there may be holes, and zeros where data should be. A failed
 * sync forgets changes: they still read back, until the system drops them from its cache, and no
 * later sync brings them to the disk; only writing them again does.
 */

import type { Random } from "./random.ts";

/**
 * What of the unsynced changes a loss of power leaves on the disk: none of them, all of them, the
 * first of them up to any byte, or any of their 512-byte sectors or 4096-byte pages.
 */
export type Survival = "nothing" | "everything" | "prefix" | "sectors" | "pages";

/** All kinds of it. */
export const SURVIVALS: readonly Survival[] = [
  "nothing",
  "everything",
  "prefix",
  "sectors",
  "pages",
];

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;

/** `order` counts the changes of a file; pieces of one change share it. */
type Change = Write | { readonly kind: "truncate"; readonly order: number; readonly size: number };

interface Write {
  readonly kind: "write";
  readonly order: number;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

let files = 0;

export class SimulatedFile {
  /** Its device and inode. */
  readonly identity: string;
  /** What reads back. */
  #cache: Content;
  /** What is on the disk. */
  readonly #disk: Content;
  /** What was changed and not synced, oldest first. */
  #changes: Change[] = [];
  #order = 0;

  constructor(durable: Uint8Array = new Uint8Array(0), identity: string = `0-${++files}`) {
    this.identity = identity;
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
    if (bytes.length === 0) return;
    this.#change({ kind: "write", order: this.#order++, bytes: bytes.slice(), offset });
  }

  truncate(size: number): void {
    this.#change({ kind: "truncate", order: this.#order++, size });
  }

  #change(change: Change): void {
    this.#cache.apply(change);
    this.#changes.push(change);
  }

  /** Names the changes up to now, for {@linkcode sync}. */
  dirty(): number {
    return this.#order;
  }

  /** Makes the changes up to `until` durable. */
  sync(until: number): void {
    for (const change of this.#take(until)) this.#disk.apply(change);
  }

  /**
   * Forgets what was written up to `until`, but for what survives. How long the file is need not be
   * forgotten: it is in the file system's own journal.
   */
  failSync(until: number, survival: Survival | "anything", random: Random): void {
    const changes = this.#take(until);
    const kind = survival === "anything" ? random.of(SURVIVALS) : survival;
    surviving(this.#disk, changes, kind, random);
    const isLong = survival === "anything" && random.chance(0.5);
    const sizes = changes.flatMap((change): Change[] => {
      // Not one that would bring back, as zeros, what was forgotten.
      if (change.kind === "truncate") {
        return isLong || change.size <= this.#disk.size ? [change] : [];
      }
      return isLong ? [{ ...change, bytes: new Uint8Array(0), offset: endOf(change) }] : [];
    });
    this.#changes = [...sizes, ...this.#changes];
  }

  #take(until: number): Change[] {
    const taken = this.#changes.filter(({ order }) => order < until);
    this.#changes = this.#changes.filter(({ order }) => order >= until);
    return taken;
  }

  /** The system brings some of the changes to the disk by itself. */
  writeBack(random: Random): void {
    const isChosen = choice(() => random.chance(0.5));
    const left: Change[] = [];
    for (const change of journal(this.#disk, this.#changes)) {
      for (const piece of pieces(change, PAGE_BYTES)) {
        if (isChosen(blockOf(piece, PAGE_BYTES))) this.#disk.apply(piece);
        else left.push(piece);
      }
    }
    this.#changes = left;
  }

  /** The system drops what need not be written from its cache: it is read from the disk again. */
  evict(): void {
    const { size } = this.#cache;
    this.#cache = new Content(this.#disk.bytes());
    for (const change of this.#changes) this.#cache.apply(change);
    // That one stays as long as the file is open.
    this.#cache.resize(size);
  }

  /** Turns one bit over, on the disk and in what reads back. */
  flip(bit: number): void {
    this.#disk.flip(bit);
    this.#cache.flip(bit);
  }

  /** What is on the disk after a loss of power now. */
  afterCrash(survival: Survival, random: Random): Uint8Array {
    const found = new Content(this.#disk.bytes());
    surviving(found, this.#changes, survival, random);
    return found.bytes().slice();
  }
}

/** Brings those changes to the disk that survive. */
function surviving(
  disk: Content,
  changes: readonly Change[],
  survival: Survival,
  random: Random,
): void {
  if (survival === "everything") { for (const change of changes) disk.apply(change); }
  else if (survival === "prefix") {
    for (const change of prefix(changes, random)) {
      disk.apply(change);
    }
  } else if (survival === "sectors") scatter(disk, changes, SECTOR_BYTES, random);
  else if (survival === "pages") scatter(disk, changes, PAGE_BYTES, random);
}

/** The changes up to any byte of one of them. */
function prefix(changes: readonly Change[], random: Random): Change[] {
  const whole = changes.slice(0, random.upTo(changes.length));
  const next = changes[whole.length];
  if (next?.kind !== "write") return whole;
  const bytes = next.bytes.subarray(0, random.upTo(next.bytes.length));
  return bytes.length > 0 ? [...whole, { ...next, bytes }] : whole;
}

/** Each block as it was after any of the changes, and the size as it was after any of them. */
function scatter(
  disk: Content,
  changes: readonly Change[],
  blockBytes: number,
  random: Random,
): void {
  const all = changes.flatMap((change) => pieces(change, blockBytes));
  const journaled = random.upTo(all.length);
  const writes = journal(disk, all.slice(0, journaled));
  writes.push(...all.slice(journaled).filter((piece) => piece.kind === "write"));
  const { size } = disk;
  const inBlock = (block: number) => writes.filter((it) => blockOf(it, blockBytes) === block);
  const survives = choice((block) => {
    const found = inBlock(block);
    return new Set(found.slice(0, random.upTo(found.length)));
  });
  for (const piece of writes) {
    if (survives(blockOf(piece, blockBytes)).has(piece)) disk.apply(piece);
  }
  disk.resize(size);
}

/** Draws for each block once. */
function choice<Chosen>(draw: (block: number) => Chosen): (block: number) => Chosen {
  const chosen = new Map<number, Chosen>();
  return (block) => {
    const known = chosen.get(block);
    if (known !== undefined) return known;
    const drawn = draw(block);
    chosen.set(block, drawn);
    return drawn;
  };
}

/**
 * Makes the sizes durable that a file had with these changes: what was cut off is gone, and what
 * was not written is zero. Returns what is still to be written.
 */
function journal(disk: Content, changes: readonly Change[]): Write[] {
  let left: Write[] = [];
  for (const change of changes) {
    if (change.kind === "write") {
      left.push(change);
      disk.resize(Math.max(disk.size, endOf(change)));
    } else {
      left = left.flatMap((earlier) => clipped(earlier, change.size));
      disk.resize(change.size);
    }
  }
  return left;
}

function clipped(change: Write, size: number): Write[] {
  if (endOf(change) <= size) return [change];
  if (change.offset >= size) return [];
  return [{ ...change, bytes: change.bytes.subarray(0, size - change.offset) }];
}

function endOf({ bytes, offset }: Write): number {
  return offset + bytes.length;
}

function blockOf({ offset }: Write, blockBytes: number): number {
  return Math.floor(offset / blockBytes);
}

/** A change in pieces that reach the disk each for itself. */
function pieces<Some extends Change>(change: Some, blockBytes: number): (Some | Write)[] {
  if (change.kind === "truncate" || change.bytes.length === 0) return [change];
  const found: Write[] = [];
  const { bytes, offset } = change;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + blockBytes - (offset + at) % blockBytes);
    found.push({ ...change, bytes: bytes.subarray(at, end), offset: offset + at });
    at = end;
  }
  return found;
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
      this.resize(change.size);
      return;
    }
    const end = endOf(change);
    if (end > this.size) this.resize(end);
    this.#buffer.set(change.bytes, change.offset);
  }

  flip(bit: number): void {
    const at = bit >>> 3;
    if (at < this.size) this.#buffer[at] = (this.#buffer[at] ?? 0) ^ 1 << (bit & 7);
  }

  resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(this.bytes());
      this.#buffer = larger;
    }
    if (size < this.size) this.#buffer.fill(0, size, this.size);
    this.size = size;
  }
}
