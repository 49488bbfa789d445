/**
 * A pool of workers: which request goes to which of them, when one more is started, and what becomes
 * of a request when its worker dies. It knows packets as bytes and workers by their port, so tests
 * drive it with simulated ones. `pool_handler.ts` puts HTTP in front of it, `pool_health.ts` checks
 * and replaces its workers.
 */

import type { Clock } from "../clock.ts";
import { Deadlines } from "../deadlines.ts";
import { assert, messageOf } from "../errors.ts";
import {
  EARLY_EXIT_MS,
  EARLY_EXITS_MAX,
  LEAVING_MS,
  QUEUE_SWEEP_MS,
  REPLY_BYTES_MAX,
  REQUEST_TRIES_MAX,
} from "../limits.ts";
import { type CheckedPool, PoolHealth } from "./pool_health.ts";
import { POOL_DEFAULTS, type PoolOptions, type ResolvedPoolOptions } from "./pool_options.ts";
import type { PoolStats, WorkerInfo } from "./pool_stats.ts";
import { PoolQueue, type PoolRefusal, type PoolRequest, PoolTask } from "./pool_task.ts";
import { PoolWorker } from "./pool_worker.ts";
import { RestartDelays } from "./restart_delays.ts";
import type { SpawnWorker, WorkerEnd } from "./worker_process.ts";

/** What a {@linkcode Pool} is made of. */
export interface PoolParts {
  readonly spawn: SpawnWorker;
  readonly clock: Clock;
  /** The packet that asks a worker for its health. */
  readonly healthCheck: Uint8Array;
  /**
   * Whether a message is an answer with nothing in it, as they are to health checks.
   *
   * @throws {Error} if it is no answer, to whatever question.
   */
  readonly isEmptyAnswer: (message: Uint8Array<ArrayBuffer>) => boolean;
  /** Says what its operator should know. */
  readonly warn: (message: string) => void;
  /** The command cannot be run: no worker will ever answer. */
  readonly gaveUp: (why: string) => void;
}

/** Gives requests to workers. */
export class Pool implements CheckedPool {
  readonly options: ResolvedPoolOptions;
  readonly #parts: PoolParts;
  readonly #health: PoolHealth;
  /** All processes that have not ended. */
  readonly #workers = new Set<PoolWorker>();
  /** Those that can be given a request; the one that was last at work is first to get another. */
  readonly #idle: PoolWorker[] = [];
  #resting: PoolWorker[] = [];
  /** What sends answers that leave when their workers have got the next request. */
  #unsent: (() => void)[] = [];
  readonly #queue = new PoolQueue();
  readonly #rendezvous: Deadlines;
  readonly #answering: Deadlines;
  /** Workers that serve, or are to when they have no requests left. */
  #size = 0;
  /** For workers that have died and may not be replaced yet. */
  readonly #delays: RestartDelays;
  #cancelGrowth: (() => void) | undefined;
  #grewAt = -Infinity;
  #sweptAt = -Infinity;
  #earlyExits = 0;
  /** A worker has answered, or lived for a while. */
  #isRunnable = false;
  #state: "open" | "given up" | "closing" = "open";
  #restarts = 0;
  #deaths = 0;
  #answered = 0;
  #retried = 0;
  #refused = 0;
  #dropped = 0;

  /** Creates a pool, and starts as many workers as it shall have at least. */
  constructor(parts: PoolParts, options: PoolOptions = {}) {
    this.options = Object.freeze({ ...POOL_DEFAULTS, ...options });
    const { rendezvousTimeoutMs, requestTimeoutMs, restartDelayMs } = this.options;
    this.#parts = parts;
    this.#delays = new RestartDelays(parts.clock, restartDelayMs, this.#startAgain);
    this.#rendezvous = new Deadlines(parts.clock, rendezvousTimeoutMs);
    this.#answering = new Deadlines(parts.clock, requestTimeoutMs);
    this.#health = new PoolHealth({ ...parts, pool: this, options: this.options });
    this.#fill();
  }

