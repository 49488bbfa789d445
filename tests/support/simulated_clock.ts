/**
 * The clock port under a test's control: time passes only when the test says so, and what is
 * due happens in the order in which it is due. Promises settle in between, so that a run with
 * the same inputs is the same run.
 */

import { setImmediate } from "node:timers";
import type { Clock } from "../../runtime/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Turns of the real event loop after which promises and streams have settled. */
const TURNS = 2;

export class SimulatedClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();
  #deferred: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  /** Resolves when `ms` have passed. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Lets time pass while nothing can happen, as for a thread that waits for its disk. */
  block(ms: number): void {
    this.#now += ms;
  }

  /** Lets everything happen that needs no time to pass. */
  async settle(): Promise<void> {
    do {
      for (let i = 0; i < TURNS; i++) await turn();
      for (const callback of this.#deferred.splice(0)) callback();
      await turn();
    } while (this.#deferred.length > 0);
  }

  /** Lets `ms` pass, and all happen that is due. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.at <= until; next = this.#next()) {
      await this.#run(next);
    }
    this.#now = Math.max(this.#now, until);
  }

  /** Goes from one due timer to the next until `isOver`; `false` if nothing is due before. */
  async runUntil(isOver: () => boolean): Promise<boolean> {
    await this.settle();
    while (!isOver()) {
      const next = this.#next();
      if (next === undefined) {
        // Streams of some platforms take a few turns more.
        for (let i = 0; i < 50 && !isOver(); i++) await this.settle();
        if (this.#next() === undefined) return isOver();
      } else await this.#run(next);
    }
    return true;
  }

  async #run(timer: Timer): Promise<void> {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.callback();
    await this.settle();
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (
        next === undefined || timer.at < next.at ||
        timer.at === next.at && timer.order < next.order
      ) next = timer;
    }
    return next;
  }
}

/** One turn of the real event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
