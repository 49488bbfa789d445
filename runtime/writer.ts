/**
 * The one writer: a bounded queue of writes, of which one runs at a time, on the newest
 * model, until it has answered, failed, or used up its time.
 *
 * It decides what becomes of a write's events: applied to the model and handed to the group
 * commit, all of them, or none. When an answer may leave is not its business.
 */

import type { App, DeepReadonly, SaveEvent } from "./app.ts";
import type { Clock } from "./clock.ts";
import type { Codec } from "./codec.ts";
import { Deadlines, type Expiring } from "./deadlines.ts";
import { AlcedoError, type HttpError, refusal, unavailable } from "./errors.ts";
import type { GroupCommit } from "./group_commit.ts";
import { COMMIT_BYTES_MAX } from "./limits.ts";
import { sizeInCommit } from "./log/event_log.ts";
import { isPromise, type Models, type Version } from "./models.ts";
import { codecOf } from "./replay.ts";
import { Slab } from "./slab.ts";

/** How a write ended. */
export type WriteOutcome<Model> =
  | {
    readonly ok: true;
    /** What the handler answered, or what the function that it answered with made. */
    readonly answer: unknown;
    /** The model that the answer was made from. */
    readonly version: Version<Model>;
    /** What must be durable before the answer leaves. */
    readonly sequence: number;
  }
  | {
    readonly ok: false;
    readonly error: unknown;
    /** What must be durable before the error is told: the handler may have seen it. */
    readonly sequence: number;
  };

/** A write that waits for the writer or is in its hands. */
export interface WriteJob<Model, Event> {
  /** Aborts when whoever waits for the answer has left: the write need not begin then. */
  readonly signal: AbortSignal | undefined;
  /** Runs the handler. */
  handle(model: DeepReadonly<Model>, saveEvent: SaveEvent<Event>): unknown;
  /** Throws if `answer` is nothing that can be answered with. */
  check(answer: unknown): void;
  /** Called when the handler's time is up, or its events are lost; the outcome follows. */
  interrupt(reason: HttpError): void;
  /** Called once, when the write has ended. */
  done(outcome: WriteOutcome<Model>): void;
}

/** What the writer works with. */
export interface WriterParts<Model, Event> {
  app: App<Model, Event>;
  models: Models<Model, Event>;
  commits: GroupCommit<Model>;
  clock: Clock;
  /** Writes that may wait. */
  queueMax: number;
  /** Milliseconds that a handler may take. */
  timeoutMs: number;
  /** Whether writes must wait: for the model to be built again, or for the disk. */
  isHeld: () => boolean;
  /** Called when an event was applied in place and must not have been. */
  onSpoiled: (cause: unknown) => void;
  report: (error: unknown) => void;
}

/** The write in hand. */
class Write<Model, Event> implements Expiring {
  readonly job: WriteJob<Model, Event>;
  readonly version: Version<Model>;
  readonly events: Event[] = [];
  readonly encoded: Uint8Array[] = [];
  bytes = 0;
  hasEnded = false;
  expiresAt = Infinity;
  readonly #onExpire: (write: Write<Model, Event>) => void;

  constructor(
    job: WriteJob<Model, Event>,
    version: Version<Model>,
    onExpire: (write: Write<Model, Event>) => void,
  ) {
    this.job = job;
    this.version = version;
    this.#onExpire = onExpire;
  }

  expire(): void {
    this.#onExpire(this);
  }
}

/** A write in the queue. */
interface Waiting<Model, Event> {
  readonly job: WriteJob<Model, Event>;
  /** The job's signal, once it is listened to. */
  signal: AbortSignal | undefined;
  /** Called when its client leaves. */
  readonly leave: () => void;
}

/** The writer of an engine. */
export class Writer<Model, Event> {
  readonly #parts: WriterParts<Model, Event>;
  readonly #codec: Codec<Event>;
  readonly #deadlines: Deadlines;
  readonly #slab = new Slab();
  readonly #onExpire = (write: Write<Model, Event>): void => this.#expire(write);
  /** A set keeps its order, and lets go at once of those that leave. */
  readonly #queue = new Set<Waiting<Model, Event>>();
  /** Those of them that came in this turn of the event loop. */
  readonly #newInQueue: Waiting<Model, Event>[] = [];
  #active: Write<Model, Event> | undefined;
  /** While it is looked into whether the log takes commits again. */
  #isAsking = false;
  #isPumping = false;
  #isWatching = false;
  #onIdle: (() => void)[] = [];