  /** Has `request` answered: by a worker, or by a refusal. */
  ask(request: PoolRequest): void {
    const task = new PoolTask(request, this.#expired);
    if (this.#state !== "open") return this.#refuse(task, 503, "the pool is closed");
    const worker = this.#idle.pop();
    if (worker !== undefined) return this.#assign(worker, task);
    if (this.#queue.size >= this.options.backlogMax) this.#sweep();
    if (this.#queue.size >= this.options.backlogMax) {
      return this.#refuse(task, 503, `${this.options.backlogMax} requests wait already`);
    }
    this.#wait(task);
  }

  get stats(): PoolStats {
    return {
      workers: this.#size,
      idle: this.#idle.length,
      waiting: this.#queue.size,
      restarts: this.#restarts,
      deaths: this.#deaths,
      answered: this.#answered,
      retried: this.#retried,
      refused: this.#refused,
      dropped: this.#dropped,
    };
  }

  /** All processes that have not ended. */
  get workers(): WorkerInfo[] {
    const now = this.#parts.clock.now();
    return Array.from(this.#workers, (worker) => ({
      pid: worker.child.pid,
      // One that finishes its last request is on its way, too.
      state: worker.isServing || worker.state === "checking" ? worker.state : "leaving",
      requests: worker.requests,
      ageMs: now - worker.startedAt,
    }));
  }

  /** The workers that serve. */
  get serving(): PoolWorker[] {
    return [...this.#workers].filter(({ isServing }) => isServing);
  }

  /** The workers that wait for a request. */
  get idle(): readonly PoolWorker[] {
    return this.#idle;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /**
   * Replaces each worker by a new one, one after the other. A new one is started, and has survived a
   * health check, before it gets requests and its predecessor none any more.
   *
   * @throws {Error} if a new one has failed; its predecessor stays, and so do those after it.
   */
  restart(): Promise<void> {
    return this.#health.restart();
  }

  /** Starts `count` workers, or as many as there may be; returns how many. */
  add(count: number): number {
    const added = Math.min(count, this.#room);
    for (let i = 0; i < added; i++) this.#start();
    return added;
  }

  /** Lets `count` workers go, down to the minimum, those that have least to do first; how many. */
  remove(count: number): number {
    const removed = Math.min(count, Math.max(0, this.#size - this.options.sizeMin));
    const rank = (worker: PoolWorker) => worker.state === "idle" ? 0 : worker.task ? 2 : 1;
    const last = this.serving.sort((a, b) => rank(a) - rank(b)).slice(0, removed);
    for (const worker of last) this.retire(worker);
    return removed;
  }

  /** Takes no more requests, lets each worker finish its own and end; resolves when all have. */
  async close(): Promise<void> {
    this.#shut("closing", "the pool is closed");
    for (const worker of this.#workers) {
      if (worker.state !== "leaving") this.retire(worker);
    }
    await Promise.all(Array.from(this.#workers, ({ gone }) => gone));
    this.#answering.close();
  }

  /** Kills all workers, whatever they are at. */
  kill(): void {
    this.#shut("closing", "the pool was killed");
    for (const worker of this.#workers) this.lose(worker, "the pool was killed");
  }

  // What `PoolHealth` uses.

  /** Starts a worker that does not serve yet: it is to be checked before. */
  startSuccessor(): PoolWorker {
    return this.#spawn("checking");
  }

  /** `worker` has been checked, and serves: in the place of `predecessor`, if that is still there. */
  adopt(worker: PoolWorker, predecessor: PoolWorker): void {
    this.#restarts++;
    worker.isServing = true;
    this.#size++;
    if (predecessor.isServing) this.retire(predecessor);
    else this.#delays.cancelOne();
    if (this.#size > this.options.sizeMax) this.retire(worker);
    else this.#free(worker);
  }

  /** Gives `worker` no more requests, and asks it to end when it has none. */
  retire(worker: PoolWorker): void {
    if (worker.isServing) {
      worker.isServing = false;
      this.#size--;
    }
    if (worker.task === undefined) this.#stop(worker);
  }

  /** Takes `worker` from those that can be given a request. */
  withdraw(worker: PoolWorker): void {
    const at = this.#idle.indexOf(worker);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** `worker` can be given requests again. */
  release(worker: PoolWorker): void {
    if (worker.isServing) this.#free(worker);
  }

  /** A worker has answered whatever it was asked: the command is one that can be run. */
  proven(): void {
    this.#delays.reset();
    this.#earlyExits = 0;
    this.#isRunnable = true;
  }

  /** Kills `worker`, which is of no use any more; what it was asked goes to another, if it may. */
  lose(worker: PoolWorker, why: string): void {
    if (worker.state === "leaving") return;
    this.#parts.warn(`${worker.name} is killed: ${why}`);
    this.#stop(worker, why);
  }

  /** Ends the waits after deaths: what was wrong may be mended. */
  startAfresh(): void {
    this.#delays.endAll();
  }

  // Starting and ending.

  /** How many workers there may yet be. */
  get #room(): number {
    if (this.#state !== "open") return 0;
    return Math.max(0, this.options.sizeMax - this.#size - this.#delays.size);
  }

  #fill(): void {
    if (this.#state !== "open") return;
    while (this.#size + this.#delays.size < this.options.sizeMin) this.#start();
  }

  #start(): void {
    const worker = this.#spawn("idle");
    worker.isServing = true;
    this.#size++;
    // One that could not be started will say so.
    if (worker.child.pid !== undefined) this.#free(worker);
  }

  #spawn(state: "idle" | "checking"): PoolWorker {
    const { spawn, clock } = this.#parts;
    const owner = {
      answered: this.received,
      babbled: (worker: PoolWorker, error: unknown) => this.lose(worker, messageOf(error)),
      ended: this.#ended,
    };
    const worker = new PoolWorker(spawn, owner, clock.now(), REPLY_BYTES_MAX);
    worker.state = state;
    this.#workers.add(worker);
    return worker;
  }

  /** Parts with `worker`: kindly, or because of what is wrong with it. */
  #stop(worker: PoolWorker, fault?: string): void {
    const { task, check } = worker;
    this.withdraw(worker);
    worker.state = "leaving";
    worker.task = undefined;
    if (fault === undefined) worker.child.stop();
    else worker.child.kill();
    if (worker.isServing) {
      worker.isServing = false;
      this.#size--;
      this.#died();
    }
    check?.settle(fault ?? "it is to leave");
    if (task !== undefined) this.#tryAgain(task, fault ?? "its worker is to leave");
  }

  /** A worker that served is lost: another is started, in a while. */
  #died(): void {
    this.#deaths++;
    if (this.#state !== "open") return;
    this.#delays.begin();
  }

  /** It is long enough after a death. */
  readonly #startAgain = (): void => {
    if (this.#size >= this.options.sizeMin && this.#queue.size === 0) return;
    this.#restarts++;
    this.#start();
  };

  readonly #ended = (worker: PoolWorker, end: WorkerEnd): void => {
    this.#workers.delete(worker);
    if (worker.state === "leaving") return;
    const { cannotRun, isExit, how } = end;
    if (this.#parts.clock.now() - worker.startedAt >= EARLY_EXIT_MS) this.#isRunnable = true;
    else if (isExit && worker.isServing) this.#earlyExits++;
    this.#parts.warn(`${worker.name} has ended: ${how}`);
    this.#stop(worker, `the worker has ended: ${how}`);
    if (this.#isRunnable || this.#size > 0) return;
    if (cannotRun) this.#giveUp(`the command cannot be run: ${how}`);
    else if (this.#earlyExits >= EARLY_EXITS_MAX) {
      this.#giveUp(`${this.#earlyExits} workers in a row have ended at once: ${how}`);
    }
  };

  #giveUp(why: string): void {
    if (this.#state !== "open") return;
    this.#shut("given up", why);
    this.#parts.gaveUp(why);
  }

  #shut(state: "closing" | "given up", why: string): void {
    this.#state = state;
    this.#health.close();
    this.#cancelGrowth?.();
    this.#cancelGrowth = undefined;
    this.#delays.close();
    for (let task = this.#queue.first; task !== undefined; task = this.#queue.first) {
      this.#queue.delete(task);
      this.#refuse(task, 503, why);
    }
    this.#rendezvous.close();
  }

  // Requests and answers.

  #assign(worker: PoolWorker, task: PoolTask): void {
    worker.state = "busy";
    worker.task = task;
    task.tries++;
    this.#answering.start(task);
    worker.child.send(task.request.packet);
  }

  #wait(task: PoolTask): void {
    task.queuedAt = this.#parts.clock.now();
    this.#queue.add(task);
    this.#rendezvous.start(task);
    this.#considerGrowth();
  }

  /** `worker` gets the next request, or waits for one. */
  #free(worker: PoolWorker): void {
    const task = this.#next();
    if (task !== undefined) return this.#assign(worker, task);
    worker.state = "idle";
    this.#idle.push(worker);
  }

  #next(): PoolTask | undefined {
    for (;;) {
      const task = this.#queue.first;
      if (task === undefined) return undefined;
      this.#queue.delete(task);
      this.#rendezvous.stop(task);
      const waited = this.#parts.clock.now() - task.queuedAt;
      if (waited < LEAVING_MS || !task.request.hasLeft()) return task;
      this.#drop(task);
    }
  }

  /** Lets those go that have left a full queue; not too often, since it asks each of them. */
  #sweep(): void {
    const now = this.#parts.clock.now();
    if (now < this.#sweptAt + QUEUE_SWEEP_MS) return;
    this.#sweptAt = now;
    for (const task of this.#queue.left()) {
      this.#queue.delete(task);
      this.#rendezvous.stop(task);
      this.#drop(task);
    }
  }

  #drop({ request }: PoolTask): void {
    this.#dropped++;
    request.refuse(503, "its client has left");
  }

  readonly received = (worker: PoolWorker, message: Uint8Array<ArrayBuffer>): void => {
    const { task } = worker;
    let send: () => void;
    try {
      if (worker.state === "leaving") return;
      if (task === undefined) return this.#health.answered(worker, message);
      if (worker.owedAnswers > 0 && this.#health.doubts(worker, message)) return;
      send = task.request.accept(message);
    } catch (error) {
      return this.lose(worker, messageOf(error));
    }
    this.#answering.stop(task);
    worker.task = undefined;
    worker.owedAnswers = 0; // Answers come in the order of the questions.
    worker.requests++;
    worker.idleSince = this.#parts.clock.now();
    this.#answered++;
    this.proven();
    if (!worker.isServing) {
      this.#stop(worker);
      return send();
    }
    worker.state = "resting";
    // Whatever it has written beyond its answer arrives before it gets the next request: an answer
    // too many must not become that one's. A turn of the event loop costs little, and is enough for
    // what is written in one go; packets have no numbers by which to tell what comes even later.
    // If there is a next one, the answer leaves while the worker is at that.
    if (this.#queue.size === 0) send();
    else this.#unsent.push(send);
    if (this.#resting.push(worker) === 1) this.#parts.clock.defer(this.#rested);
  };

  readonly #rested = (): void => {
    const [rested, unsent] = [this.#resting, this.#unsent];
    [this.#resting, this.#unsent] = [[], []];
    for (const worker of rested) if (worker.state === "resting") this.#free(worker);
    for (const send of unsent) send();
  };

  #tryAgain(task: PoolTask, why: string): void {
    this.#answering.stop(task);
    if (!task.request.isRepeatable || task.tries >= REQUEST_TRIES_MAX || !this.isOpen) {
      return this.#refuse(task, 502, why);
    }
    this.#retried++;
    const worker = this.#idle.pop();
    if (worker === undefined) this.#wait(task);
    else this.#assign(worker, task);
  }

  /** The time of a task is up: in the queue, or at a worker. */
  readonly #expired = (task: PoolTask): void => {
    for (const worker of this.#workers) {
      if (worker.task !== task) continue;
      if (worker.doubtful !== undefined) return this.#health.settleDoubt(worker);
      worker.task = undefined;
      this.#refuse(task, 504, `its worker took more than ${this.options.requestTimeoutMs} ms`);
      return this.lose(worker, `it took more than ${this.options.requestTimeoutMs} ms to answer`);
    }
    this.#queue.delete(task);
    this.#refuse(task, 503, `no worker was free for ${this.options.rendezvousTimeoutMs} ms`);
  };

  #refuse(task: PoolTask, refusal: PoolRefusal, why: string): void {
    this.#refused++;
    task.request.refuse(refusal, why);
  }

  // Growth.

  /**
   * Sees to it that one more worker is started when the request that waits longest has waited too
   * long, and another one as long after that.
   */
  #considerGrowth(): void {
    const { first } = this.#queue;
    if (first === undefined || this.#cancelGrowth !== undefined || this.#room === 0) return;
    const { clock } = this.#parts;
    const due = Math.max(first.queuedAt, this.#grewAt) + this.options.spawnTimeoutMs;
    const wait = due - clock.now();
    if (wait <= 0) {
      this.#grewAt = clock.now();
      this.#start();
      assert(this.#size <= this.options.sizeMax, "a pool does not outgrow its bound");
      return this.#considerGrowth();
    }
    this.#cancelGrowth = clock.after(wait, () => {
      this.#cancelGrowth = undefined;
      this.#considerGrowth();
    });
  }
}
