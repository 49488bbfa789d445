/**
 * Latencies, counted: every microsecond up to 65 ms has a count of its own, every millisecond
 * up to a minute has one after that. Adding to it allocates nothing.
 */

const FINE_US = 1 << 16;
const COARSE_US = 1000;
const COARSE_COUNT = 60_000;

/** How often which latency was seen. */
export class Histogram {
  readonly #counts = new Uint32Array(FINE_US + COARSE_COUNT);
  #total = 0;

  /** How many there are. */
  get total(): number {
    return this.#total;
  }

  /** Counts one, in microseconds. What takes more than a minute counts as a minute. */
  add(us: number): void {
    const slot = us < FINE_US
      ? Math.trunc(us)
      : FINE_US + Math.min(COARSE_COUNT - 1, Math.trunc(us / COARSE_US));
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    this.#total++;
  }

  /** The latency, in microseconds, that `share` of all (0 to 1) did not exceed. */
  percentile(share: number): number {
    let left = Math.max(1, Math.ceil(this.#total * share));
    for (const [slot, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0 && count > 0) return slot < FINE_US ? slot : (slot - FINE_US) * COARSE_US;
    }
    return 0;
  }
}
