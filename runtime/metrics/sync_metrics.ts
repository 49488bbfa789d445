/**
 * What the syncs of a log took, and how many commits each of them brought.
 */

import { Histogram, LATENCY_BOUNDS_S } from "./histogram.ts";

/** From a writer that is alone to a queue that was full. */
const COMMITS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];

/** Counts syncs. */
export class SyncMetrics {
  readonly seconds: Histogram = new Histogram(LATENCY_BOUNDS_S);
  readonly commits: Histogram = new Histogram(COMMITS);

  /** A sync has taken `ms` milliseconds, and made so many commits durable. */
  readonly onSync = (ms: number, commits: number): void => {
    this.seconds.observe(ms / 1000);
    this.commits.observe(commits);
  };
}
