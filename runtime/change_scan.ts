/**
 * Reads the log for all who follow it from an old place, so that many of them cost about one
 * pass over it, however they are spread (a cooperative scan).
 *
 * Those who wait are kept in lanes, by how far from the end of the log they are: a lane is for
 * eight times the distance of the next one. Each lane is an elevator: it reads the first
 * wanted place at or behind the last block that it read, and begins anew at its front when there
 * is none. All who wait for a commit of a block get it. A lane waits for those who came with it
 * this far, as long as all that they wait for is their turn: so they stay together, and whoever
 * the lane meets joins them. Who takes longer is not waited for, and gets the next ride.
 *
 * Lanes take turns, so that whoever is near the end waits for those who are near it too, and
 * never for the whole of history. Since each lane's stretch is an eighth of the next one's, all
 * of them together are read little more than once.
 */

import { BinaryHeap } from "#std/data_structures/binary_heap";
import { ChangeBlock, type ChangeSource } from "./change_block.ts";
import { AlcedoError, assert, messageOf } from "./errors.ts";
import { CHANGE_BLOCK_BYTES, CHANGE_BLOCK_COMMITS, CHANGE_CACHE_BYTES } from "./limits.ts";

/** Who waits for a block. */
export interface Rider<Event> {
  /** The sequence of the commit that is wanted. */
  readonly wanted: number;
  /** Whether nobody waits any more. */
  readonly isEnded: boolean;
  /** Called with the block that has the commit. */
  ride(block: ChangeBlock<Event>): void;
  /** Called instead if it cannot be read. */
  fail(error: unknown): void;
}

/** Enough for every whole number, by powers of eight. */
const LANES = 18;

/** The reader of those who follow. */
export class ChangeScan<Event> {
  readonly #source: ChangeSource<Event>;
  readonly #report: (error: unknown) => void;
  readonly #lanes: readonly Lane<Event>[] = Array.from({ length: LANES }, () => new Lane<Event>());
  /** Blocks that were read; the one that was used last is the last. */
  readonly #cached: ChangeBlock<Event>[] = [];
  #cachedBytes = 0;
  #nextLane = 0;
  #reading: Promise<void> | undefined;
  /** What the last failure said: it is not reported once for each who runs into it. */
  #reported: string | undefined;

  constructor(source: ChangeSource<Event>, report: (error: unknown) => void) {
    this.#source = source;
    this.#report = report;
  }

  /** A block with this commit, if there is one in memory. */
  find(sequence: number): ChangeBlock<Event> | undefined {
    const cached = this.#cached;
    for (let i = cached.length - 1; i >= 0; i--) {
      const block = cached[i];
      if (block?.has(sequence) !== true) continue;
      if (i < cached.length - 1) {
        cached.splice(i, 1);
        cached.push(block);
      }
      return block;
    }
    return undefined;
  }

  /** Lets somebody wait for a commit that is durable. */
  wait(rider: Rider<Event>): void {
    const { durable } = this.#source.log;
    const distance = durable - rider.wanted + 1;
    this.#lanes[Math.floor(Math.log2(durable / distance) / 3)]?.add(rider);
  }

