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
  readonly #onArrival: () => void;
  readonly #lanes: readonly Lane<Event>[] = Array.from({ length: LANES }, () => new Lane<Event>());
  /** Blocks that were read; the one that was used last is the last. */
  readonly #cached: ChangeBlock<Event>[] = [];
  #cachedBytes = 0;
  #nextLane = 0;
  #reading: Promise<void> | undefined;
  /** What the last failure said: it is not reported once for each who runs into it. */
  #reported: string | undefined;

  /** `onArrival` is called when a block has been handed out. */
  constructor(
    source: ChangeSource<Event>,
    report: (error: unknown) => void,
    onArrival: () => void,
  ) {
    this.#source = source;
    this.#report = report;
    this.#onArrival = onArrival;
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
   * To be called at the end of a turn of the event loop after somebody has begun to wait, or a
   * block was handed out: reads the next block, if one is to be read now. Returns whether it is
   * to be called again at the end of the next turn, whatever happens until then.
   */
  turn(): boolean {
    if (this.#reading !== undefined) return false;
    let isHeld = false;
    for (let i = 0; i < LANES; i++) {
      const lane = this.#lanes[this.#nextLane];
      this.#nextLane = (this.#nextLane + 1) % LANES;
      const wanted = lane?.depart();
      if (lane === undefined || wanted === undefined) continue;
      if (wanted === "held") {
        isHeld = true;
        continue;
      }
      this.#reading = this.#serve(lane, wanted).finally(() => {
        this.#reading = undefined;
        this.#onArrival();
      });
      return false;
    }
    return isHeld;
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
  /** Who waits, by the sequence that is wanted: those who ride together want the same. */
  readonly #waiting = new Map<number, Rider<Event>[]>();
  /** Which of these are at or behind `#next`, and which before it: they are for the next ride. */
  #ahead = new BinaryHeap<number>(ascending);
  #behind = new BinaryHeap<number>(ascending);
  /** Where the last block ended. */
  #next = 0;
  #block: ChangeBlock<Event> | undefined;

  add(rider: Rider<Event>): void {
    const { wanted } = rider;
    const others = this.#waiting.get(wanted);
    if (others !== undefined) {
      others.push(rider);
      return;
    }
    this.#waiting.set(wanted, [rider]);
    (wanted < this.#next ? this.#behind : this.#ahead).push(wanted);
  }

  /** The place to read now; `held` if the lane waits for those whom it has carried. */
  depart(): number | "held" | undefined {
    if (this.#block !== undefined && this.#block.riders > 0) {
      return this.#waiting.size > 0 ? "held" : undefined;
    }
    const wanted = this.#first() ?? this.#turnRound();
    if (wanted === undefined) this.#block = undefined; // Nobody needs to hold on to it.
    else this.#next = wanted;
    return wanted;
  }

  /** Hands out a block. */
  arrive(block: ChangeBlock<Event>): void {
    this.#block = block;
    this.#next = block.last + 1;
    for (let wanted = this.#first(); wanted !== undefined; wanted = this.#first()) {
      if (wanted > block.last) break;
      for (const rider of this.#take(wanted)) {
        if (!rider.isEnded) rider.ride(block);
      }
    }
  }

  /** Nobody can have what is at `wanted`. What is behind it may be sound. */
  fail(wanted: number, error: unknown): void {
    this.#block = undefined;
    this.#next = wanted + 1;
    if (this.#first() !== wanted) return;
    for (const rider of this.#take(wanted)) {
      if (!rider.isEnded) rider.fail(error);
    }
  }

  clear(): void {
    this.#waiting.clear();
    this.#ahead.clear();
    this.#behind.clear();
    this.#block = undefined;
  }

  /** The first place ahead at which somebody still waits. */
  #first(): number | undefined {
    for (;;) {
      const wanted = this.#ahead.peek();
      if (wanted === undefined) return undefined;
      if (this.#waiting.get(wanted)?.some((rider) => !rider.isEnded)) return wanted;
      this.#take(wanted);
    }
  }

  /** Removes the first place ahead; returns who waited there. */
  #take(wanted: number): Rider<Event>[] {
    this.#ahead.pop();
    const riders = this.#waiting.get(wanted) ?? [];
    this.#waiting.delete(wanted);
    return riders;
  }

  #turnRound(): number | undefined {
    [this.#ahead, this.#behind] = [this.#behind, this.#ahead];
    return this.#first();
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}
