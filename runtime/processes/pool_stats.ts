/** What is to be seen of a pool, and of its workers. */

import type { WorkerState } from "./pool_worker.ts";

/** What a pool has done, and what it is at. */
export interface PoolStats {
  readonly workers: number;
  readonly idle: number;
  readonly waiting: number;
  /** Workers that were started in the place of others, dead or replaced. */
  readonly restarts: number;
  readonly deaths: number;
  /** Requests that a worker has answered, that were tried again, and that were refused. */
  readonly answered: number;
  readonly retried: number;
  readonly refused: number;
  /** Requests whose clients had left before a worker was free. */
  readonly dropped: number;
}

/** A worker, for people. */
export interface WorkerInfo {
  readonly pid: number | undefined;
  readonly state: WorkerState;
  readonly requests: number;
  readonly ageMs: number;
}
