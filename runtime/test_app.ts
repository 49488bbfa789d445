/**
 * An application in a test's hand: events are given, a request is made, and what it answers, saves
 * and makes of the model can be compared. Clock and randomness are the test's.
 *
 * It knows no test runner and no assertions: what an application must not do is thrown. It stands on
 * a real engine, on a log in memory; the globals that handlers look at are in `replaced_globals.ts`.
 */

import { type App, type DeepReadonly, faultOfApp } from "./app.ts";
import type { Codec } from "./codec.ts";
import { type Engine, openEngine } from "./engine.ts";
import { AlcedoError, assert, HttpError } from "./errors.ts";
import { isWriteMethod } from "./http/methods.ts";
import { REQUEST_TIMEOUT_MS } from "./limits.ts";
import { type EventLog, sizeInCommit, type StoredCommit } from "./log/event_log.ts";
import { memoryLog } from "./log/memory_log.ts";
import { parsePosition } from "./log/position.ts";
import { modelCodec } from "./model_codec.ts";
import { codecOf } from "./replay.ts";
import { ReplacedGlobals, type Shown } from "./replaced_globals.ts";
import { badApplication, faithful, saidDifference, SecondRun } from "./second_run.ts";
import { TestClock } from "./test_clock.ts";

/** Options of {@linkcode testApp}. */
export interface TestAppOptions<Event> {
  /**
   * What has happened before: each event is a commit of its own.
   * @default {[]}
   */
  given?: readonly Event[];
  /**
   * The time of day at the beginning: milliseconds since 1970, or what `Date.parse` takes.
   * @default {"2000-01-01T00:00:00Z"}
   */
  now?: string | number | Date;
  /**
   * What all random numbers follow from: the same seed gives the same ones.
   * @default {1}
   */
  seed?: number;
  /**
   * Called with each fault of the application: what a handler threw that is no `HttpError` below
   * 500. The answer is then looked at as a client gets it. Without it, a request rejects with what
   * its handler threw, unless that is an `HttpError`.
   */
  report?: (error: unknown) => void;
}

/** What came of a request to a {@linkcode TestedApp}. */
export interface TestAnswer<Model, Event> {
  /** The answer as a client gets it. */
  readonly response: Response;
  /** What it saved, as the codec decodes it; nothing if the write failed. */
  readonly events: readonly Event[];
  /** The model after it. One that is changed in place moves on with the next write. */
  readonly model: DeepReadonly<Model>;
}

/** An application in a test's hand: what {@linkcode testApp} makes. */
export interface TestedApp<Model, Event> extends AsyncDisposable {
  /** The model as it is now. */
  readonly model: DeepReadonly<Model>;
  /** The engine that runs it, another one after a restart: for what timers and sockets do with it. */
  readonly engine: Engine<Model, Event>;
  /**
   * Makes a request as `fetch` would; `target` may be a path. Writes are made one after the other,
   * in the order of the calls. The time stands still meanwhile, unless {@linkcode advance} is called.
   *
   * @throws what the handler threw, unless that is an `HttpError`, or `report` was given.
   * @throws {AlcedoError} `bad_application` if the application does what it must not: what
   * `checkApp` finds, or if the events, applied once more, make another model.
   */
  request(target: string | URL | Request, init?: RequestInit): Promise<TestAnswer<Model, Event>>;
  /**
   * Lets `ms` milliseconds pass, and with them the deadlines of requests that wait.
   *
   * @throws {RangeError} if that is no duration.
   */
  advance(ms: number): Promise<void>;
  /**
   * Starts the application anew, on the log that it has written.
   *
   * @throws {AlcedoError} `bad_application` if that gives another model than before, or a
   * snapshot of it would.
   */
  restart(): Promise<void>;
  /**
   * Closes the engine: what is in flight runs out of time, and what was given to `waitUntil` ends.
   *
   * @throws what failed behind an answer, unless `report` was given.
   */
  close(): Promise<void>;
}

/** What paths are relative to. */
const ORIGIN = "http://localhost/";

