/**
 * From an applied commit to a durable one: commits that arrive while the disk is busy are
 * flushed together by the next append, and answers wait here for theirs.
 *
 * It knows when a commit is durable or lost, and tells; what that means for models and
 * writers is for `engine.ts` to say.
 */

import type { Clock } from "./clock.ts";
import { AlcedoError, assert, type HttpError, messageOf, refusal } from "./errors.ts";
import { FLUSH_BYTES_MAX, PENDING_BYTES_MAX, RETRY_AFTER_S } from "./limits.ts";
import type { Commit, EventLog } from "./log/event_log.ts";
import type { Version } from "./models.ts";

/**
 * A commit on its way to the disk. A class, and no literal: V8 comes to make literals that live
 * for a moment among what lives for long, where they keep all that they refer to.
 */
export class PendingCommit<Model> implements Commit {
  readonly events: readonly Uint8Array[];
  readonly bytes: number;
  /** The sequence of the log once the commit is in it. */
  readonly sequence: number;
  /** The model that shows it. */
  version: Version<Model>;

  constructor(
    events: readonly Uint8Array[],
    bytes: number,
    sequence: number,
    version: Version<Model>,
  ) {
    this.events = events;
    this.bytes = bytes;
    this.sequence = sequence;
    this.version = version;
  }
}

/** Why nothing can be written: room may come back, a failed log may not. */
export type LogState = "ok" | "full" | "failed";

/** What {@linkcode GroupCommit} tells. */
export interface GroupCommitEvents<Model> {
  /**
   * All commits up to `newest` are durable, of which one append brought those of `flushed`; the
   * answers that waited leave after the call.
   */
  onDurable(newest: PendingCommit<Model>, flushed: readonly PendingCommit<Model>[]): void;
  /**
   * No commit after the durable ones is, or ever will be, except that after a failure it is
   * unknown what a restart will find.
   */
  onLost(error: HttpError): void;
}

/**
 * An answer that waits until what it shows is durable. It is its own entry in the list, so
 * that none has to be made.
 */
export interface Gate {
  /** What must be durable; set by {@linkcode GroupCommit.whenDurable}. */
  awaits: number;
  /** Called once, when it is durable, or with the reason why it never will be. */
  open(lost: HttpError | undefined): void;
}

/** The queue between the writer and the log. */
export class GroupCommit<Model> {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #events: GroupCommitEvents<Model>;
  /** Commits that the running append has, and those behind them. */
  #flushing: PendingCommit<Model>[] = [];
  #pending: PendingCommit<Model>[] = [];
  #undurableBytes = 0;
  #applied: number;
  #durable: number;
  #isScheduled = false;
  #state: LogState = "ok";
  #reason: HttpError | undefined;
  #lastProbe = -Infinity;
  #bytesLost = 0;
  /** Answers that wait, in the order of their sequences. */
  readonly #gates: Gate[] = [];
  #gatesDone = 0;
  #flushes = 0;
  #commits = 0;

  constructor(log: EventLog, clock: Clock, events: GroupCommitEvents<Model>) {
    this.#log = log;
    this.#clock = clock;
    this.#events = events;
    this.#applied = this.#durable = log.durable;
    if (log.readOnly !== undefined) {
      const cause = new AlcedoError("log_failed", log.readOnly);
      this.#set("failed", refusal(503, "nothing can be written: the log is read-only", { cause }));
    }
  }

  /** The sequence of the newest commit that was applied. */
  get applied(): number {
    return this.#applied;
  }

  /** The sequence of the newest durable commit. */
  get durable(): number {
    return this.#durable;
  }

  /** Whether the log takes commits. */
  get state(): LogState {
    return this.#state;
  }

  /** Why the log takes none until it is opened again, if so. */
  get failure(): string | undefined {
    const { cause } = this.#state === "failed" ? this.#reason ?? {} : {};
    return this.#log.readOnly ?? (cause === undefined ? undefined : messageOf(cause));
  }

  /** How often the log was appended to. */
  get flushes(): number {
    return this.#flushes;
  }

  /** How many commits have become durable since the log was opened. */
  get commits(): number {
    return this.#commits;
  }

  /** Whether so much waits for the disk that the writer must wait too. */
  get isFull(): boolean {
    return this.#undurableBytes >= PENDING_BYTES_MAX;
  }

