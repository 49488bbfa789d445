/**
 * Replays a log to see whether it always gives the same model: twice, in different batches, and
 * compared with the newest snapshot. What `events verify --app` asks.
 *
 * It holds no more than two models at a time. What can be looked at without a log is looked at in
 * `check_app.ts`.
 */

import type { App } from "./app.ts";
import { type AppProblem, ONLY_EVENTS } from "./check_app.ts";
import type { ModelCodec } from "./codec.ts";
import { AlcedoError, messageOf } from "./errors.ts";
import type { EventBatch, EventLog, Snapshot } from "./log/event_log.ts";
import { modelCodec } from "./model_codec.ts";
import { type Difference, firstDifference } from "./model_difference.ts";
import { callUpdate } from "./models.ts";
import { codecOf, decodeEvent, decodeTogether, replay, type ReplayProgress } from "./replay.ts";

/** Options of {@linkcode verifyApp}. */
export interface VerifyAppOptions {
  /** Called with how much of the log has been replayed: it is gone over twice. */
  onProgress?: (progress: ReplayProgress) => void;
}

/** What {@linkcode verifyApp} has found. */
export interface VerifiedApp {
  /** What is not as it must be; an empty array is good news. */
  readonly problems: readonly AppProblem[];
  /** Up to which sequence the log was replayed. */
  readonly sequence: number;
  /** The sequence of the snapshot that was compared, if there is one of this `modelVersion`. */
  readonly snapshot: number | undefined;
}

/**
 * So many events at the beginning are applied one by one, and as many after them commit by commit,
 * as they once were: the model is small there, and copies of it are cheap.
 */
const SINGLE_EVENTS = 4096;

/**
 * Replays `log` twice, and tells what differs: between the two, and from the newest snapshot that
 * is of the application's `modelVersion`.
 *
 * It finds an `updateModel` that looks at the clock, at random numbers, or at what another call has
 * left behind, and one that treats a batch otherwise than its events. It cannot find what differs
 * between days, machines or versions of a runtime: for that, keep a snapshot from there.
 *
 * @throws {AlcedoError} `log_unreadable` if the log's bytes are not what was written.
 */
export async function verifyApp<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  options: VerifyAppOptions = {},
): Promise<VerifiedApp> {
  const run = new Verification(app, log, options);
  await run.verify();
  const { problems, until: sequence, snapshot } = run;
  return { problems, sequence, snapshot };
}

/** How a replay divides batches: where its pieces end, if `done` events came before. */
type Division = (batch: EventBatch, done: number) => Iterable<number>;

/** As a start does. */
const whole: Division = ({ count }) => [count];

/** As nothing else does: singly, by commits, then in two parts that are not halves. */
const inPieces: Division = function* ({ count, commitOf }, done) {
  if (done >= 2 * SINGLE_EVENTS) {
    if (count > 1) yield Math.ceil(count / 3);
  } else {
    for (let i = 1; i < count; i++) {
      if (done + i < SINGLE_EVENTS || commitOf[i] !== commitOf[i - 1]) yield i;
    }
  }
  yield count;
};

/** `updateModel` or the codec threw. */
class Thrown extends Error {}

class Verification<Model, Event> {
  readonly problems: AppProblem[] = [];
  readonly until: number;
  /** The sequence of the snapshot that was compared. */
  snapshot: number | undefined;
  readonly #app: App<Model, Event>;
  readonly #log: EventLog;
  readonly #options: VerifyAppOptions;
  /** Events and bytes of the replays before. */
  #events = 0;
  #bytes = 0;

  constructor(app: App<Model, Event>, log: EventLog, options: VerifyAppOptions) {
    this.#app = app;
    this.#log = log;
    this.#options = options;
    this.until = log.durable;
  }