  constructor(parts: WriterParts<Model, Event>) {
    this.#parts = parts;
    this.#codec = codecOf(parts.app);
    this.#deadlines = new Deadlines(parts.clock, parts.timeoutMs);
  }

  /** Writes that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Whether one more write would be refused. */
  get isFull(): boolean {
    return this.#queue.size >= this.#parts.queueMax;
  }

  /** Takes a write: it runs when all before it have ended. A full queue refuses it. */
  submit(job: WriteJob<Model, Event>): void {
    if (this.#mayRun && this.#queue.size === 0) {
      this.#start(job);
      return;
    }
    if (this.isFull) {
      job.done({ ok: false, error: unavailable("too many writes wait"), sequence: 0 });
      return;
    }
    const waiting: Waiting<Model, Event> = {
      job,
      signal: undefined,
      leave: () => this.#drop(waiting),
    };
    this.#queue.add(waiting);
    this.#newInQueue.push(waiting);
    this.#watch();
    this.pump();
  }

  /** Goes on with what waits, if nothing holds it. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#queue.size > 0 && this.#mayRun) {
      const [next] = this.#queue;
      if (next === undefined) break;
      this.#queue.delete(next);
      next.signal?.removeEventListener("abort", next.leave);
      this.#start(next.job);
    }
    this.#isPumping = false;
    if (this.#onIdle.length > 0 && this.#isIdle) {
      for (const callback of this.#onIdle.splice(0)) callback();
    }
  }

  /** Ends the write in hand, if there is one: the commits that it may have seen are lost. */
  interrupt(reason: HttpError): void {
    const write = this.#active;
    if (write === undefined) return;
    this.#end(write);
    write.job.interrupt(reason);
    write.job.done({ ok: false, error: reason, sequence: 0 });
    this.pump();
  }

  /** Resolves when no write waits or runs. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Stops its timers. */
  close(): void {
    this.#deadlines.close();
  }