/**
 * Opens an application for a test: given these events, when a request is made, then it answers,
 * saves and knows what the test expects.
 *
 * While a request is handled, `Date`, `Temporal.Now`, `Math.random`, `crypto.randomUUID` and
 * `crypto.getRandomValues` are the test's, in all of the process; then they are as they were. The
 * engine's own deadlines are the test's, too. Requests of several tested applications wait for each other. What a
 * handler leaves running behind its answer, and what it imports from a platform, has the real ones;
 * timers are real.
 *
 * All events are applied a second time beside the engine, at another time and with other random
 * numbers: an `updateModel` that looks at them is found out, and so is all that `checkApp` finds (if
 * `structuredClone` takes the model).
 *
 * @throws {TypeError} if `app` is no application.
 * @throws {RangeError} if `now` is no time.
 * @throws {AlcedoError} `bad_application` if the given events show that it does what it must not.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { defineApp, testApp } from "alcedo";
 *
 * const app = defineApp({
 *   initModel: () => 0,
 *   updateModel: (sum, events: readonly { add: number }[]) =>
 *     events.reduce((sum, { add }) => sum + add, sum),
 *   handleRequest: (_request, sum, { saveEvent }) => {
 *     saveEvent?.({ add: 1 });
 *     return new Response(`it was ${sum}`);
 *   },
 * });
 *
 * await using counter = await testApp(app, { given: [{ add: 20 }, { add: 21 }] });
 * const { response, events, model } = await counter.request("/", { method: "POST" });
 * assert.equal(await response.text(), "it was 41");
 * assert.deepEqual(events, [{ add: 1 }]);
 * assert.equal(model, 42);
 * ```
 */
export async function testApp<Model, Event>(
  app: App<Model, Event>,
  options: TestAppOptions<NoInfer<Event>> = {},
): Promise<TestedApp<Model, Event>> {
  const fault = faultOfApp(app);
  if (fault !== undefined) throw new TypeError(`Cannot test application: ${fault}`);
  const tested = new Tested(app, options);
  await tested.open(options.given ?? []);
  return tested;
}

class Tested<Model, Event> implements TestedApp<Model, Event> {
  readonly #app: App<Model, Event>;
  readonly #codec: Codec<Event>;
  readonly #report: (error: unknown) => void;
  readonly #log: EventLog = memoryLog();
  readonly #clock = new TestClock();
  readonly #here: Shown;
  /** What another run would see: another time at each look, and other random numbers. */
  readonly #elsewhere: Shown;
  readonly #globals: ReplacedGlobals;
  /** What is to be thrown when the request is over. */
  readonly #faults: unknown[] = [];
  /** The same events, applied once more. */
  readonly #again: SecondRun<Model, Event>;
  #model: Model;
  #engine: Engine<Model, Event> | undefined;
  #lastWrite: Promise<void> = Promise.resolve();
  #requests = 0;
  #closing: Promise<void> | undefined;

