/**
 * Where in a log to begin to read for a sequence: one entry for each stretch, so that an index
 * of ten gigabytes has a few megabytes. It is filled by whoever reads or appends.
 */

/** Bytes between two entries: what a reader reads in vain, at most and at about 1 GB/s. */
const STRIDE_BYTES = 64 * 1024;

/** A place at which a frame, or an event of a plain log, begins. */
export interface Place {
  /** The sequence of the first commit there. */
  readonly sequence: number;
  readonly offset: number;
}

/** Places in the order of the log. */
export class SparseIndex {
  readonly #sequences: number[] = [];
  readonly #offsets: number[] = [];

  /** Learns of a place, if none is known nearby. */
  add(sequence: number, offset: number): void {
    const at = this.#firstBehind(sequence);
    const before = this.#offsets[at - 1];
    const behind = this.#offsets[at];
    if (before !== undefined && offset - before < STRIDE_BYTES) return;
    if (behind !== undefined && behind - offset < STRIDE_BYTES) return;
    this.#sequences.splice(at, 0, sequence);
    this.#offsets.splice(at, 0, offset);
  }

  /** The last known place from which `sequence` can be reached by reading on. */
  find(sequence: number): Place {
    const at = this.#firstBehind(sequence) - 1;
    return { sequence: this.#sequences[at] ?? 1, offset: this.#offsets[at] ?? 0 };
  }

  /** The last known place that is not behind `offset`, if there is one. */
  before(offset: number): Place | undefined {
    const at = this.#offsets.findLastIndex((known) => known <= offset);
    const sequence = this.#sequences[at];
    return sequence === undefined ? undefined : { sequence, offset: this.#offsets[at] ?? 0 };
  }

  /** The number of entries whose sequence is not behind `sequence`. */
  #firstBehind(sequence: number): number {
    let low = 0;
    let high = this.#sequences.length;
    // Most often it is the newest.
    if ((this.#sequences[high - 1] ?? -1) <= sequence) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sequences[middle] ?? 0) <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
