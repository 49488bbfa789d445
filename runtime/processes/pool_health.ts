/**
 * The health of a pool's workers: checks of those that are idle, the end of those that are not
 * needed, and the replacement of all by new ones.
 *
 * Workers that were written before there were health checks do not answer them; surviving one is
 * all that is asked of those. Whether a worker is of that kind shows at its first check. Until that
 * is over it gets no request, since its answer could not be told from one to the check; nor surely
 * later, if it was only slow.
 */

import type { Clock } from "../clock.ts";
import { HEALTH_CHECK_MS, SILENT_CHECK_MS } from "../limits.ts";
import type { ResolvedPoolOptions } from "./pool_options.ts";
import { type PoolWorker, UNASKED } from "./pool_worker.ts";

/** What is done with the pool whose workers are checked. */
export interface CheckedPool {
  readonly serving: readonly PoolWorker[];
  readonly idle: readonly PoolWorker[];
  readonly isOpen: boolean;
  startSuccessor(): PoolWorker;
  adopt(worker: PoolWorker, predecessor: PoolWorker): void;
  retire(worker: PoolWorker): void;
  withdraw(worker: PoolWorker): void;
  release(worker: PoolWorker): void;
  proven(): void;
  /** `worker` has said something. */
  received(worker: PoolWorker, message: Uint8Array<ArrayBuffer>): void;
  lose(worker: PoolWorker, why: string): void;
  startAfresh(): void;
}

/** What a {@linkcode PoolHealth} is made of. */
export interface PoolHealthParts {
  readonly pool: CheckedPool;
  readonly options: ResolvedPoolOptions;
  readonly clock: Clock;
  readonly healthCheck: Uint8Array;
  readonly isEmptyAnswer: (message: Uint8Array<ArrayBuffer>) => boolean;
}

export class PoolHealth {
  readonly #parts: PoolHealthParts;
  /** Whether workers of this command answer health checks, as far as one has shown. */
  #answersChecks: boolean | undefined;
  /** The worker that is to show it, one at a time. */
  #first: PoolWorker | undefined;
  #cancelTimer: () => void;
  #restarting: Promise<void> = Promise.resolve();

  constructor(parts: PoolHealthParts) {
    this.#parts = parts;
    const { healthCheckIntervalMs, attritionDelayMs } = parts.options;
    this.#cancelTimer = this.#tendIn(Math.min(healthCheckIntervalMs, attritionDelayMs));
  }

  close(): void {
    this.#cancelTimer();
  }

  /** As `Pool.restart` says; one after the other, if it is called again meanwhile. */
  restart(): Promise<void> {
    const restarted = this.#restarting.then(() => this.#replaceAll());
    this.#restarting = restarted.catch(() => {});
    return restarted;
  }

  /**
   * Takes what a worker has said without having a request.
   *
   * @throws {Error} if nothing was to be said, or not that.
   */
  answered(worker: PoolWorker, message: Uint8Array<ArrayBuffer>): void {
    if (worker.check === undefined && worker.owedAnswers === 0) {
      throw new Error(UNASKED);
    }
    this.#parts.isEmptyAnswer(message); // Or not, as long as it is one.
    this.#answersIt(worker);
    if (worker.check !== undefined) worker.check.settle(undefined);
    else worker.owedAnswers--;
  }

  /**
   * Whether what a worker has said that has a request may rather be its answer to a check that it has
   * slept through: it has nothing in it. The next that it says settles that. If nothing follows it was
   * the answer to the request, and the pool is told of it again.
   */
  doubts(worker: PoolWorker, message: Uint8Array<ArrayBuffer>): boolean {
    const { clock, isEmptyAnswer } = this.#parts;
    if (worker.doubtful !== undefined) {
      this.#answersIt(worker);
      worker.owedAnswers--;
    }
    const isDoubtful = worker.owedAnswers > 0 && !worker.isSilent && isEmptyAnswer(message);
    worker.doubtful = isDoubtful ? message : undefined;
    if (isDoubtful) {
      clock.after(HEALTH_CHECK_MS, () => {
        if (worker.doubtful === message) this.settleDoubt(worker);
      });
    }
    return isDoubtful;
  }

  /** Nothing has followed in time. */
  settleDoubt(worker: PoolWorker): void {
    const { doubtful } = worker;
    worker.doubtful = undefined;
    worker.isSilent = true;
    if (doubtful !== undefined) this.#parts.pool.received(worker, doubtful);
  }