  constructor(app: App<Model, Event>, options: TestAppOptions<Event>) {
    const { now = "2000-01-01T00:00:00Z", seed = 1, report } = options;
    const start = new Date(now).getTime();
    if (Number.isNaN(start)) throw new RangeError(`Cannot test application: "${now}" is no time`);
    let looks = 0;
    const time = () => start + this.#clock.now();
    this.#here = { now: time, random: randomFrom(seed) };
    this.#elsewhere = { now: () => time() + ++looks, random: randomFrom(seed + 1) };
    this.#globals = new ReplacedGlobals(this.#here);
    this.#app = app;
    this.#codec = faithful(codecOf(app));
    this.#report = report ?? ((error) => {
      if (!(error instanceof HttpError)) this.#faults.push(error);
    });
    this.#again = new SecondRun(app);
    this.#model = this.#again.model;
  }

  get model(): DeepReadonly<Model> {
    return this.#model as DeepReadonly<Model>;
  }

  get engine(): Engine<Model, Event> {
    assert(this.#engine !== undefined, "a tested application is handed out when it is open");
    return this.#engine;
  }

  async open(given: readonly Event[]): Promise<void> {
    for (const event of given) {
      const bytes = this.#codec.encode(event).slice();
      await this.#log.append([{ events: [bytes], bytes: sizeInCommit(bytes) }]);
    }
    await this.#globals.during(async () => {
      refuse(await this.#follow(given.length));
      await this.#start();
      await this.#compare();
    });
    this.#throwFaults();
  }

  async request(
    target: string | URL | Request,
    init?: RequestInit,
  ): Promise<TestAnswer<Model, Event>> {
    if (this.#closing !== undefined) throw closed();
    const request = new Request(
      typeof target === "string" ? new URL(target, ORIGIN) : target,
      init,
    );
    const isWrite = isWriteMethod(request.method);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const before = this.#lastWrite;
    if (isWrite) this.#lastWrite = over;
    this.#requests++;
    try {
      if (isWrite) await before;
      return await this.#globals.during(() => this.#answer(request, isWrite));
    } finally {
      this.#requests--;
      end();
    }
  }

  async advance(ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Infinity)) throw new RangeError(`Cannot let ${ms} ms pass`);
    await this.#clock.advance(ms);
  }

  async restart(): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    if (this.#requests > 0) throw new Error("Cannot restart: await the requests before");
    await this.#globals.during(async () => {
      const before = await this.engine.read((model) => model as Model);
      await this.engine.close();
      await this.#start();
      refuse(saidDifference("a restart", before, await this.engine.read((model) => model)));
      await this.#compare();
      const { modelVersion, modelCodec: codec = modelCodec } = this.#app;
      if (modelVersion === undefined) return;
      const kept = codec.decode(codec.encode(this.#model));
      refuse(saidDifference("a snapshot", before, kept, "mend modelCodec"));
    });
    this.#throwFaults();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    let isClosed = false;
    const closing = this.engine.close().finally(() => isClosed = true);
    // First: what still waits may never end.
    this.#globals.release();
    do {
      await Promise.race([closing, this.#clock.advance(REQUEST_TIMEOUT_MS)]);
    } while (!isClosed && this.#clock.hasTimers);
    await closing;
    this.#throwFaults();
  }

  /** Opens the engine, as another process would. */
  async #start(): Promise<void> {
    this.#globals.shown = this.#elsewhere;
    try {
      this.#engine = await openEngine({ ...this.#app, codec: this.#codec }, {
        log: this.#log,
        clock: this.#clock,
        report: this.#report,
        warn: (message) => this.#report(badApplication(message)),
      });
    } finally {
      this.#globals.shown = this.#here;
    }
  }

  async #answer(request: Request, isWrite: boolean): Promise<TestAnswer<Model, Event>> {
    const before = this.#log.durable;
    const response = await this.engine.fetch(request);
    const commits = isWrite ? await this.#log.readCommits(before, Infinity) : [];
    const events = this.#decode(commits);
    this.#throwFaults();
    if (this.#closing === undefined) await this.#compare();
    return { response, events, model: this.model };
  }

  /** Looks at the newest model, and whether its events always make it. */
  async #compare(): Promise<void> {
    const { model, sequence } = await this.engine.read((model, { position }) => {
      return { model: model as Model, sequence: parsePosition(position)?.sequence ?? 0 };
    });
    this.#model = model;
    let problem = await this.#follow(sequence);
    // Otherwise somebody else writes meanwhile, and compares when that is done.
    if (this.engine.health().applied === sequence) {
      problem ??= this.#elsewise(() => this.#again.difference(model));
    }
    refuse(problem);
  }

  /** Applies the events up to this sequence once more; says what must not be. */
  async #follow(until: number): Promise<string | undefined> {
    const again = this.#again;
    const commits = await this.#log.readCommits(again.sequence, Infinity);
    const isNew = (sequence: number) => sequence > again.sequence && sequence <= until;
    const events = this.#decode(commits.filter(({ sequence }) => isNew(sequence)));
    return events.length === 0 ? undefined : this.#elsewise(() => again.apply(events, until));
  }

  #elsewise<Result>(work: () => Result): Result {
    this.#globals.shown = this.#elsewhere;
    try {
      return work();
    } finally {
      this.#globals.shown = this.#here;
    }
  }

  #decode(commits: readonly StoredCommit[]): Event[] {
    return commits.flatMap(({ events }) => events).map((bytes) => this.#codec.decode(bytes));
  }

  #throwFaults(): void {
    const faults = this.#faults.splice(0);
    if (faults.length > 1) throw new AggregateError(faults, "The application has several faults");
    if (faults.length === 1) throw faults[0];
  }
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw badApplication(problem);
}

function closed(): AlcedoError {
  return new AlcedoError("engine_closed", "Cannot use the tested application: it is closed");
}

/** Random numbers from 0 to below 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let t = state;
    t = Math.imul(t ^ t >>> 15, t | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}
