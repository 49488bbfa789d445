/**
 * Deadlines of one duration, on one timer: starting and stopping one costs next to nothing,
 * which a timer each does not.
 */

import type { Clock } from "./clock.ts";

/** A deadline that has been started. */
export interface Deadline {
  readonly at: number;
  readonly onExpire: () => void;
}

/** Deadlines that all expire the same time after they were started. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #ms: number;
  /** In the order of starting, which is that of expiring. */
  readonly #running = new Set<Deadline>();
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Calls `onExpire` when the time is up, unless it is stopped before. */
  start(onExpire: () => void): Deadline {
    const deadline = { at: this.#clock.now() + this.#ms, onExpire };
    this.#running.add(deadline);
    // The timer outlives the deadline it was set for: the next one finds it running.
    if (this.#cancelTimer === undefined) this.#wait(this.#ms);
    return deadline;
  }

  stop(deadline: Deadline): void {
    this.#running.delete(deadline);
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
      for (const deadline of this.#running) {
        if (deadline.at > now) break;
        this.#running.delete(deadline);
        deadline.onExpire();
      }
      const [next] = this.#running;
      if (next !== undefined && this.#cancelTimer === undefined) {
        this.#wait(Math.max(1, next.at - now));
      }
    });
  }
}
