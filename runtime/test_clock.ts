/**
 * The clock port in a test's hand: time passes only when the test says so, and what is due
 * happens in the order in which it is due.
 */

import type { Clock } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Turns of the event loop after which promises, and the bodies of requests, have settled. */
const TURNS = 5;

const { setTimeout } = globalThis; // Whatever a test makes of it later.

/** A clock that stands still, but for {@linkcode TestClock.advance}. */
export class TestClock implements Clock {
  #now = 0;
  /** In the order in which they were set. */
  readonly #timers = new Set<Timer>();

  /** Whether anything is to happen when time passes. */
  get hasTimers(): boolean {
    return this.#timers.size > 0;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  // Not a turn of the event loop, which no test can hold in hand.
  defer(callback: () => void): void {
    queueMicrotask(callback);
  }

  /** Lets `ms` milliseconds pass, and all happen that is due. */
  async advance(ms: number): Promise<void> {
    await settle();
    const until = this.#now + ms;
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settle();
    }
    this.#now = Math.max(this.#now, until);
  }

  #next(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= until && (next === undefined || timer.at < next.at)) next = timer;
    }
    return next;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => setTimeout(resolve));
}
