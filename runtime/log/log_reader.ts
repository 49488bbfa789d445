/**
 * What the readers of both formats have in common: they go on from a place, and hand out events
 * in batches or commits one by one.
 */

import { AlcedoError } from "../errors.ts";
import type { EventBatch, StoredCommit } from "./event_log.ts";

/**
 * Events in one batch. Small events become objects many times their size, and those of a whole
 * mebibyte live long enough to make a garbage collector grow its heap by 100 MB.
 */
export const EVENTS_PER_BATCH_MAX = 2048;

/** Reads a log on from a place. */
export interface LogReader {
  /** The sequence of what is handed out next. */
  readonly next: number;
  /** Lets it read more: so many bytes of the file are durable. */
  extendTo(size: number): void;
  /** The next events behind sequence `after` and up to `until`; `undefined` if there are none. */
  batch(after: number, until: number): EventBatch | undefined;
  /** The next commits behind sequence `after`: about `bytesMax` bytes of them, at least one. */
  commits(after: number, bytesMax: number): StoredCommit[];
  /** The byte behind the events that were handed out last, which whoever got them may change. */
  byteBehind: number;
}

/** The error for a file that is no log, or a damaged one. */
export function unreadable(path: string, why: string, options?: ErrorOptions): AlcedoError {
  return new AlcedoError("log_unreadable", `Cannot open log "${path}": ${why}`, options);
}
