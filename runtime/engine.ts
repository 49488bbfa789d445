/**
 * What runs an application: requests in, answers out, and no answer before what it shows is
 * on disk.
 *
 * It brings together the model's versions (`models.ts`), the one writer (`writer.ts`) and
 * the group commit (`group_commit.ts`), and holds every answer until it may leave. It knows
 * no socket and no file: servers call `fetch`, and the log is given.
 */

import type { App, DeepReadonly, SaveEvent, WriteAnswer } from "./app.ts";
import { faultOfApp } from "./app.ts";
import type { Clock } from "./clock.ts";
import { Reading, Writing } from "./context.ts";
import { Deadlines } from "./deadlines.ts";
import { AlcedoError, HttpError, isFault, refusal, unavailable } from "./errors.ts";
import { type Gate, GroupCommit, type PendingCommit } from "./group_commit.ts";
import { bufferBody } from "./http/buffered_body.ts";
import { defaultErrorPage, finishErrorPage } from "./http/error_pages.ts";
import type { FetchHandler, RequestInfo } from "./http/fetch_handler.ts";
import { withGatedBody } from "./http/gated_body.ts";
import { isOtherMethod, isWriteMethod, type WriteMethod } from "./http/methods.ts";
import {
  BODY_BYTES_MAX,
  HELD_READ_MS,
  HELD_READS_MAX,
  REQUEST_TIMEOUT_MS,
  WRITE_QUEUE_MAX,
} from "./limits.ts";
import type { EventLog } from "./log/event_log.ts";
import { formatPosition } from "./log/position.ts";
import { isPromise, Models, type Version } from "./models.ts";
import { codecOf, replay, type ReplayProgress } from "./replay.ts";
import { type WriteJob, type WriteOutcome, Writer } from "./writer.ts";

/** Options of {@linkcode openEngine}. */
export interface EngineOptions {
  /** Where the events are. The engine closes it. */
  log: EventLog;
  /** Time. */
  clock: Clock;
  /**
   * Called once with each fault of the application and of the log: what was thrown, as it
   * was thrown.
   */
  report: (error: unknown) => void;
  /** Called with what the operator should know though nothing has failed. */
  warn: (message: string) => void;
  /**
   * Bytes that a write's body may have; more is answered with 413.
   * @default {BODY_BYTES_MAX}
   */
  bodyBytesMax?: number;
  /**
   * Milliseconds that a handler may take; then the answer is 504.
   * @default {REQUEST_TIMEOUT_MS}
   */
  requestTimeoutMs?: number;
  /**
   * Writes that may wait for their turn; more are answered with 503.
   * @default {WRITE_QUEUE_MAX}
   */
  writeQueueMax?: number;
  /** Called while the log is replayed. */
  onProgress?: (progress: ReplayProgress) => void;
}

/** What {@linkcode Engine.write} gives to its function. */
export interface WriteTools<Event> {
  readonly saveEvent: SaveEvent<Event>;
}

/** What {@linkcode Engine.write} resolves with, once the write is durable. */
export interface Written<Result> {
  readonly result: Result;
  /** The position in the log after the write. */
  readonly position: string;
}

/** How an engine is. */
export interface Health {
  /**
   * `disk full`: writes are refused until there is room. `read-only`: the log failed, and
   * writes are refused until a restart. `unavailable`: the model could not be built again.
   */
  readonly state: "ok" | "disk full" | "read-only" | "unavailable" | "closed";
  /** The sequence of the newest commit that was applied, and of the newest durable one. */
  readonly applied: number;
  readonly durable: number;
  /** The position after the newest durable commit. */
  readonly position: string;
  /** Durable bytes of the log. */
  readonly logBytes: number;
  /** How often the log was appended to: commits share appends. */
  readonly flushes: number;
  /** Writes that wait for their turn. */
  readonly writesWaiting: number;
  /** How often an in-place model had to be built again. */
  readonly rebuilds: number;
}