  /**
   * To be called at the end of each turn of the event loop: reads the next block, unless one is
   * being read or nobody waits for one. Resolves when it has been handed out.
   */
  turn(): Promise<void> | undefined {
    if (this.#reading !== undefined) return undefined;
    for (let i = 0; i < LANES; i++) {
      const lane = this.#lanes[this.#nextLane];
      this.#nextLane = (this.#nextLane + 1) % LANES;
      const wanted = lane?.depart();
      if (lane === undefined || wanted === undefined) continue;
      this.#reading = this.#serve(lane, wanted).finally(() => this.#reading = undefined);
      return this.#reading;
    }
    return undefined;
  }

  /** Resolves when nothing is being read any more. Nobody may wait. */
  async close(): Promise<void> {
    await this.#reading;
    this.forget();
  }

  /** Lets go of what it keeps. Nobody may wait. */
  forget(): void {
    for (const lane of this.#lanes) lane.clear();
    this.#cached.length = 0;
    this.#cachedBytes = 0;
  }

  async #serve(lane: Lane<Event>, wanted: number): Promise<void> {
    try {
      // Another lane may have read it since.
      lane.arrive(this.find(wanted) ?? await this.#read(wanted));
    } catch (error) {
      lane.fail(wanted, error);
      if (this.#reported === messageOf(error)) return;
      this.#reported = messageOf(error);
      this.#report(error);
    }
  }

  async #read(first: number): Promise<ChangeBlock<Event>> {
    const { log } = this.#source;
    const commits = await log.readCommits(first - 1, this.#blockBytes());
    const block = new ChangeBlock(this.#source, first);
    for (const commit of commits) {
      assert(commit.sequence === block.last + 1, "a log returns the commits that it is asked for");
      block.add(commit);
    }
    if (!block.has(first)) {
      throw new AlcedoError("log_unreadable", `Cannot read log "${log.name}" behind ${first - 1}`);
    }
    this.#keep(block);
    return block;
  }

  /**
   * Bytes to read at once: fewer where commits are small, which become objects many times their
   * size. Powers of two, so that two passes divide the log at the same places.
   */
  #blockBytes(): number {
    const { durable, durableBytes } = this.#source.log;
    const commitBytes = Math.max(1, durableBytes / Math.max(1, durable));
    const bytes = Math.min(CHANGE_BLOCK_BYTES, commitBytes * CHANGE_BLOCK_COMMITS);
    return 2 ** Math.floor(Math.log2(bytes));
  }

  #keep(block: ChangeBlock<Event>): void {
    this.#cached.push(block);
    this.#cachedBytes += block.bytes;
    while (this.#cachedBytes > CHANGE_CACHE_BYTES && this.#cached.length > 1) {
      this.#cachedBytes -= this.#cached.shift()?.bytes ?? 0;
    }
  }
}

/** An elevator. */
class Lane<Event> {
  /** Who waits at or behind `#next`, and who waits before it: the next ride is theirs. */
  #ahead = new BinaryHeap<Rider<Event>>(byPlace);
  #behind = new BinaryHeap<Rider<Event>>(byPlace);
  /** Where the last block ended. */
  #next = 0;
  #block: ChangeBlock<Event> | undefined;

  add(rider: Rider<Event>): void {
    (rider.wanted < this.#next ? this.#behind : this.#ahead).push(rider);
  }

  /** The place to read now; `undefined` if nobody waits, or the lane for those it carries. */
  depart(): number | undefined {
    if (this.#block !== undefined && this.#block.riders > 0) return undefined;
    const rider = this.#first() ?? this.#turnRound();
    if (rider === undefined) {
      this.#block = undefined; // Nobody needs to hold on to it.
      return undefined;
    }
    this.#next = rider.wanted;
    return rider.wanted;
  }

  /** Hands out a block. */
  arrive(block: ChangeBlock<Event>): void {
    this.#block = block;
    this.#next = block.last + 1;
    for (let rider = this.#first(); rider !== undefined; rider = this.#first()) {
      if (rider.wanted > block.last) break;
      this.#ahead.pop();
      rider.ride(block);
    }
  }

  /** Nobody can have what is at `wanted`. What is behind it may be sound. */
  fail(wanted: number, error: unknown): void {
    this.#block = undefined;
    this.#next = wanted + 1;
    for (let rider = this.#first(); rider?.wanted === wanted; rider = this.#first()) {
      this.#ahead.pop();
      rider.fail(error);
    }
  }

  clear(): void {
    this.#ahead.clear();
    this.#behind.clear();
    this.#block = undefined;
  }

  /** The first of those ahead, without those who have left. */
  #first(): Rider<Event> | undefined {
    for (;;) {
      const rider = this.#ahead.peek();
      if (rider?.isEnded !== true) return rider;
      this.#ahead.pop();
    }
  }

  #turnRound(): Rider<Event> | undefined {
    [this.#ahead, this.#behind] = [this.#behind, this.#ahead];
    return this.#first();
  }
}

function byPlace(a: Rider<never>, b: Rider<never>): number {
  return a.wanted - b.wanted;
}
