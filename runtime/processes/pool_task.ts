/**
 * A request on its way through a pool, and the queue in which it waits for a worker.
 */

import type { Expiring } from "../deadlines.ts";

/**
 * What somebody asks of a pool. It is answered by exactly one call: of what `accept` returns, or of
 * `refuse`.
 */
export interface PoolRequest {
  /** What is written to the worker, all of it. */
  readonly packet: Uint8Array;
  /** Whether it may be given to another worker if the first has died over it. */
  readonly isRepeatable: boolean;
  /** Whether nobody waits for the answer any more. Asked before it is given to a worker. */
  hasLeft(): boolean;
  /**
   * Takes a worker's answer; returns what sends it.
   *
   * @throws {Error} if that is none; it is then not answered yet.
   */
  accept(message: Uint8Array<ArrayBuffer>): () => void;
  /** It is answered without a worker, and that is why. */
  refuse(refusal: PoolRefusal, why: string): void;
}

/** As statuses of HTTP: no worker answered well, none was free in time, the worker took too long. */
export type PoolRefusal = 502 | 503 | 504;

/** A request with what the pool knows of it. */
export class PoolTask implements Expiring {
  readonly request: PoolRequest;
  expiresAt = 0;
  /** When it began to wait. */
  queuedAt = 0;
  /** How many workers it was given to. */
  tries = 0;
  readonly #onExpired: (task: PoolTask) => void;

  constructor(request: PoolRequest, onExpired: (task: PoolTask) => void) {
    this.request = request;
    this.#onExpired = onExpired;
  }

  expire(): void {
    this.#onExpired(this);
  }
}

/** Tasks in order of arrival, behind those that are to be tried again. */
export class PoolQueue {
  readonly #again = new Set<PoolTask>();
  readonly #waiting = new Set<PoolTask>();

  get size(): number {
    return this.#again.size + this.#waiting.size;
  }

  /** The next one, which stays where it is. */
  get first(): PoolTask | undefined {
    for (const task of this.#again) return task;
    for (const task of this.#waiting) return task;
    return undefined;
  }

  add(task: PoolTask): void {
    (task.tries > 0 ? this.#again : this.#waiting).add(task);
  }

  delete(task: PoolTask): void {
    this.#again.delete(task);
    this.#waiting.delete(task);
  }

  /** Those of whose askers none waits any more. */
  left(): PoolTask[] {
    return [...this.#again, ...this.#waiting].filter(({ request }) => request.hasLeft());
  }
}
