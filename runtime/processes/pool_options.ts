/** What a pool can be told, and its defaults. */

/** Options of a pool. */
export interface PoolOptions {
  /**
   * Workers that are kept, and that there are at most; while workers are replaced there is one more.
   * @default {1}
   */
  readonly sizeMin?: number;
  readonly sizeMax?: number;
  /**
   * Milliseconds that a request waits before one more worker is started.
   * @default {50}
   */
  readonly spawnTimeoutMs?: number;
  /**
   * Milliseconds that a request may wait for a worker; then it is refused with 503.
   * @default {60_000}
   */
  readonly rendezvousTimeoutMs?: number;
  /**
   * Milliseconds a worker may take for a request; then it is killed, and the request refused with 504.
   * @default {60_000}
   */
  readonly requestTimeoutMs?: number;
  /**
   * Milliseconds between the death of a worker and the start of another; doubled with each death
   * until a worker answers, up to half a minute.
   * @default {1000}
   */
  readonly restartDelayMs?: number;
  /**
   * Milliseconds after which an idle worker goes, if there are more than the minimum.
   * @default {120_000}
   */
  readonly attritionDelayMs?: number;
  /**
   * Milliseconds without a request after which a worker's health is checked, again and again.
   * @default {120_000}
   */
  readonly healthCheckIntervalMs?: number;
  /**
   * Requests that may wait for a worker; what comes when there are more is refused with 503.
   * @default {1024}
   */
  readonly backlogMax?: number;
}

/** {@linkcode PoolOptions}, all of them known. */
export type ResolvedPoolOptions = Readonly<Required<PoolOptions>>;

/** Each value as the programs that pools replace have it, so that those who come know them. */
export const POOL_DEFAULTS: ResolvedPoolOptions = Object.freeze({
  sizeMin: 1,
  sizeMax: 1,
  spawnTimeoutMs: 50,
  rendezvousTimeoutMs: 60_000,
  requestTimeoutMs: 60_000,
  restartDelayMs: 1000,
  attritionDelayMs: 120_000,
  healthCheckIntervalMs: 120_000,
  backlogMax: 1024,
});
