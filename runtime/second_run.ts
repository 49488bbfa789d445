/**
 * The events of a test, applied a second time beside its engine: what `updateModel` makes of anything
 * but the model and the events, another run makes otherwise. What is found is thrown.
 */

import { equal } from "#std/assert/equal";
import type { App } from "./app.ts";
import { type AppProblem, checkApp, ONLY_EVENTS } from "./check_app.ts";
import type { Codec } from "./codec.ts";
import { AlcedoError, messageOf } from "./errors.ts";
import { firstDifference } from "./model_difference.ts";
import { callUpdate } from "./models.ts";

/** So many events of a write, or given ones, go through `checkApp`: it copies the model for each. */
const CHECKED_MAX = 200;

/** A model that the events make one by one, and that no handler ever sees. */
export class SecondRun<Model, Event> {
  /** The newest sequence that the model shows. */
  sequence = 0;
  model: Model;
  readonly #app: App<Model, Event>;
  readonly #first: Model;

  constructor(app: App<Model, Event>) {
    this.#app = app;
    // Copies, because it may be one and the same object at each call.
    this.#first = ownCopy(app.initModel());
    this.model = ownCopy(app.initModel());
  }

  /**
   * Applies the events up to this sequence, in all the ways that must not matter.
   *
   * @throws {AlcedoError} `bad_application` if one of them does.
   */
  apply(events: readonly Event[], sequence: number): void {
    const before = copied(this.model);
    this.model = applySingly(this.#app, this.model, events);
    this.sequence = sequence;
    if (before !== undefined && copied(this.model) !== undefined) {
      const app = { ...this.#app, initModel: () => structuredClone(before.value) };
      refuse(checkApp(app, events.slice(0, CHECKED_MAX)));
    }
  }

  /**
   * Compares with what the engine made of the same events, and a first model with what it was.
   *
   * @throws {AlcedoError} `bad_application` if one is something else.
   */
  compare(model: Model): void {
    refuseDifference(
      "another initModel",
      this.#first,
      this.#app.initModel(),
      "it must return the same model at each call, and a new one, if updateModel changes it",
    );
    refuseDifference("a second time, the same events", model, this.model);
  }
}

/** A codec that refuses to encode what it would decode as something else. */
export function faithful<Event>(codec: Codec<Event>): Codec<Event> {
  return {
    encode(event) {
      const bytes = codec.encode(event);
      const { path, left, right } = firstDifference(event, codec.decode(bytes.slice())) ?? {};
      if (path === undefined) return bytes;
      throw badApplication(
        `an event does not come back from the codec as it went in: ` +
          `${path.replace("model", "event")} is ${left} before and ${right} after`,
      );
    },
    decode: (bytes) => codec.decode(bytes),
    ...(codec.decodeBatch && { decodeBatch: codec.decodeBatch.bind(codec) }),
  };
}

function applySingly<Model, Event>(
  app: App<Model, Event>,
  model: Model,
  events: readonly Event[],
): Model {
  for (const [i, event] of events.entries()) {
    try {
      model = callUpdate(app, model, [event]);
    } catch (cause) {
      throw badApplication(`updateModel threw on event ${i}: ${messageOf(cause)}`, cause);
    }
  }
  return model;
}

/** A copy of what is data alone: `checkApp` can do nothing with other models. */
function copied<Model>(model: Model): { readonly value: Model } | undefined {
  try {
    const value = structuredClone(model);
    return equal(value, model) ? { value } : undefined;
  } catch {
    return undefined; // It holds functions.
  }
}

function ownCopy<Model>(model: Model): Model {
  return copied(model)?.value ?? model;
}

function refuse(problems: readonly AppProblem[]): void {
  if (problems.length === 0) return;
  throw badApplication(problems.map(({ message }) => message).join("; "));
}

/** @throws {AlcedoError} `bad_application` if two models differ that must not; `what` gave the other. */
export function refuseDifference(
  what: string,
  model: unknown,
  other: unknown,
  advice: string = ONLY_EVENTS,
): void {
  const difference = firstDifference(model, other);
  if (difference === undefined) return;
  const { path, left, right } = difference;
  throw badApplication(
    `${what} made another model: ${path} was ${left}, and is ${right}; ${advice}`,
  );
}

/** What an application must not do. */
export function badApplication(what: string, cause?: unknown): AlcedoError {
  return new AlcedoError(
    "bad_application",
    `Cannot go on with the test: ${what}`,
    cause === undefined ? {} : { cause },
  );
}
