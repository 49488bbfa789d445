/**
 * What runs an application, without a socket and without a file: servers call `fetch`, others
 * `read` and `write`, and the log is given.
 *
 * It puts together the state (`store.ts`) and what answers requests (`http/app_handler.ts`).
 */

import type { App, DeepReadonly, SaveEvent, WriteAnswer } from "./app.ts";
import { faultOfApp } from "./app.ts";
import type { Changes } from "./change_consumer.ts";
import { ChangeHub, type ChangesOptions } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { AlcedoError, type HttpError } from "./errors.ts";
import { AppHandler } from "./http/app_handler.ts";
import type { RequestInfo } from "./http/fetch_handler.ts";
import { Lifecycle } from "./http/lifecycle.ts";
import { BODY_BYTES_MAX, REQUEST_TIMEOUT_MS, WRITE_QUEUE_MAX } from "./limits.ts";
import { type EventLog, mayLose } from "./log/event_log.ts";
import { formatPosition } from "./log/position.ts";
import { isPromise } from "./models.ts";
import { codecOf, type OnBadEvent, type ReplayProgress } from "./replay.ts";
import { openStore, type Store } from "./store.ts";

/**
 * Options of {@linkcode openEngine}. The public ones are those of `adapters/open_engine.ts`.
 *
 * @internal
 */
export interface EngineOptions {
  /** Where the events are. The engine closes it, also when it cannot be opened. */
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
  /**
   * What becomes of an event in the log that can no longer be decoded or applied: `stop`, and the
   * engine does not open; `skip`, and the model is without the commit that has it (in a plain
   * log: without the event). A warning says which, and health how many.
   * @default {"stop"}
   */
  onBadEvent?: OnBadEvent;
  /**
   * Called while the log is replayed. What it returns is waited for: a replay does not let the event
   * loop turn by itself.
   */
  onProgress?: (progress: ReplayProgress) => void | Promise<void>;
}

/** What {@linkcode Engine.read} gives to its function. */
export interface ReadTools {
  /**
   * The position that the model shows at this moment: `changes` from it have all that comes
   * after, and nothing that the model already shows.
   */
  readonly position: string;
}

/** What {@linkcode Engine.write} gives to its function. */
export interface WriteTools<Event> {
  /** Saves an event as part of the write. */
  readonly saveEvent: SaveEvent<Event>;
}

/** What {@linkcode Engine.write} resolves with, once the write is durable. */
export interface Written<Result> {
  /** What the function returned. */
  readonly result: Result;
  /** The position in the log after the write. */
  readonly position: string;
}

/** How an engine is. */
export interface Health {
  /**
   * `disk full`: writes are refused until there is room. `read-only`, with the reason: the log
   * failed, or was opened to be read; writes are refused until a restart. `unavailable`: the
   * model could not be built again.
   */
  readonly state: "ok" | "disk full" | `read-only: ${string}` | "unavailable" | "closed";
  /** What a loss of power may undo although it was acknowledged; `undefined` if nothing. */
  readonly mayLose: string | undefined;
  /** The sequence of the newest commit that was applied. */
  readonly applied: number;
  /** The sequence of the newest durable commit. */
  readonly durable: number;
  /** The position after the newest durable commit. */
  readonly position: string;
  /** Durable bytes of the log. */
  readonly logBytes: number;
  /**
   * The snapshot with which a start would begin now: the newest commit that it shows, and how many
   * milliseconds ago it was made. `undefined` if there is none.
   */
  readonly snapshot: { readonly sequence: number; readonly ageMs: number } | undefined;
  /** How often the log was appended to: commits share appends. */
  readonly flushes: number;
  /** How many commits have become durable since the log was opened. */
  readonly commits: number;
  /** Writes that wait for their turn. */
  readonly writesWaiting: number;
  /** How often an in-place model had to be built again. */
  readonly rebuilds: number;
  /**
   * How many commits (in a plain log: events) the model is without, because an event of each
   * could not be decoded or applied, and `onBadEvent` is `skip`.
   */
  readonly badEvents: number;
}

/** An application as a handler for servers. */
export interface EngineFetch {
  (request: Request, info?: RequestInfo): Response | Promise<Response>;
  /** The application's page for a request that a server refuses; no lifecycle step sees it. */
  refuse(error: HttpError, request: Request, info?: RequestInfo): Promise<Response>;
  /** Whether it looks at the time of bodies by itself: where no lifecycle step sees them before. */
  readonly timesReads: boolean;
}

