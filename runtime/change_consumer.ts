/**
 * One who follows the log: a cursor, and the promise that it was given when it asked for more
 * than there was. What it gets and when is decided in `changes.ts`.
 */

import type { Change, ChangeBlock } from "./change_block.ts";
import type { Rider } from "./change_scan.ts";
import type { Expiring } from "./deadlines.ts";
import { type AlcedoError, assert } from "./errors.ts";

/** What is next: a commit, or the end. */
type Step<Event> = IteratorResult<Change<Event>, undefined>;

/** Durable commits, one after the other. It ends when it is left, or the engine is closed. */
export interface Changes<Event>
  extends AsyncIterableIterator<Change<Event>, undefined, undefined>, AsyncDisposable {
  /**
   * The next commit, as soon as there is one.
   *
   * @throws {AlcedoError} `consumer_slow` if it was ended because it did not ask for so long,
   * `log_unreadable` if the log is damaged there, `bad_event` if an event cannot be decoded. It
   * has ended then.
   */
  next(): Promise<IteratorResult<Change<Event>, undefined>>;
  /** Ends it, also for whoever waits for the next commit. */
  return(): Promise<IteratorResult<Change<Event>, undefined>>;
  /** Itself: it is followed once. */
  [Symbol.asyncIterator](): Changes<Event>;
}

/** Where consumers get their commits. */
export interface ConsumerHost<Event> {
  /** The consumer begins; `false` if it is too late for that. */
  join(consumer: Consumer<Event>): boolean;
  /** The consumer has ended. */
  leave(consumer: Consumer<Event>): void;
  /**
   * The wanted commit, if it can be had at once; else one of `settle` and `fail` will be called.
   *
   * @throws {AlcedoError} `bad_event` if an event of it cannot be decoded.
   */
  ask(consumer: Consumer<Event>): Change<Event> | undefined;
  /** There is a block with the wanted commit: it may have it when it is its turn. */
  enqueue(consumer: Consumer<Event>): void;
  /** The error for a consumer that has not come back in time. */
  slow(consumer: Consumer<Event>): AlcedoError;
}

/** One who follows the log. */
export class Consumer<Event> implements Changes<Event>, Rider<Event>, Expiring {
  /** The sequence of the next commit. */
  wanted: number;
  /** Whether it was given a commit in this turn of the event loop. */
  isGiven = false;
  /** When it has stayed away for too long, if there is more for it. */
  expiresAt: number = Infinity;
  readonly #host: ConsumerHost<Event>;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #hasBegun = false;
  #isEnded = false;
  #isQueued = false;
  #block: ChangeBlock<Event> | undefined;
  /** Whether a scan has brought it to its block. */
  #isRider = false;
  #waiting: PromiseWithResolvers<Step<Event>> | undefined;
  /** What is to be thrown when it comes back. */
  #failure: AlcedoError | undefined;

  constructor(host: ConsumerHost<Event>, wanted: number, signal: AbortSignal | undefined) {
    this.#host = host;
    this.wanted = wanted;
    this.#signal = signal;
  }

  /** Whether it has a block with the wanted commit. */
  get hasBlock(): boolean {
    return this.#block !== undefined;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Whether it has asked for a commit and not got it yet. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  next(): Promise<Step<Event>> {
    if (this.#waiting !== undefined) {
      // Whoever asks twice without waiting gets the one, then the other.
      const again = () => this.next();
      return this.#waiting.promise.then(again, again);
    }
    if (!this.#hasBegun) this.#begin();
    if (this.#isEnded) return this.#afterEnd();
    try {
      const change = this.#host.ask(this);
      if (change !== undefined) return Promise.resolve({ value: change, done: false });
    } catch (error) {
      this.end();
      return Promise.reject(error);
    }
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<Step<Event>> {
    this.#failure = undefined;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #begin(): void {
    this.#hasBegun = true;
    const signal = this.#signal;
    if (signal?.aborted || !this.#host.join(this)) {
      this.#isEnded = true;
    } else if (signal !== undefined) {
      this.#onAbort = () => this.end();
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
  }

  #afterEnd(): Promise<Step<Event>> {
    const failure = this.#failure;
    this.#failure = undefined;
    // Whoever has aborted it does not want to know.
    return failure === undefined || this.#signal?.aborted
      ? Promise.resolve({ value: undefined, done: true })
      : Promise.reject(failure);
  }

  /** The wanted commit, of its block; the next one is wanted then. */
  take(): Change<Event> {
    const block = this.#block;
    assert(block !== undefined, "a consumer takes what is there");
    const change = block.change(this.wanted);
    if (this.wanted++ === block.last) this.letGo();
    return change;
  }

  /** It gets what it waits for. */
  settle(change: Change<Event>): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ value: change, done: false });
  }

  fail(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.end();
    waiting?.reject(error);
  }

  /** Ends it; whoever waits is told that there is no more. */
  end(): void {
    this.#hasBegun = true;
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.leaveQueue();
    this.letGo();
    this.#host.leave(this);
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  expire(): void {
    this.#failure = this.#host.slow(this);
    this.end();
  }

  ride(block: ChangeBlock<Event>): void {
    this.hold(block);
    this.#isRider = true;
    this.#host.enqueue(this);
  }

  /** There is a block with the wanted commit. */
  hold(block: ChangeBlock<Event>): void {
    this.#block = block;
    block.hold();
  }

  /** It needs its block no longer, or has to get it anew. */
  letGo(): void {
    this.#block?.letGo();
    this.#block = undefined;
    this.#isRider = false;
  }

  /** It waits for its turn from now on. */
  enterQueue(): void {
    this.#isQueued = true;
    if (this.#isRider && this.#block !== undefined) this.#block.riders++;
  }

  leaveQueue(): void {
    if (this.#isQueued && this.#isRider && this.#block !== undefined) this.#block.riders--;
    this.#isQueued = false;
  }
}
