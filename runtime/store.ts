/**
 * The state of a running application: the versions of its model, the one writer, and the
 * commits on their way to the log. Requests, and whoever else reads and writes, stand on it.
 *
 * It brings together `models.ts`, `writer.ts` and `group_commit.ts`, and decides what becomes
 * of the model when a write or the log fails. It knows no HTTP but for the status in errors.
 */

import type { App } from "./app.ts";
import type { Clock } from "./clock.ts";
import { Deadlines } from "./deadlines.ts";
import { type HttpError, unavailable } from "./errors.ts";
import { type Gate, GroupCommit, type PendingCommit } from "./group_commit.ts";
import { HELD_READ_MS, HELD_READS_MAX } from "./limits.ts";
import type { Commit, EventLog } from "./log/event_log.ts";
import { Models, type Version } from "./models.ts";
import { codecOf, type OnBadEvent, replay, type ReplayOptions } from "./replay.ts";
import { type WriteJob, Writer } from "./writer.ts";

/** What a {@linkcode Store} is made of. */
export interface StoreParts<Model, Event> {
  readonly app: App<Model, Event>;
  readonly log: EventLog;
  readonly clock: Clock;
  /** Milliseconds that a write handler may take. */
  readonly timeoutMs: number;
  /** Writes that may wait. */
  readonly writeQueueMax: number;
  /** Called once with each fault. */
  readonly report: (error: unknown) => void;
  readonly warn: (message: string) => void;
  /** What becomes of an event that cannot be decoded or applied. */
  readonly onBadEvent?: OnBadEvent;
  /** Called with the commits of each append when they are durable; the newest is `last`. */
  readonly onDurable: (flushed: readonly Commit[], last: number) => void;
}

/** Opens the store: replays the log. */
export async function openStore<Model, Event>(
  parts: StoreParts<Model, Event>,
  options: ReplayOptions,
): Promise<Store<Model, Event>> {
  const { app, log } = parts;
  const { model, style, skipped } = await replay(app, log, log.durable, options);
  return new Store(parts, new Models(app, model, log.durable, style), skipped);
}

/** The state of a running application. */
export class Store<Model, Event> {
  readonly #parts: StoreParts<Model, Event>;
  readonly #models: Models<Model, Event>;
  readonly #commits: GroupCommit<Model>;
  readonly #writer: Writer<Model, Event>;
  readonly #heldDeadlines: Deadlines;
  #rebuilding: Promise<void> | undefined;
  #isBroken = false;
  #rebuilds = 0;
  /** How often commits were lost. */
  #losses = 0;
  #heldReads = 0;
  /** The sequences that the model is without, because of bad events. */
  #skipped: ReadonlySet<number>;