/** A running application without a socket. */
export interface Engine<Model, Event> extends AsyncDisposable {
  /** Answers a request as a server would get it answered. Never rejects. */
  readonly fetch: EngineFetch;
  /**
   * Calls `look` with the newest durable model (in place: the newest one), and resolves with
   * what it returned once all that it could have seen is durable.
   *
   * @throws {HttpError} 503 if there is no model to look at; 507 or 503 if what was seen is
   * lost. What `look` throws is passed on.
   */
  read<Result>(
    look: (model: DeepReadonly<Model>, tools: ReadTools) => Result | Promise<Result>,
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
  /**
   * Follows the log: the durable commits after position `from`, or all of them, then those that
   * are still to come, in order, without gap or repeat, also across restarts. Each is handed out
   * when it is asked for; a consumer that leaves one lying for a minute is ended, and can go on
   * from where it was.
   *
   * A position comes from a change, from {@linkcode write}, {@linkcode read} or
   * {@linkcode health}. To follow what changes in a model, `read` the model and its position.
   *
   * @throws {AlcedoError} `unknown_position` if `from` is of another history than this log, or
   * beyond its end: then the model must be read anew. `bad_position` if it is no position.
   *
   * @example
   * ```ts
   * for await (const { events, position } of engine.changes(last)) {
   *   await tell(events);
   *   last = position;
   * }
   * ```
   */
  changes(from?: string, options?: ChangesOptions): Changes<Event>;
  /** How it is, at this moment. */
  health(): Health;
  /**
   * Refuses what comes from now on, waits for what is in flight, stops the lifecycle, and closes
   * the log. Calling it again returns the same promise.
   */
  close(): Promise<void>;
}

/**
 * Opens an application on a log: replays the log's events, starts the lifecycle, and is then ready
 * for requests.
 *
 * @throws {TypeError} if `app` is no application.
 * @throws {AlcedoError} `bad_event` if an event of the log can no longer be applied;
 * `start_failed` if the lifecycle cannot be started.
 */
export async function openEngine<Model, Event>(
  app: App<Model, Event>,
  options: EngineOptions,
): Promise<Engine<Model, Event>> {
  const { requestTimeoutMs: timeoutMs = REQUEST_TIMEOUT_MS, writeQueueMax = WRITE_QUEUE_MAX } =
    options;
  let engine: RunningEngine<Model, Event>;
  try {
    const fault = faultOfApp(app);
    if (fault !== undefined) throw new TypeError(`Cannot open engine: ${fault}`);
    const { log, clock, report } = options;
    const { onBadEvent = "stop" } = options;
    const changes = new ChangeHub({ log, clock, report, codec: codecOf(app), onBadEvent });
    const onDurable = changes.offer.bind(changes);
    const parts = { ...options, app, timeoutMs, writeQueueMax, onDurable };
    const store = await openStore(parts, options);
    engine = new RunningEngine(app, store, changes, options, timeoutMs);
  } catch (error) {
    await options.log.close();
    throw error;
  }
  await engine.start();
  return engine;
}

class RunningEngine<Model, Event> implements Engine<Model, Event> {
  readonly fetch: Engine<Model, Event>["fetch"];
  readonly #store: Store<Model, Event>;
  readonly #handler: AppHandler<Model, Event>;
  readonly #lifecycle: Lifecycle<Model, Event>;
  readonly #changes: ChangeHub<Event>;
  readonly #log: EventLog;
  readonly #modelVersion: string | undefined;
  readonly #report: (error: unknown) => void;
  /** What `waitUntil` was given and has not settled. */
  readonly #background = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  /** Whether it cannot be used any more, also by the lifecycle. */
  #isClosed = false;