/** A running application without a socket. */
export interface Engine<Model, Event> extends AsyncDisposable {
  /** Answers a request as a server would get it answered. Never rejects. */
  readonly fetch: (request: Request, info?: RequestInfo) => Response | Promise<Response>;
  /**
   * Calls `look` with the newest durable model (in place: the newest one), and resolves with
   * what it returned once all that it could have seen is durable.
   *
   * @throws {HttpError} 503 if there is no model to look at; 507 or 503 if what was seen is
   * lost. What `look` throws is passed on.
   */
  read<Result>(
    look: (model: DeepReadonly<Model>) => Result | Promise<Result>,
  ): Promise<Result>;
  /**
   * Writes as a write handler does, by the same rules: `change` runs alone, on the newest
   * model; its events are one commit if it answers, and discarded if it throws. It may
   * answer with a function of the model that it produced. Resolves once all is durable.
   *
   * @throws {HttpError} 503 if too many writes wait, 504 if `change` takes too long, 507 if
   * the disk is full. What `change` throws is passed on.
   */
  write<Result>(
    change: (
      model: DeepReadonly<Model>,
      tools: WriteTools<Event>,
    ) => WriteAnswer<Model, Result> | Promise<WriteAnswer<Model, Result>>,
  ): Promise<Written<Result>>;
  /** How it is, at this moment. */
  health(): Health;
  /**
   * Refuses what comes from now on, waits for what is in flight, and closes the log. Calling
   * it again returns the same promise.
   */
  close(): Promise<void>;
}

/**
 * Opens an application on a log: replays the log's events, and is then ready for requests.
 *
 * @throws {TypeError} if `app` is no application.
 * @throws {AlcedoError} `bad_event` if an event of the log can no longer be applied.
 */
export async function openEngine<Model, Event>(
  app: App<Model, Event>,
  options: EngineOptions,
): Promise<Engine<Model, Event>> {
  const fault = faultOfApp(app);
  if (fault !== undefined) throw new TypeError(`Cannot open engine: ${fault}`);
  const { log } = options;
  const { model, style } = await replay(app, log, log.durable, options);
  return new RunningEngine(app, options, new Models(app, model, log.durable, style));
}

class RunningEngine<Model, Event> implements Engine<Model, Event> {
  readonly fetch: FetchHandler & Engine<Model, Event>["fetch"];
  readonly #app: App<Model, Event>;
  readonly #options: EngineOptions;
  readonly #log: EventLog;
  readonly #models: Models<Model, Event>;
  readonly #commits: GroupCommit<Model>;
  readonly #writer: Writer<Model, Event>;
  readonly #fetchHost: FetchHost<Model, Event>;
  readonly #handlerDeadlines: Deadlines;
  readonly #heldDeadlines: Deadlines;
  readonly #bodyBytesMax: number;
  readonly #background = new Set<Promise<unknown>>();
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  #rebuilding: Promise<void> | undefined;
  /** Why the model could not be built again. */
  #broken: unknown;
  #rebuilds = 0;
  #losses = 0;
  #heldReads = 0;
  #closing: Promise<void> | undefined;