  constructor(
    parts: StoreParts<Model, Event>,
    models: Models<Model, Event>,
    skipped: ReadonlySet<number>,
  ) {
    const { app, log, clock, timeoutMs, report } = parts;
    this.#parts = parts;
    this.#models = models;
    this.#skipped = skipped;
    this.#commits = new GroupCommit(log, clock, {
      onDurable: (newest, flushed) => this.#onDurable(newest, flushed),
      onLost: (reason) => this.#onLost(reason),
    });
    this.#writer = new Writer({
      app,
      models,
      commits: this.#commits,
      clock,
      report,
      timeoutMs,
      queueMax: parts.writeQueueMax,
      isHeld: () => this.#rebuilding !== undefined || this.#commits.isFull,
      onSpoiled: (cause) => {
        this.#rebuild(unavailable("the model is built again after a failed write", cause));
      },
    });
    this.#heldDeadlines = new Deadlines(clock, HELD_READ_MS);
  }

  /** The model for reads, which is `lost` while there is none to show. */
  get current(): Version<Model> {
    return this.#models.durable;
  }

  /** Whether a version that was handed out can change behind whoever holds it. */
  get mayMove(): boolean {
    return this.#models.mayMove;
  }

  /** Whether one more write would be refused, because too many wait. */
  get isFull(): boolean {
    return this.#writer.isFull;
  }

  /** Why the store does not take writes, or `ok`. */
  get state(): "ok" | "disk full" | `read-only: ${string}` | "unavailable" {
    if (this.#isBroken) return "unavailable";
    const { state, failure } = this.#commits;
    if (failure !== undefined) return `read-only: ${failure}`;
    return state === "full" ? "disk full" : "ok";
  }

  /** Figures for whoever watches over it. */
  get figures(): {
    applied: number;
    durable: number;
    flushes: number;
    commits: number;
    writesWaiting: number;
    rebuilds: number;
    badEvents: number;
  } {
    const { applied, durable, flushes, commits } = this.#commits;
    return {
      applied,
      durable,
      flushes,
      commits,
      writesWaiting: this.#writer.waiting,
      rebuilds: this.#rebuilds,
      badEvents: this.#skipped.size,
    };
  }

  /** Takes a write. */
  submit(job: WriteJob<Model, Event>): void {
    this.#writer.submit(job);
  }

  /** Whether all that can be seen in `version` now is durable. */
  isDurable(version: Version<Model>): boolean {
    return version.lost === undefined && version.sequence <= this.#commits.durable;
  }

  /** Opens `gate` when `sequence` is durable or lost; at once if it is durable now. */
  whenDurable(sequence: number, gate: Gate): void {
    this.#commits.whenDurable(sequence, gate);
  }

  /** Resolves when all that can be seen in `version` now is durable; rejects if it is lost. */
  durable(version: Version<Model>): Promise<void> {
    if (version.lost !== undefined) return Promise.reject(version.lost);
    return this.durableAt(version.sequence);
  }

  /** Resolves when `sequence` is durable; rejects if it is lost. */
  durableAt(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#commits.whenDurable(sequence, {
        awaits: sequence,
        open: (lost) => lost === undefined ? resolve() : reject(lost),
      });
    });
  }

  /**
   * The model for a read: at once, or when it has been built again.
   *
   * @throws {HttpError} 503 if there is none, or too many wait for it, or for too long.
   */
  async readable(): Promise<Version<Model>> {
    const version = this.#models.durable;
    if (version.lost === undefined) return version;
    const rebuilding = this.#rebuilding;
    if (rebuilding === undefined || this.#heldReads >= HELD_READS_MAX) {
      throw unavailable("there is no model to read", version.lost);
    }
    this.#heldReads++;
    try {
      await new Promise<void>((resolve, reject) => {
        const waiting = {
          expiresAt: Infinity,
          expire: () => reject(unavailable("the model is still being built again", version.lost)),
        };
        this.#heldDeadlines.start(waiting);
        rebuilding.then(() => {
          this.#heldDeadlines.stop(waiting);
          resolve();
        });
      });
    } finally {
      this.#heldReads--;
    }
    return this.readable();
  }

  /** Resolves when all writes have ended and are durable or lost. */
  async settled(): Promise<void> {
    await this.#writer.idle();
    await this.durableAt(this.#commits.applied).catch(() => {}); // Reported when it was lost.
    await this.#rebuilding;
  }

  /** Stops the timers. Nothing may be in flight. */
  close(): void {
    this.#writer.close();
    this.#heldDeadlines.close();
  }

  #onDurable(newest: PendingCommit<Model>, flushed: readonly PendingCommit<Model>[]): void {
    this.#parts.onDurable(flushed, newest.sequence);
    // While the model is built again, the versions of now are the old ones.
    if (this.#rebuilding === undefined) this.#models.advance(newest.version);
    this.#writer.pump();
  }

  #onLost(reason: HttpError): void {
    this.#losses++;
    this.#parts.report(reason.cause);
    const canGoBack = this.#rebuilding !== undefined ||
      this.#models.goBack(this.#commits.durable, reason);
    if (!canGoBack) this.#rebuild(reason);
    this.#writer.interrupt(
      unavailable("the log failed while the write was handled; it was not saved", reason),
    );
    this.#writer.pump();
  }

  /** Builds the model again from the log and from the commits that wait for the disk. */
  #rebuild(reason: HttpError): void {
    this.#models.loseAll(reason);
    this.#rebuilds++;
    this.#parts.warn(
      "The model is built again from the log, because it is changed in place and a write " +
        "failed after it was applied. Reads wait meanwhile: validate in the handler.",
    );
    this.#rebuilding = this.#replayAll().catch((error) => {
      this.#isBroken = true;
      this.#models.loseAll(reason); // Some of the new ones may be there, half made.
      this.#parts.report(error);
    }).finally(() => {
      // A model that could not be built stays lost, and writes wait no longer: they fail.
      this.#rebuilding = undefined;
      this.#writer.pump();
    });
  }

  async #replayAll(): Promise<void> {
    const { app, log } = this.#parts;
    const codec = codecOf(app);
    for (;;) {
      const losses = this.#losses;
      const until = this.#commits.durable;
      const waiting = this.#commits.undurable();
      const options = { ...this.#parts, skipped: this.#skipped };
      const { model, skipped } = await replay(app, log, until, options);
      this.#skipped = skipped;
      // Some of those that waited are lost: begin again without them.
      if (losses !== this.#losses) continue;
      this.#models.reset(model, until);
      for (const entry of waiting) {
        const events = entry.events.map((bytes) => codec.decode(bytes));
        entry.version = this.#models.keep(this.#models.apply(events), entry.sequence);
        if (entry.sequence <= this.#commits.durable) this.#models.advance(entry.version);
      }
      return;
    }
  }
}
