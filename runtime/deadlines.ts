/**
 * Deadlines of one duration, on one timer: starting and stopping one costs next to nothing,
 * which a timer each does not.
 */

import type { Clock } from "./clock.ts";

/** What has a deadline. It is its own entry in the list, so that none has to be made. */
export interface Expiring {
  /** When the time is up, on the clock; set by {@linkcode Deadlines.start}. */
  expiresAt: number;
  /** Called when the time is up. */
  expire(): void;
}

/** Deadlines that all expire the same time after they were started. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #ms: number;
  /** In the order of starting, which is that of expiring. */
  readonly #running = new Set<Expiring>();
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Calls `expire` when the time is up, unless it is stopped before. */
  start(expiring: Expiring): void {
    expiring.expiresAt = this.#clock.now() + this.#ms;
    this.#running.add(expiring);
    // The timer outlives what it was set for: the next one finds it running.
    if (this.#cancelTimer === undefined) this.#wait(this.#ms);
  }

  /** Stops what was started, if it still runs. */
  stop(expiring: Expiring): void {
    this.#running.delete(expiring);
  }

  /** Stops all of them, and the timer. */
  close(): void {
    this.#running.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #wait(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, () => {
      this.#cancelTimer = undefined;
      const now = this.#clock.now();
      for (const expiring of this.#running) {
        if (expiring.expiresAt > now) break;
        this.#running.delete(expiring);
        expiring.expire();
      }
      const [next] = this.#running;
      if (next !== undefined && this.#cancelTimer === undefined) {
        this.#wait(Math.max(1, next.expiresAt - now));
      }
    });
  }
}
