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
import { AlcedoError, AnsweredError, type HttpError, refusal, unavailable } from "./errors.ts";
import { type GroupCommit, PendingCommit } from "./group_commit.ts";
import { COMMIT_BYTES_MAX } from "./limits.ts";
import { sizeInCommit } from "./log/event_log.ts";
import { isPromise, type Models, type Version } from "./models.ts";
import { codecOf } from "./replay.ts";
import { Slab } from "./slab.ts";

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
  /**
   * The write has ended well. `answer` is what the handler answered, or what the function that
   * it answered with made; it was made from `version`, and may leave when `sequence` is durable.
   */
  answered(answer: unknown, version: Version<Model>, sequence: number): void;
  /**
   * The write has ended and left nothing. The error may be told when `sequence` is durable:
   * the handler may have seen it. Of `answered` and `failed`, one is called, once.
   */
  failed(error: unknown, sequence: number): void;
  /** `answer` is one that nobody will get: it came too late, or its events cannot be kept. */
  dropped?(answer: unknown): void;
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
  /** The events as a replay would see them, and their bytes. */
  events: Event[] = [];
  encoded: Uint8Array[] = [];
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

  /** Forgets what was saved: from now on it is a write that saved nothing. */
  discard(): void {
    this.events = [];
    this.encoded = [];
    this.bytes = 0;
  }
}

/** A write in the queue. */
class Waiting<Model, Event> implements EventListenerObject {
  readonly job: WriteJob<Model, Event>;
  readonly #onLeave: (waiting: Waiting<Model, Event>) => void;
  /** The job's signal, once it is listened to. */
  #signal: AbortSignal | undefined = undefined;

  constructor(job: WriteJob<Model, Event>, onLeave: (waiting: Waiting<Model, Event>) => void) {
    this.job = job;
    this.#onLeave = onLeave;
  }

  /** Listens whether its client leaves, or has left. */
  listen(): void {
    const { signal } = this.job;
    if (signal?.aborted) return this.handleEvent();
    this.#signal = signal;
    signal?.addEventListener("abort", this, { once: true });
  }

  unlisten(): void {
    this.#signal?.removeEventListener("abort", this);
  }

  /** Called by the signal. */
  handleEvent(): void {
    this.#onLeave(this);
  }
}

/** The writer of an engine. */
export class Writer<Model, Event> {
  readonly #parts: WriterParts<Model, Event>;
  readonly #codec: Codec<Event>;
  readonly #deadlines: Deadlines;
  readonly #slab = new Slab();
  readonly #onExpire = (write: Write<Model, Event>): void => this.#expire(write);
  readonly #onLeave = (waiting: Waiting<Model, Event>): void => this.#drop(waiting);
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
    const { size } = this.#queue;
    return size >= this.#parts.queueMax && !(size === 0 && this.#mayRun);
  }

  /** Takes a write: it runs when all before it have ended. A full queue refuses it. */
  submit(job: WriteJob<Model, Event>): void {
    if (this.#mayRun && this.#queue.size === 0) {
      this.#start(job);
      return;
    }
    if (this.isFull) {
      job.failed(unavailable("too many writes wait"), 0);
      return;
    }
    const waiting = new Waiting(job, this.#onLeave);
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
      next.unlisten();
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
    write.job.failed(reason, 0);
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
    waiting.job.failed(error, 0);
    this.pump();
  }

  #start(job: WriteJob<Model, Event>): void {
    if (this.#parts.commits.state !== "ok") {
      this.#ask(job);
      return;
    }
    const version = this.#parts.models.newest;
    if (version.lost !== undefined) {
      job.failed(version.lost, 0);
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
    if (refusal !== undefined) job.failed(refusal, 0);
    else if (this.#mayRun) this.#start(job);
    else job.failed(unavailable("the model is built again"), 0);
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
        if (this.#queue.has(waiting)) waiting.listen();
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
    const bytes = this.#slab.encode(this.#codec, event);
    const size = sizeInCommit(bytes);
    if (write.bytes + size > COMMIT_BYTES_MAX) {
      throw refusal(
        413,
        `the events of a write may have ${COMMIT_BYTES_MAX} bytes together`,
      );
    }
    // What is applied now is what a replay will apply.
    const decoded = this.#codec.decode(bytes);
    if (write.bytes === 0) {
      // Most writes save one event, and a literal has room for no more: `push` makes 16.
      write.events = [decoded];
      write.encoded = [bytes];
    } else {
      write.events.push(decoded);
      write.encoded.push(bytes);
    }
    write.bytes += size;
  }

  #answered(write: Write<Model, Event>, answer: unknown): void {
    if (write.hasEnded) {
      write.job.dropped?.(answer);
      return;
    }
    this.#end(write);
    // In hand until its commit is taken: a write that the application begins meanwhile waits.
    this.#active = write;
    this.#commit(write, answer);
    this.#active = undefined;
    this.pump();
  }

  #failed(write: Write<Model, Event>, error: unknown): void {
    if (error instanceof AnsweredError) {
      write.discard();
      this.#answered(write, error.answer);
      return;
    }
    if (write.hasEnded) {
      // Its client has been told already; its author has not.
      if (!(error instanceof AlcedoError && error.code === "write_ended")) {
        this.#parts.report(error);
      }
      return;
    }
    this.#end(write);
    write.job.failed(error, write.version.sequence);
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
    write.job.failed(error, write.version.sequence);
    this.pump();
  }

  #end(write: Write<Model, Event>): void {
    write.hasEnded = true;
    if (write.expiresAt !== Infinity) this.#deadlines.stop(write);
    this.#active = undefined;
  }

  /** Commits the events of a write that has answered, or discards them. */
  #commit(write: Write<Model, Event>, answer: unknown): void {
    const { models, commits, onSpoiled } = this.#parts;
    const { job, events, encoded, bytes, version } = write;
    const seen = version.sequence;
    let after: Model | undefined;
    try {
      if (typeof answer === "function") {
        if (events.length > 0) after = models.apply(events);
        answer = answer(after === undefined ? version.model : after);
        job.check(answer);
      } else {
        job.check(answer);
        if (events.length > 0) after = models.apply(events);
      }
    } catch (error) {
      if (events.length > 0 && models.isSpoiled(after)) onSpoiled(error);
      job.dropped?.(answer);
      job.failed(error, seen);
      return;
    }
    if (after === undefined) {
      job.answered(answer, version, seen);
      return;
    }
    const sequence = commits.sequenceAfter(events.length);
    const produced = models.keep(after, sequence);
    commits.push(new PendingCommit(encoded, bytes, sequence, produced));
    job.answered(answer, produced, sequence);
  }
}