  constructor(app: App<Model, Event>, options: EngineOptions, models: Models<Model, Event>) {
    const { log, clock, report } = options;
    const timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#app = app;
    this.#options = options;
    this.#log = log;
    this.#models = models;
    this.#bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#commits = new GroupCommit(log, clock, {
      onDurable: (newest) => this.#onDurable(newest),
      onLost: (reason) => this.#onLost(reason),
    });
    this.#writer = new Writer({
      app,
      models,
      commits: this.#commits,
      clock,
      report,
      timeoutMs,
      queueMax: options.writeQueueMax ?? WRITE_QUEUE_MAX,
      isHeld: () => this.#rebuilding !== undefined || this.#commits.isFull,
      onSpoiled: (cause) => {
        this.#rebuild(unavailable("the model is built again after a failed write", cause));
      },
    });
    this.#handlerDeadlines = new Deadlines(clock, timeoutMs);
    this.#heldDeadlines = new Deadlines(clock, HELD_READ_MS);
    this.#waitUntil = (promise) => this.#keepOpenFor(promise);
    this.#fetchHost = {
      app,
      commits: this.#commits,
      waitUntil: this.#waitUntil,
      gated: (response, info, version) => this.#gated(response, info, version),
      errorAnswer: (error, request, info, seen) =>
        this.#errorAnswer(error, request, info, this.#durableAt(seen)),
    };
    // A property, not a method: it is handed to servers by itself.
    this.fetch = (request, info = new OwnInfo(request)) => this.#fetch(request, info);
  }

  async read<Result>(
    look: (model: DeepReadonly<Model>) => Result | Promise<Result>,
  ): Promise<Result> {
    if (this.#closing !== undefined) throw closed();
    const version = await this.#readable();
    const result = await look(version.model as DeepReadonly<Model>);
    await this.#durable(version);
    return result;
  }

  write<Result>(
    change: (
      model: DeepReadonly<Model>,
      tools: WriteTools<Event>,
    ) => WriteAnswer<Model, Result> | Promise<WriteAnswer<Model, Result>>,
  ): Promise<Written<Result>> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#writer.submit({
        signal: undefined,
        handle: (model, saveEvent) => change(model, { saveEvent }),
        check: () => {},
        interrupt: () => {},
        done: (outcome) => {
          if (!outcome.ok) {
            // An error says what the handler saw, so it waits as an answer does.
            const { error, sequence } = outcome;
            this.#commits.whenDurable(sequence, { open: (lost) => reject(lost ?? error) });
            return;
          }
          const written = {
            result: outcome.answer as Result,
            position: formatPosition(this.#log.history, outcome.sequence),
          };
          this.#commits.whenDurable(outcome.sequence, {
            open: (lost) => lost === undefined ? resolve(written) : reject(lost),
          });
        },
      });
    });
  }

  health(): Health {
    const { applied, durable, flushes, state } = this.#commits;
    return {
      state: this.#closing !== undefined
        ? "closed"
        : this.#broken !== undefined
        ? "unavailable"
        : state === "failed"
        ? "read-only"
        : state === "full"
        ? "disk full"
        : "ok",
      applied,
      durable,
      position: formatPosition(this.#log.history, durable),
      logBytes: this.#log.durableBytes,
      flushes,
      writesWaiting: this.#writer.waiting,
      rebuilds: this.#rebuilds,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#writer.idle();
    await this.#durableAt(this.#commits.applied).catch(() => {}); // Reported when it was lost.
    while (this.#background.size > 0) await Promise.allSettled(this.#background);
    await this.#rebuilding;
    this.#writer.close();
    this.#handlerDeadlines.close();
    this.#heldDeadlines.close();
    await this.#log.close();
  }

  #keepOpenFor(promise: Promise<unknown>): void {
    const settled = Promise.resolve(promise).catch(this.#options.report)
      .finally(() => this.#background.delete(settled));
    this.#background.add(settled);
  }

  // Requests

  #fetch(request: Request, info: RequestInfo): Response | Promise<Response> {
    const method = request.method;
    if (isWriteMethod(method)) return this.#fetchWrite(request, info, method);
    if (!isOtherMethod(method)) {
      return this.#errorAnswer(refusal(501, `unknown method ${method}`), request, info);
    }
    const version = this.#models.durable;
    if (version.lost !== undefined || this.#closing !== undefined) {
      return this.#fetchHeld(request, info);
    }
    let answer: unknown;
    try {
      answer = this.#app.handleRequest(
        request,
        version.model as DeepReadonly<Model>,
        new Reading(method, info, this.#waitUntil),
      );
    } catch (error) {
      return this.#errorAnswer(error, request, info, this.#durable(version));
    }
    if (isResponse(answer)) return this.#leave(answer, request, info, version);
    return this.#fetchSlow(answer, request, info, version);
  }

  /** A read whose handler has not answered at once. */
  async #fetchSlow(
    answer: unknown,
    request: Request,
    info: RequestInfo,
    version: Version<Model>,
  ): Promise<Response> {
    try {
      if (isPromise(answer)) answer = await this.#withDeadline(answer);
      checkResponse(answer, "a read handler must answer with a Response");
    } catch (error) {
      return this.#errorAnswer(error, request, info, this.#durable(version));
    }
    return this.#leave(answer, request, info, version);
  }

  #withDeadline<T>(promise: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const waiting = {
        expiresAt: Infinity,
        expire(): void {
          isOver = true;
          reject(refusal(504, "the read handler took too long"));
        },
      };
      this.#handlerDeadlines.start(waiting);
      promise.then(
        (value) => {
          this.#handlerDeadlines.stop(waiting);
          resolve(value);
        },
        (error) => {
          this.#handlerDeadlines.stop(waiting);
          if (isOver && isFault(error)) this.#options.report(error);
          reject(error);
        },
      );
    });
  }

  /** A read that came while there was no model to show. */
  async #fetchHeld(request: Request, info: RequestInfo): Promise<Response> {
    try {
      if (this.#closing !== undefined) throw closing();
      await this.#readable();
    } catch (error) {
      return this.#errorAnswer(error, request, info);
    }
    return this.#fetch(request, info);
  }

  #fetchWrite(
    request: Request,
    info: RequestInfo,
    method: WriteMethod,
  ): Response | Promise<Response> {
    if (this.#closing !== undefined) {
      return this.#errorAnswer(closing(), request, info);
    }
    // Before the body is read, as well as after it: it would be read for nothing.
    if (this.#writer.isFull) {
      return this.#errorAnswer(unavailable("too many writes wait"), request, info);
    }
    let body: Promise<void> | undefined;
    try {
      body = bufferBody(request, this.#bodyBytesMax);
    } catch (error) {
      return this.#errorAnswer(error, request, info);
    }
    const write = new FetchWrite(this.#fetchHost, request, info, method);
    if (body === undefined) this.#writer.submit(write);
    else {
      body.then(
        () => this.#closing === undefined ? this.#writer.submit(write) : write.refuse(closing()),
        (error) => write.refuse(error),
      );
    }
    return write.response;
  }

  // Answers

  /** Lets `response` leave when all that can be seen in `version` is durable. */
  #leave(
    response: Response,
    request: Request,
    info: RequestInfo,
    version: Version<Model>,
  ): Response | Promise<Response> {
    const gated = this.#gated(response, info, version);
    if (version.lost === undefined && version.sequence <= this.#commits.durable) return gated;
    return this.#durable(version).then(() => gated, (lost) => {
      gated.body?.cancel(lost).catch(() => {});
      return this.#errorAnswer(lost, request, info);
    });
  }

  /**
   * Gates the chunks of a body that may yet be made from a model that moves; called as soon
   * as there is an answer, so that what is complete is not held to what comes later.
   */
  #gated(response: Response, info: RequestInfo, version: Version<Model>): Response {
    if (!this.#models.mayMove || info.hasStaticBody?.(response) === true) return response;
    return withGatedBody(response, () => this.#durable(version));
  }

  /** Resolves when all that can be seen in `version` now is durable; rejects if it is lost. */
  #durable(version: Version<Model>): Promise<void> {
    if (version.lost !== undefined) return Promise.reject(version.lost);
    return this.#durableAt(version.sequence);
  }

  #durableAt(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#commits.whenDurable(sequence, {
        open: (lost) => lost === undefined ? resolve() : reject(lost),
      });
    });
  }

  /**
   * The answer for an error, from the application's page for its status, or the default one.
   * What it was thrown for may be undone yet, so it waits until `seen` is durable; then the
   * page is made from the durable model.
   */
  async #errorAnswer(
    error: unknown,
    request: Request,
    info: RequestInfo,
    seen?: Promise<void>,
  ): Promise<Response> {
    if (isFault(error)) this.#options.report(error);
    let answer = error instanceof HttpError ? error : new HttpError(500, "", { cause: error });
    await seen?.catch((lost: HttpError) => {
      answer = lost;
    });
    const page = this.#app.errors?.[answer.status] ?? this.#app.errors?.default;
    if (page === undefined) return defaultErrorPage(answer.status, answer.headers);
    try {
      const version = await this.#readable();
      const response: unknown = await page(
        answer,
        request,
        version.model as DeepReadonly<Model>,
      );
      checkResponse(response, `errors[${answer.status}] must answer with a Response`);
      const gated = this.#gated(response, info, version);
      await this.#durable(version);
      return finishErrorPage(gated, answer);
    } catch (error) {
      if (isFault(error)) this.#options.report(error);
      return defaultErrorPage(answer.status, answer.headers);
    }
  }

  // The model's fate

  #onDurable(newest: PendingCommit<Model>): void {
    // While the model is built again, the versions of now are the old ones.
    if (this.#rebuilding === undefined) this.#models.advance(newest.version);
    this.#writer.pump();
  }

  #onLost(reason: HttpError): void {
    this.#losses++;
    this.#options.report(reason.cause);
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
    this.#options.warn(
      "The model is built again from the log, because it is changed in place and a write " +
        "failed after it was applied. Reads wait meanwhile: validate in the handler.",
    );
    this.#rebuilding = this.#replayAll().catch((error) => {
      this.#broken = error;
      this.#options.report(error);
    }).finally(() => {
      // A model that could not be built stays lost, and writes wait no longer: they fail.
      this.#rebuilding = undefined;
      this.#writer.pump();
    });
  }

  async #replayAll(): Promise<void> {
    const codec = codecOf(this.#app);
    for (;;) {
      const losses = this.#losses;
      const until = this.#commits.durable;
      const waiting = this.#commits.undurable();
      const { model } = await replay(this.#app, this.#log, until, this.#options);
      // Some of those that waited are lost: begin again without them.
      if (losses !== this.#losses) continue;
      this.#models.reset(model, until);
      for (const entry of waiting) {
        const events = entry.commit.events.map((bytes) => codec.decode(bytes));
        entry.version = this.#models.keep(this.#models.apply(events), entry.sequence);
        if (entry.sequence <= this.#commits.durable) this.#models.advance(entry.version);
      }
      return;
    }
  }

  /** The model for a read: at once, or when it has been built again. */
  async #readable(): Promise<Version<Model>> {
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
    return this.#readable();
  }
}

/** What a {@linkcode FetchWrite} needs of its engine. */
interface FetchHost<Model, Event> {
  readonly app: App<Model, Event>;
  readonly commits: GroupCommit<Model>;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  /** Gates a body, as soon as there is an answer. */
  gated(response: Response, info: RequestInfo, version: Version<Model>): Response;
  /** The answer for an error, once what the handler saw is durable. */
  errorAnswer(
    error: unknown,
    request: Request,
    info: RequestInfo,
    seen: number,
  ): Promise<Response>;
}

/** A write that came as a request: the job for the writer, and the gate of its answer. */
class FetchWrite<Model, Event> implements WriteJob<Model, Event>, Gate {
  readonly response: Promise<Response>;
  readonly #host: FetchHost<Model, Event>;
  readonly #request: Request;
  readonly #info: RequestInfo;
  readonly #method: WriteMethod;
  #resolve: (response: Response | Promise<Response>) => void;
  #context: Writing<Event> | undefined;
  #answer: Response | undefined;

  constructor(
    host: FetchHost<Model, Event>,
    request: Request,
    info: RequestInfo,
    method: WriteMethod,
  ) {
    this.#host = host;
    this.#request = request;
    this.#info = info;
    this.#method = method;
    this.#resolve = () => {}; // The promise calls back before its constructor returns.
    this.response = new Promise((resolve) => this.#resolve = resolve);
  }

  get signal(): AbortSignal {
    return this.#info.signal;
  }

  handle(model: DeepReadonly<Model>, saveEvent: SaveEvent<Event>): unknown {
    const { app, waitUntil } = this.#host;
    this.#context = new Writing(this.#method, this.#info, saveEvent, waitUntil);
    return app.handleRequest(this.#request, model, this.#context);
  }

  check(answer: unknown): void {
    checkResponse(answer, "a write handler must answer with a Response, or a function");
  }

  interrupt(reason: HttpError): void {
    this.#context?.interrupt(reason);
  }

  done(outcome: WriteOutcome<Model>): void {
    if (!outcome.ok) {
      this.refuse(outcome.error, outcome.sequence);
      return;
    }
    // `check` has seen to it that it is a response.
    this.#answer = this.#host.gated(outcome.answer as Response, this.#info, outcome.version);
    this.#host.commits.whenDurable(outcome.sequence, this);
  }

  open(lost: HttpError | undefined): void {
    if (lost === undefined && this.#answer !== undefined) this.#resolve(this.#answer);
    else this.refuse(lost);
  }

  /** Answers with the page for `error`, once all up to `seen` is durable. */
  refuse(error: unknown, seen = 0): void {
    this.#resolve(this.#host.errorAnswer(error, this.#request, this.#info, seen));
  }
}

/** What is known of a request that came from no server. */
class OwnInfo implements RequestInfo {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  get remoteAddress(): undefined {
    return undefined;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }
}

function closing(): HttpError {
  return refusal(503, "the engine is closed");
}

function closed(): AlcedoError {
  return new AlcedoError("engine_closed", "Cannot use the engine: it is closed");
}

/** Whether `value` is a Response; servers replace the class, so its name must do. */
function isResponse(value: unknown): value is Response {
  return typeof value === "object" && value !== null && Symbol.toStringTag in value &&
    value[Symbol.toStringTag] === "Response";
}

/** @throws {TypeError} if `value` is no Response. */
function checkResponse(value: unknown, expectation: string): asserts value is Response {
  if (!isResponse(value)) {
    throw new TypeError(`Cannot answer: ${expectation}, not ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null
    ? `an object of class ${value.constructor?.name}`
    : typeof value === "function"
    ? "a function"
    : String(value);
}
