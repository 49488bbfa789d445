/**
 * Finds what an application must not do and no type can forbid: for tests.
 */

import { equal } from "#std/assert/equal";
import type { App } from "./app.ts";
import type { EventBatch } from "./log/event_log.ts";
import { firstDifference } from "./model_difference.ts";
import { callUpdate } from "./models.ts";
import { codecOf, decodeTogether } from "./replay.ts";

/** Something that an application does and must not. */
export interface AppProblem {
  /** Which of the rules it breaks. */
  readonly code:
    /** An event does not come back from the codec as it went in, alone or in a batch. */
    | "codec"
    /** `updateModel` threw. */
    | "throws"
    /** A new model was returned, but the old one changed too. */
    | "old model changed"
    /** Applying a batch differs from applying its events one by one. */
    | "batch differs"
    /** Applying the same events twice gives different models. */
    | "not deterministic"
    /** `initModel` returns the same object at each call, and it is changed in place. */
    | "shared first model"
    /** An event of the log cannot be decoded or applied. */
    | "bad event"
    /** A snapshot is not the model that a replay of the log gives. */
    | "snapshot differs";
  /** What was seen, in a sentence. */
  readonly message: string;
  /** The index of the event, where it is one event's fault. */
  readonly event?: number;
}

/** What keeps a model the same in every replay. */
export const ONLY_EVENTS: string =
  "updateModel must look at nothing but the model and the events: no clock, no random numbers, no " +
  "other state";

/**
 * Applies `events` to `app` in several ways, and returns what differs that must not: an empty
 * array is good news. The model must be one that `structuredClone` takes.
 *
 * @example
 * ```ts
 * assert.deepEqual(checkApp(app, [{ deposit: 10 }, { withdraw: 3 }]), []);
 * ```
 */
export function checkApp<Model, Event>(
  app: App<Model, Event>,
  events: readonly NoInfer<Event>[],
): AppProblem[] {
  const problems: AppProblem[] = [];
  const decoded = throughCodec(app, events, problems);
  try {
    checkDecodeBatch(app, events, decoded, problems);
    checkFirstModel(app, decoded, problems);
    const singly = applySingly(app, decoded, problems);
    const again = applySingly(app, throughCodec(app, events, []), []);
    if (!equal(singly, again)) {
      problems.push({
        code: "not deterministic",
        message: `applying the same events a second time gave another model` +
          `${where(singly, again)}; ${ONLY_EVENTS}`,
      });
    }
    checkBatches(app, events, singly, problems);
  } catch (error) {
    if (!(error instanceof Thrown)) throw error;
    problems.push({
      code: "throws",
      message: `updateModel threw on event ${error.event}: ${error.message}`,
      event: error.event,
    });
  }
  return problems;
}

/** `updateModel` threw on an event. */
class Thrown extends Error {
  readonly event: number;

  constructor(event: number, cause: unknown) {
    super(String(cause), { cause });
    this.event = event;
  }
}

/** The events as a replay would see them. */
function throughCodec<Model, Event>(
  app: App<Model, Event>,
  events: readonly Event[],
  problems: AppProblem[],
): Event[] {
  const codec = codecOf(app);
  return events.map((event, i) => {
    const copy = codec.decode(codec.encode(event).slice());
    if (!equal(copy, event)) {
      problems.push({
        code: "codec",
        message: `event ${i} does not come back from the codec as it went in`,
        event: i,
      });
    }
    return copy;
  });
}

/** Looks whether the codec decodes a batch as it decodes its events. */
function checkDecodeBatch<Model, Event>(
  app: App<Model, Event>,
  events: readonly Event[],
  decoded: readonly Event[],
  problems: AppProblem[],
): void {
  const codec = codecOf(app);
  if (codec.decodeBatch === undefined || events.length === 0) return;
  const together = decodeTogether(
    codec,
    batchOf(events.map((event) => codec.encode(event).slice())),
  );
  // A batch that throws is decoded event by event.
  if (together === undefined || equal(together, decoded)) return;
  problems.push({
    code: "codec",
    message: "decodeBatch gives other events than decode, one by one; it must turn old events " +
      "into new ones as decode does",
  });
}

/** Encoded events, each a commit, as a log hands them out. */
function batchOf(events: readonly Uint8Array[]): EventBatch {
  const bytes = new Uint8Array(events.reduce((sum, event) => sum + event.length + 1, 1));
  const bounds = new Uint32Array(2 * events.length);
  let at = 1;
  for (const [i, event] of events.entries()) {
    bytes.set(event, at);
    bounds[2 * i] = at;
    bounds[2 * i + 1] = at + event.length;
    at += event.length + 1;
  }
  const commitOf = Uint32Array.from(events.keys());
  return { bytes, bounds, count: events.length, firstSequence: 1, commitOf, offset: 0 };
}

function checkFirstModel<Model, Event>(
  app: App<Model, Event>,
  events: readonly Event[],
  problems: AppProblem[],
): void {
  const first = app.initModel();
  if (typeof first !== "object" || first === null || first !== app.initModel()) return;
  const before = structuredClone(first);
  applySingly(app, events, []);
  if (!equal(first, before)) {
    problems.push({
      code: "shared first model",
      message: "initModel returns the same object at each call, and updateModel changes it; " +
        "return a new one",
    });
  }
}

/** The model after all events, one by one; looks whether models change behind new ones. */
function applySingly<Model, Event>(
  app: App<Model, Event>,
  events: readonly Event[],
  problems: AppProblem[],
): Model {
  const old: { model: Model; copy: Model; event: number }[] = [];
  let model = app.initModel();
  for (const [i, event] of events.entries()) {
    const copy = structuredClone(model);
    const after = update(app, model, [event], i);
    if (after !== model) old.push({ model, copy, event: i });
    model = after;
  }
  for (const { model, copy, event } of old) {
    if (equal(model, copy)) continue;
    problems.push({
      code: "old model changed",
      message: `the model before event ${event} changed, though the event made a new one`,
      event,
    });
    break; // The models after it share what changed.
  }
  return model;
}

/** Looks whether batches of several sizes give the model that single events give. */
function checkBatches<Model, Event>(
  app: App<Model, Event>,
  events: readonly Event[],
  singly: Model,
  problems: AppProblem[],
): void {
  const sizes = [events.length, 2, 3, 7, Math.ceil(events.length / 2)];
  for (const size of new Set(sizes.filter((size) => size > 1 && size <= events.length))) {
    const batch = throughCodec(app, events, []);
    let model = app.initModel();
    for (let i = 0; i < batch.length; i += size) {
      model = update(app, model, batch.slice(i, i + size), i);
    }
    if (equal(model, singly)) continue;
    problems.push({
      code: "batch differs",
      message: `batches of ${size} events gave another model than the events one by one` +
        where(model, singly),
    });
    return;
  }
}

/** Says where two models differ, if that can be seen. */
function where(model: unknown, other: unknown): string {
  const difference = firstDifference(model, other);
  if (difference === undefined) return "";
  const { path, left, right } = difference;
  return `: ${path} is ${left} after the one, and ${right} after the other`;
}

function update<Model, Event>(
  app: App<Model, Event>,
  model: Model,
  events: readonly Event[],
  index: number,
): Model {
  try {
    return callUpdate(app, model, events);
  } catch (cause) {
    throw new Thrown(index, cause);
  }
}
