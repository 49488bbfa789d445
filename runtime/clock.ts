/**
 * Time as the engine sees it, so that a test can hold it in hand.
 */

/** A monotonic clock with timers. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Calls `callback` once, `ms` milliseconds from now; returns what cancels it. */
  after(ms: number, callback: () => void): () => void;
  /** Calls `callback` when the event loop has handed out what was ready in this turn. */
  defer(callback: () => void): void;
}
