/**
 * The pauses between the deaths of workers and the starts of others: each holds the place of one dead
 * worker, and is twice as long as the one before until a worker answers.
 */

import type { Clock } from "../clock.ts";
import { RESTART_DELAY_MS_MAX } from "../limits.ts";

interface Pause {
  readonly end: () => void;
  readonly cancel: () => void;
}

export class RestartDelays {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #over: () => void;
  readonly #pauses = new Set<Pause>();
  /** Deaths since a worker has answered. */
  #failures = 0;

  /** `over` is called at the end of each pause; the first takes `ms` milliseconds. */
  constructor(clock: Clock, ms: number, over: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#over = over;
  }

  /** How many places of dead workers are held. */
  get size(): number {
    return this.#pauses.size;
  }

  /** A worker has died. */
  begin(): void {
    const cap = Math.max(RESTART_DELAY_MS_MAX, this.#ms);
    const ms = Math.min(cap, this.#ms * 2 ** Math.min(this.#failures++, 30));
    const pause: Pause = {
      cancel: this.#clock.after(ms, () => pause.end()),
      end: () => {
        this.#forget(pause);
        this.#over();
      },
    };
    this.#pauses.add(pause);
  }

  /** A worker has answered. */
  reset(): void {
    this.#failures = 0;
  }

  /** Ends all pauses at once: what was wrong may be mended. */
  endAll(): void {
    this.#failures = 0;
    for (const { end } of [...this.#pauses]) end();
  }

  /** Gives up one of the places: a worker is there already. */
  cancelOne(): void {
    for (const pause of this.#pauses) return this.#forget(pause);
  }

  close(): void {
    for (const pause of this.#pauses) this.#forget(pause);
  }

  #forget(pause: Pause): void {
    pause.cancel();
    this.#pauses.delete(pause);
  }
}