  get #isIdle(): boolean {
    return this.#active === undefined && !this.#isAsking && this.#queue.size === 0;
  }

  get #mayRun(): boolean {
    return this.#active === undefined && !this.#isAsking && !this.#parts.isHeld();
  }

  #drop(waiting: Waiting<Model, Event>): void {
    if (!this.#queue.delete(waiting)) return;
    const error = refusal(503, "the client left while its write waited");
    waiting.job.done({ ok: false, error, sequence: 0 });
    this.pump();
  }

  #start(job: WriteJob<Model, Event>): void {
    if (this.#parts.commits.state !== "ok") {
      this.#ask(job);
      return;
    }
    const version = this.#parts.models.newest;
    if (version.lost !== undefined) {
      job.done({ ok: false, error: version.lost, sequence: 0 });
      return;
    }
    const write = new Write(job, version, this.#onExpire);
    this.#active = write;
    let answer: unknown;
    try {
      answer = job.handle(
        version.model as DeepReadonly<Model>,
        (event) => this.#save(write, event),
      );
    } catch (error) {
      this.#failed(write, error);
      return;
    }
    if (!isPromise(answer)) {
      this.#answered(write, answer);
      return;
    }
    this.#watch();
    answer.then(
      (answer) => this.#answered(write, answer),
      (error) => this.#failed(write, error),
    );
  }

  /** The log does not take commits, or did not: refuses the write, or starts it after all. */
  async #ask(job: WriteJob<Model, Event>): Promise<void> {
    this.#isAsking = true;
    const refusal = await this.#parts.commits.refusal();
    this.#isAsking = false;
    if (refusal !== undefined) job.done({ ok: false, error: refusal, sequence: 0 });
    else if (this.#mayRun) this.#start(job);
    else job.done({ ok: false, error: unavailable("the model is built again"), sequence: 0 });
    this.pump();
  }

  /**
   * At the end of this turn of the event loop, starts the deadline of the write that is still
   * in hand, and listens whether the clients of those that still wait leave. Most handlers are
   * done by then, and neither deadline nor signal, dear on some platforms, has to be made.
   */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#parts.clock.defer(() => {
      this.#isWatching = false;
      if (this.#active?.expiresAt === Infinity) this.#deadlines.start(this.#active);
      for (const waiting of this.#newInQueue.splice(0)) {
        if (!this.#queue.has(waiting)) continue;
        waiting.signal = waiting.job.signal;
        waiting.signal?.addEventListener("abort", waiting.leave, { once: true });
        if (waiting.signal?.aborted) this.#drop(waiting);
      }
    });
  }

  #save(write: Write<Model, Event>, event: Event): void {
    if (write.hasEnded) {
      throw new AlcedoError(
        "write_ended",
        "Cannot save event: the write has ended; await everything before the handler answers",
      );
    }
    const encoded: unknown = this.#codec.encode(event);
    if (!(encoded instanceof Uint8Array)) {
      throw new TypeError("Cannot save event: the codec's encode returned no Uint8Array");
    }
    // A copy: the codec may use its buffer again, or the handler own the bytes.
    const bytes = this.#slab.copy(encoded);
    const size = sizeInCommit(bytes);
    if (write.bytes + size > COMMIT_BYTES_MAX) {
      throw refusal(
        413,
        `the events of a write may have ${COMMIT_BYTES_MAX} bytes together`,
      );
    }
    // What is applied now is what a replay will apply.
    write.events.push(this.#codec.decode(bytes));
    write.encoded.push(bytes);
    write.bytes += size;
  }

  #answered(write: Write<Model, Event>, answer: unknown): void {
    if (write.hasEnded) return;
    this.#end(write);
    // In hand until its commit is taken: a write that the application begins meanwhile waits.
    this.#active = write;
    const outcome = this.#outcome(write, answer);
    this.#active = undefined;
    write.job.done(outcome);
    this.pump();
  }

  #failed(write: Write<Model, Event>, error: unknown): void {
    if (write.hasEnded) {
      // Its client has been told already; its author has not.
      if (!(error instanceof AlcedoError && error.code === "write_ended")) {
        this.#parts.report(error);
      }
      return;
    }
    this.#end(write);
    write.job.done({ ok: false, error, sequence: write.version.sequence });
    this.pump();
  }

  #expire(write: Write<Model, Event>): void {
    if (write.hasEnded) return;
    const error = refusal(
      504,
      `the write handler took longer than ${this.#parts.timeoutMs} ms`,
    );
    this.#end(write);
    write.job.interrupt(error);
    write.job.done({ ok: false, error, sequence: write.version.sequence });
    this.pump();
  }

  #end(write: Write<Model, Event>): void {
    write.hasEnded = true;
    if (write.expiresAt !== Infinity) this.#deadlines.stop(write);
    this.#active = undefined;
  }

  /** Commits the events of a write that has answered, or discards them. */
  #outcome(write: Write<Model, Event>, answer: unknown): WriteOutcome<Model> {
    const { models, commits, onSpoiled } = this.#parts;
    const { job, events, encoded, bytes, version } = write;
    const seen = version.sequence;
    let applied: { after: Model } | undefined;
    try {
      if (typeof answer === "function") {
        if (events.length > 0) applied = { after: models.apply(events) };
        answer = answer(applied === undefined ? version.model : applied.after);
        job.check(answer);
      } else {
        job.check(answer);
        if (events.length > 0) applied = { after: models.apply(events) };
      }
    } catch (error) {
      if (events.length > 0 && models.isSpoiled(applied)) onSpoiled(error);
      return { ok: false, error, sequence: seen };
    }
    if (applied === undefined) {
      return { ok: true, answer, version, sequence: seen };
    }
    const commit = { events: encoded, bytes };
    const sequence = commits.sequenceOf(commit);
    const produced = models.keep(applied.after, sequence);
    commits.push({ commit, sequence, version: produced });
    return { ok: true, answer, version: produced, sequence };
  }
}