  /** `worker` has answered a check. */
  #answersIt(worker: PoolWorker): void {
    this.#answersChecks = worker.answersChecks = true;
    worker.isSilent = false;
    this.#parts.pool.proven();
  }

  async #replaceAll(): Promise<void> {
    const { pool } = this.#parts;
    let predecessors = pool.serving;
    pool.startAfresh();
    // Where none was left, those that were started now are not known to be well.
    if (predecessors.length === 0) predecessors = pool.serving;
    for (const predecessor of predecessors) {
      // The one that takes the place of a dead one is new as well.
      if (!predecessor.isServing) continue;
      if (!pool.isOpen) throw new Error("the pool is closed");
      const successor = pool.startSuccessor();
      const fault = await this.#check(
        successor,
        this.#answersChecks === false ? SILENT_CHECK_MS : HEALTH_CHECK_MS,
        this.#answersChecks === true,
      );
      if (fault !== undefined) {
        pool.lose(successor, fault);
        throw new Error(
          `${successor.name}, the successor of ${predecessor.name}, has failed: ${fault}`,
        );
      }
      pool.adopt(successor, predecessor);
      await predecessor.gone;
    }
  }

  /**
   * Has `worker` checked: resolves with what is wrong with it, or with `undefined` if it has answered,
   * or has survived for `boundMs` and need not answer.
   */
  #check(
    worker: PoolWorker,
    boundMs: number,
    mustAnswer: boolean,
  ): Promise<string | undefined> {
    const { clock, healthCheck } = this.#parts;
    worker.state = "checking";
    worker.checkedAt = clock.now();
    return new Promise((resolve) => {
      const cancel = clock.after(boundMs, () => {
        if (mustAnswer) return settle(`it did not answer a health check within ${boundMs} ms`);
        worker.answersChecks = false;
        worker.owedAnswers++;
        this.#answersChecks ??= false;
        settle(undefined);
      });
      const settle = (fault: string | undefined): void => {
        cancel();
        worker.check = undefined;
        resolve(fault);
      };
      worker.check = { settle };
      worker.child.send(healthCheck);
    });
  }

  #tendIn(ms: number): () => void {
    return this.#parts.clock.after(ms, () => {
      this.#cancelTimer = this.#tendIn(this.#tend());
    });
  }

  /** Looks after the idle workers; returns in how many milliseconds that is to be done again. */
  #tend(): number {
    const { pool, options, clock } = this.#parts;
    const { attritionDelayMs, healthCheckIntervalMs, sizeMin } = options;
    const now = clock.now();
    let surplus = pool.serving.length - sizeMin;
    let due = now + Math.min(attritionDelayMs, healthCheckIntervalMs);
    // Those that have been idle for longest come first.
    for (const worker of [...pool.idle]) {
      const goesAt = worker.idleSince + attritionDelayMs;
      if (surplus > 0 && goesAt <= now) {
        surplus--;
        pool.retire(worker);
        continue;
      }
      if (surplus > 0) due = Math.min(due, goesAt);
      const checkAt = Math.max(worker.idleSince, worker.checkedAt) + healthCheckIntervalMs;
      due = checkAt <= now ? Math.min(due, now + this.#checkIdle(worker)) : Math.min(due, checkAt);
    }
    return Math.max(1, due - now);
  }

  /** Checks a worker that is idle; returns in how many milliseconds to look at it again. */
  #checkIdle(worker: PoolWorker): number {
    const { pool, options, clock, healthCheck } = this.#parts;
    const answers = worker.answersChecks ?? this.#answersChecks;
    if (answers === false) {
      // It shows its health by living on, which it can do at work.
      worker.checkedAt = clock.now();
      worker.owedAnswers++;
      worker.child.send(healthCheck);
      return options.healthCheckIntervalMs;
    }
    // Not all of them at once, while it may take so long.
    if (answers === undefined && this.#first?.check !== undefined) return SILENT_CHECK_MS;
    if (answers === undefined) this.#first = worker;
    pool.withdraw(worker);
    this.#check(worker, answers ? HEALTH_CHECK_MS : SILENT_CHECK_MS, answers === true).then(
      (fault) => {
        if (fault === undefined) pool.release(worker);
        else pool.lose(worker, fault);
      },
    );
    return options.healthCheckIntervalMs;
  }
}