  /** The commits that were applied and are not durable, in order. */
  undurable(): PendingCommit<Model>[] {
    return [...this.#flushing, ...this.#pending];
  }

  /** The sequence that a commit of so many events would get. */
  sequenceAfter(eventCount: number): number {
    return this.#applied + (this.#log.counts === "events" ? eventCount : 1);
  }

  /** Takes an applied commit; it is flushed with all others of this turn of the loop. */
  push(entry: PendingCommit<Model>): void {
    this.#applied = entry.sequence;
    this.#undurableBytes += entry.bytes;
    this.#pending.push(entry);
    this.#schedule();
  }

  /** Opens `gate` when `sequence` is durable or lost; at once if it is durable now. */
  whenDurable(sequence: number, gate: Gate): void {
    assert(sequence <= this.#applied, "an answer shows only what was applied");
    gate.awaits = sequence;
    if (sequence <= this.#durable) gate.open(undefined);
    else this.#gates.push(gate);
  }

  /**
   * Why no commit can be taken now, or `undefined` if one can. After a full disk it looks,
   * at most once a second, whether there is room again.
   */
  async refusal(): Promise<HttpError | undefined> {
    if (this.#state === "full" && this.#clock.now() - this.#lastProbe >= RETRY_AFTER_S * 1000) {
      this.#lastProbe = this.#clock.now();
      const hasRoom = await Promise.try(() => this.#log.hasRoom?.(this.#bytesLost) ?? true)
        .catch(() => false); // Whatever the log has against it, it has no room.
      // A failure may have come meanwhile; only a full disk is over when there is room.
      if (hasRoom && this.#state === "full") this.#set("ok", undefined);
    }
    return this.#reason;
  }

  #set(state: LogState, reason: HttpError | undefined): void {
    this.#state = state;
    this.#reason = reason;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#flushing.length > 0) return;
    this.#isScheduled = true;
    this.#clock.defer(() => {
      this.#isScheduled = false;
      if (this.#pending.length > 0) this.#flush();
    });
  }

  #flush(): void {
    let bytes = 0;
    let count = 0;
    for (const entry of this.#pending) {
      if (count > 0 && bytes + entry.bytes > FLUSH_BYTES_MAX) break;
      bytes += entry.bytes;
      count++;
    }
    this.#flushing = this.#pending.splice(0, count);
    this.#flushes++;
    Promise.try(() => this.#log.append(this.#flushing)).then(
      () => this.#flushed(bytes),
      (error) => this.#lose(error, bytes),
    );
  }

  #flushed(bytes: number): void {
    const flushed = this.#flushing;
    const newest = flushed.at(-1);
    this.#flushing = [];
    this.#undurableBytes -= bytes;
    this.#commits += flushed.length;
    if (newest !== undefined) {
      this.#durable = newest.sequence;
      this.#events.onDurable(newest, flushed);
    }
    this.#open(undefined);
    if (this.#pending.length > 0) this.#schedule();
  }

  #lose(error: unknown, bytes: number): void {
    const isFull = error instanceof AlcedoError && error.code === "log_full";
    this.#bytesLost = bytes;
    this.#lastProbe = this.#clock.now();
    const headers = { "retry-after": String(RETRY_AFTER_S) };
    const reason = isFull
      ? refusal(507, "the disk is full, the write was not saved", { cause: error, headers })
      : refusal(503, "outcome unknown: the log failed, it may have been saved or not", {
        cause: error,
      });
    this.#set(isFull ? "full" : "failed", reason);
    this.#flushing = [];
    this.#pending = [];
    this.#undurableBytes = 0;
    this.#applied = this.#durable;
    this.#events.onLost(reason);
    this.#open(reason);
  }

  /** Lets the answers go whose commits are durable; the others too, if theirs are lost. */
  #open(lost: HttpError | undefined): void {
    const gates = this.#gates;
    while (this.#gatesDone < gates.length) {
      const next = gates[this.#gatesDone];
      if (next === undefined) break;
      const isDurable = next.awaits <= this.#durable;
      if (!isDurable && lost === undefined) break;
      this.#gatesDone++;
      next.open(isDurable ? undefined : lost);
    }
    // Removing from the front of an array is dear; doing so when it is half empty is not.
    if (this.#gatesDone * 2 >= gates.length) {
      gates.splice(0, this.#gatesDone);
      this.#gatesDone = 0;
    }
  }
}
