/**
 * A histogram with fixed bounds: what is observed is counted in place, and nothing is made until
 * somebody asks for the figures.
 */

/**
 * Bounds for what takes time, in seconds: from a read out of memory, or a sync of a disk with a
 * battery, to what a request may take.
 */
export const LATENCY_BOUNDS_S: readonly number[] = [0.0001, 0.001, 0.01, 0.1, 1, 10]
  .flatMap((start) => [start, 2.5 * start, 5 * start]);

/** Counts of observed values, by how large they were. */
export class Histogram {
  /** The largest value of each bucket but the last, which has no bound; ascending. */
  readonly bounds: readonly number[];
  /** What each bucket has, the last one included. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** Counts a value. Small ones, which are the many, are found first. */
  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  /** How many values there were up to each bound; and, as the last one, how many at all. */
  cumulative(): number[] {
    let count = 0;
    return Array.from(this.#counts, (added) => count += added);
  }

  /** How many values there were. */
  get count(): number {
    return this.#counts.reduce((total, count) => total + count, 0);
  }

  /** All values added up. */
  get sum(): number {
    return this.#sum;
  }
}