  /** Notes the problems; after some of them there is nothing more to find. */
  async verify(): Promise<void> {
    try {
      await this.#compareReplays();
    } catch (error) {
      if (!(error instanceof Thrown)) throw error;
      this.problems.push(await this.#explain(error));
    }
  }

  async #compareReplays(): Promise<void> {
    const first = this.#app.initModel();
    const copy = copyOfShared(first, this.#app.initModel());
    const there = await this.#replayToSnapshot({ model: first, sequence: 0 });
    const model = await this.#replay(there, this.until, whole);
    if (copy !== undefined && firstDifference(first, copy.value) !== undefined) {
      return this.#note(
        "shared first model",
        "initModel returns the same object at each call, and updateModel changes it; return a new " +
          "one",
      );
    }
    const difference = await this.#differenceAfter(model, inPieces);
    if (difference === undefined) return;
    // Is it the pieces, or would any replay differ?
    const again = await this.#differenceAfter(model, whole);
    if (again === undefined) {
      this.#note(
        "batch differs",
        `a replay in other batches gave another model: ${said(difference)}; updateModel must ` +
          `treat a batch as it treats its events one by one`,
      );
    } else {
      this.#note(
        "not deterministic",
        `a second replay gave another model: ${said(again)}; ${ONLY_EVENTS}`,
      );
    }
  }

  /** Replays up to the newest snapshot, if there is one, and compares. */
  async #replayToSnapshot(from: Place<Model>): Promise<Place<Model>> {
    const { modelVersion, modelCodec: codec = modelCodec } = this.#app;
    if (modelVersion === undefined) return from;
    const snapshot = this.#log.snapshot?.(modelVersion);
    if (snapshot === undefined || snapshot.sequence > this.until) return from;
    const { sequence } = snapshot;
    this.snapshot = sequence;
    const model = await this.#replay(from, sequence, whole);
    const fault = faultOfSnapshot(snapshot, model, codec);
    if (fault !== undefined) {
      const unit = this.#log.counts === "events" ? "event" : "commit";
      this.#note("snapshot differs", `the snapshot after ${unit} ${sequence} ${fault}`);
    }
    return { model, sequence };
  }

  /** Replays once more, from the first model on, and compares. */
  async #differenceAfter(model: Model, division: Division): Promise<Difference | undefined> {
    awaitNextMillisecond();
    const from = { model: this.#app.initModel(), sequence: 0 };
    return firstDifference(model, await this.#replay(from, this.until, division));
  }

  /** @throws {Thrown} if `updateModel` or the codec does. */
  async #replay(from: Place<Model>, until: number, division: Division): Promise<Model> {
    const codec = codecOf(this.#app);
    let { model } = from;
    let done = 0;
    let bytes = 0;
    for await (const batch of this.#log.read(until, from.sequence)) {
      try {
        // What `decodeBatch` does is to be compared, too.
        const together = division === whole ? decodeTogether(codec, batch) : undefined;
        const events = together ??
          Array.from({ length: batch.count }, (_, i) => decodeEvent(codec, batch, i));
        let at = 0;
        for (const end of division(batch, done)) {
          model = callUpdate(this.#app, model, events.slice(at, end));
          at = end;
        }
      } catch (cause) {
        throw new Thrown(messageOf(cause), { cause });
      }
      done += batch.count;
      bytes = batch.offset + (batch.bounds[2 * batch.count - 1] ?? 0);
      this.#tell(done, bytes);
    }
    this.#events += done;
    if (until === this.until) this.#bytes += this.#log.durableBytes;
    return model;
  }

  #tell(events: number, bytes: number): void {
    const bytesTotal = 2 * this.#log.durableBytes;
    this.#options.onProgress?.({
      events: this.#events + events,
      // A third replay is rare: it has to wait at the end.
      bytes: Math.min(bytesTotal, this.#bytes + bytes),
      bytesTotal,
    });
  }

  /** Says which event it was that something threw on, as a start would say it. */
  async #explain(thrown: Thrown): Promise<AppProblem> {
    // From the first event on: a snapshot would hide what comes before it.
    const { modelVersion: _, ...app } = this.#app;
    let warning: string | undefined;
    try {
      await replay(app, this.#log, this.until, { warn: (message) => warning = message });
    } catch (error) {
      if (!(error instanceof AlcedoError) || error.code !== "bad_event") throw error;
      return { code: "bad event", message: error.message };
    }
    return {
      code: "batch differs",
      message: warning ??
        `updateModel or the codec threw in a replay, but not in another one: ${thrown.message}`,
    };
  }

  #note(code: AppProblem["code"], message: string): void {
    this.problems.push({ code, message });
  }
}

/** A model, and the newest sequence that it shows. */
interface Place<Model> {
  readonly model: Model;
  readonly sequence: number;
}

/**
 * Until the clock that `updateModel` could look at says something else than now: two replays of a
 * short log may end within a millisecond.
 */
function awaitNextMillisecond(): void {
  const now = Date.now();
  while (Date.now() === now);
}

/** A copy of the first model, if there is only one of it, and it can be copied. */
function copyOfShared<Model>(first: Model, second: Model): { value: Model } | undefined {
  if (typeof first !== "object" || first === null || first !== second) return undefined;
  try {
    return { value: structuredClone(first) };
  } catch {
    return undefined; // It holds functions, and so may be more than a value.
  }
}

/** Says why a snapshot is not the model after a replay, if it is not. */
function faultOfSnapshot<Model>(
  snapshot: Snapshot,
  model: Model,
  codec: ModelCodec<Model>,
): string | undefined {
  let kept: Model;
  try {
    kept = codec.decode(snapshot.model);
  } catch (error) {
    return `cannot be decoded: ${messageOf(error)}; remove it, or mend modelCodec`;
  }
  const difference = firstDifference(kept, model);
  if (difference === undefined) return undefined;
  const { path, left, right } = difference;
  return `is not what a replay gives: ${path} is ${left} there, and ${right} after a replay; give ` +
    `modelVersion another value whenever initModel, updateModel or the codec changes, and make ` +
    `the snapshot anew`;
}

function said({ path, left, right }: Difference): string {
  return `${path} is ${left} after the one, and ${right} after the other`;
}