  constructor(
    app: App<Model, Event>,
    store: Store<Model, Event>,
    changes: ChangeHub<Event>,
    options: EngineOptions,
    timeoutMs: number,
  ) {
    const { log, clock, report, bodyBytesMax = BODY_BYTES_MAX } = options;
    const waitUntil = (promise: Promise<unknown>) => this.#keepOpenFor(promise);
    const parts = { app, store, clock, report, bodyBytesMax, timeoutMs, waitUntil };
    const handler = new AppHandler(parts);
    const lifecycle = new Lifecycle({ ...parts, host: handler });
    this.#lifecycle = lifecycle;
    this.#store = store;
    this.#handler = handler;
    this.#changes = changes;
    this.#log = log;
    this.#modelVersion = app.modelVersion;
    this.#report = report;
    // A property, not a method: it is handed to servers by itself.
    const answerer = lifecycle.seesRequests ? lifecycle : handler;
    this.fetch = Object.assign(
      (request: Request, info: RequestInfo = new OwnInfo(request)) => answerer.fetch(request, info),
      {
        refuse: (error: HttpError, request: Request, info: RequestInfo = new OwnInfo(request)) =>
          handler.answerError(error, request, info),
        timesReads: !lifecycle.seesRequests,
      },
    );
  }

  /** Starts the lifecycle; closes the engine if it cannot. */
  async start(): Promise<void> {
    try {
      await this.#lifecycle.start(this);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async read<Result>(
    look: (model: DeepReadonly<Model>, tools: ReadTools) => Result | Promise<Result>,
  ): Promise<Result> {
    if (this.#isClosed) throw closed();
    const version = await this.#store.readable();
    const { history } = this.#log;
    const tools: ReadTools = {
      get position(): string {
        return formatPosition(history, version.sequence);
      },
    };
    try {
      return await look(version.model as DeepReadonly<Model>, tools);
    } finally {
      // An error says what was seen, too. If that is lost, this is what is thrown.
      await this.#store.durable(version);
    }
  }

  write<Result>(
    change: (
      model: DeepReadonly<Model>,
      tools: WriteTools<Event>,
    ) => WriteAnswer<Model, Result> | Promise<WriteAnswer<Model, Result>>,
  ): Promise<Written<Result>> {
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#store.submit({
        signal: undefined,
        handle: (model, saveEvent) => change(model, { saveEvent }),
        check(answer): void {
          if (isPromise(answer)) {
            throw new TypeError("Cannot write: the function that makes the result is asynchronous");
          }
        },
        interrupt: () => {},
        answered: (answer, _version, sequence) => {
          const result = answer as Result; // What `change` answered, or its function made.
          const position = formatPosition(this.#log.history, sequence);
          this.#store.durableAt(sequence).then(() => resolve({ result, position }), reject);
        },
        // An error says what the handler saw, so it waits as an answer does.
        failed: (error, sequence) => {
          this.#store.durableAt(sequence).then(() => reject(error), reject);
        },
      });
    });
  }

  changes(from?: string, options: ChangesOptions = {}): Changes<Event> {
    if (this.#closing !== undefined) throw closed();
    return this.#changes.follow(from, options);
  }

  health(): Health {
    const { figures, state } = this.#store;
    return {
      state: this.#closing === undefined ? state : "closed",
      mayLose: mayLose(this.#log.durability ?? "always"),
      ...figures,
      position: formatPosition(this.#log.history, figures.durable),
      logBytes: this.#log.durableBytes,
      snapshot: this.#snapshot(),
    };
  }

  #snapshot(): Health["snapshot"] {
    if (this.#modelVersion === undefined || this.#closing !== undefined) return undefined;
    const newest = this.#log.newestSnapshot?.(this.#modelVersion);
    return newest && { sequence: newest.sequence, ageMs: Math.max(0, Date.now() - newest.time) };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // First: answers and background work that follow the log would never end.
    const followed = this.#changes.close();
    if (!this.#lifecycle.isEmpty) await this.#endLifecycle();
    this.#isClosed = true;
    this.#handler.close();
    await this.#handler.settled();
    await this.#store.settled();
    await this.#backgroundSettled();
    this.#handler.stopTimers();
    this.#store.close();
    await followed;
    await this.#log.close();
  }

  /** Stops the steps when no request needs them any more, while they can still read and write. */
  async #endLifecycle(): Promise<void> {
    await this.#lifecycle.close();
    this.#handler.close();
    await this.#handler.settled();
    await this.#backgroundSettled();
    await this.#lifecycle.stop(this);
  }

  async #backgroundSettled(): Promise<void> {
    while (this.#background.size > 0) await Promise.allSettled(this.#background);
  }

  #keepOpenFor(promise: Promise<unknown>): void {
    const settled = Promise.resolve(promise).catch(this.#report)
      .finally(() => this.#background.delete(settled));
    this.#background.add(settled);
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

function closed(): AlcedoError {
  return new AlcedoError("engine_closed", "Cannot use the engine: it is closed");
}
