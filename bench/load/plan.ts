/** What passes between the bench and the process that loads a server. */

/** What to load a server with. All times are in milliseconds. */
export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly ms: number;
  readonly requests: RequestPlan;
  /** Runs beside it, and is counted by itself. */
  readonly beside?: SidePlan | undefined;
}

/** The requests of a load: entries that are read, or bodies that are posted. */
export type RequestPlan =
  | { readonly kind: "read"; readonly entries: number }
  | { readonly kind: "write"; readonly bytes: number };

/** Who else uses the server meanwhile. */
export type SidePlan =
  /** Clients that send slow writes, one after the other. */
  | { readonly kind: "slow writes"; readonly connections: number }
  /** A client whose body arrives byte by byte, and then the next. */
  | { readonly kind: "slow upload"; readonly bytes: number; readonly byteMs: number };

/** What a load has seen. Latencies are in microseconds. */
export interface LoadResult {
  /** Requests that were answered, and how many of those answers were wrong. */
  readonly answered: number;
  readonly wrong: number;
  readonly ms: number;
  readonly p50: number;
  readonly p99: number;
  /** What was answered beside it. */
  readonly beside: number;
}

/** How many different requests a load of reads takes turns with. */
export const READS = 1024;

/** Some `READS` entries out of `count`, from a seed, spread over all of them. */
export function entriesToRead(count: number): number[] {
  let state = 1;
  return Array.from({ length: READS }, () => {
    state = Math.imul(state, 0x5851f42d) + 0x14057b7d >>> 0; // The seed is fixed: all runs read the same.
    return state % count;
  });
}
