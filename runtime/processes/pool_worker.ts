/**
 * A worker as its pool sees it: the process, what it is at, and the messages in what it writes.
 * What a message means there, the pool decides.
 */

import { PacketReader } from "./packet_reader.ts";
import type { PoolTask } from "./pool_task.ts";
import type { SpawnWorker, WorkerEnd, WorkerProcess } from "./worker_process.ts";

/**
 * - `idle`: it can be given a request
 * - `busy`: it has one
 * - `resting`: it has just answered one, and may yet say more than it should
 * - `checking`: it gets no request before it has survived a health check
 * - `leaving`: it was asked to end, or killed
 */
export type WorkerState = "idle" | "busy" | "resting" | "checking" | "leaving";

/** What a pool hears of its workers. */
export interface PoolWorkerOwner {
  answered(worker: PoolWorker, message: Uint8Array<ArrayBuffer>): void;
  /** What it writes is not in packets. */
  babbled(worker: PoolWorker, error: unknown): void;
  ended(worker: PoolWorker, end: WorkerEnd): void;
}

/** A health check that is under way. */
export interface RunningCheck {
  /** Ends it: with what is wrong, or with `undefined` if it was survived. */
  readonly settle: (fault: string | undefined) => void;
}

/** What is wrong with a worker that says something else than an answer to a question. */
export const UNASKED = "it has answered without being asked";

export class PoolWorker {
  readonly child: WorkerProcess;
  readonly startedAt: number;
  state: WorkerState = "idle";
  /** It counts as one of the pool's: not a successor yet, not one that is to leave. */
  isServing = false;
  task: PoolTask | undefined;
  check: RunningCheck | undefined;
  /** Whether it answers health checks, as far as that is known. */
  answersChecks: boolean | undefined;
  /** Health checks that it may yet answer, though nobody waits for that. */
  owedAnswers = 0;
  /** What it has said since it was given its task, which may be one of those answers. */
  doubtful: Uint8Array<ArrayBuffer> | undefined;
  /** It has answered a request, and none of the checks before it. */
  isSilent = false;
  /** Requests that it has answered. */
  requests = 0;
  /** When it was started, or has answered its last request: health checks are no work. */
  idleSince: number;
  checkedAt: number;
  /** Resolves when it has ended. */
  readonly gone: Promise<void>;

  constructor(spawn: SpawnWorker, owner: PoolWorkerOwner, now: number, replyBytesMax: number) {
    this.startedAt = this.idleSince = this.checkedAt = now;
    const reader = new PacketReader(replyBytesMax);
    let end: () => void;
    this.gone = new Promise((resolve) => end = resolve);
    this.child = spawn({
      received: (bytes) => {
        try {
          for (const message of reader.read(bytes)) owner.answered(this, message);
          // What has begun now would end as the answer to the next request.
          if (reader.bufferedBytes > 0 && !this.#isAsked) throw new Error(UNASKED);
        } catch (error) {
          owner.babbled(this, error);
        }
      },
      ended: (how) => {
        owner.ended(this, how);
        end();
      },
    });
  }

  /** Whether it has something to answer. */
  get #isAsked(): boolean {
    return this.task !== undefined || this.check !== undefined || this.owedAnswers > 0;
  }

  /** For messages. */
  get name(): string {
    return `worker ${this.child.pid ?? "without a pid"}`;
  }
}
