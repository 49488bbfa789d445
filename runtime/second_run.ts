/**
 * The events of a test, applied a second time beside its engine: what `updateModel` makes of anything
 * but the model and the events, another run makes otherwise. What is found is thrown.
 */

import { equal } from "#std/assert/equal";
import type { App } from "./app.ts";
import { checkApp, ONLY_EVENTS } from "./check_app.ts";
import type { Codec } from "./codec.ts";
import { AlcedoError, messageOf } from "./errors.ts";
import { firstDifference } from "./model_difference.ts";
import { callUpdate } from "./models.ts";

/** So many events of a write, or given ones, go through `checkApp`: it copies the model for each. */
const CHECKED_MAX = 200;

const SAME =
  "it must return the same model at each call, in a new object if it is changed in place";

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
   * Applies the events up to this sequence, in all the ways that must not matter; says what does.
   *
   * @throws {AlcedoError} `bad_application` if `updateModel` throws.
   */
  apply(events: readonly Event[], sequence: number): string | undefined {
    const before = copied(this.model);
    this.model = applySingly(this.#app, this.model, events);
    this.sequence = sequence;
    if (before === undefined || copied(this.model) === undefined) return undefined;
    const app = { ...this.#app, initModel: () => structuredClone(before.value) };
    const problems = checkApp(app, events.slice(0, CHECKED_MAX));
    return problems.length === 0 ? undefined : problems.map(({ message }) => message).join("; ");
  }

  /** Says where the engine made something else of the same events, or `initModel` of nothing. */
  difference(model: Model): string | undefined {
    const first = saidDifference("another initModel", this.#first, this.#app.initModel(), SAME);
    return first ?? saidDifference("a second time, the same events", model, this.model);
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

/** Says where two models differ that must not, and what to do: `what` made the other. */
export function saidDifference(
  what: string,
  model: unknown,
  other: unknown,
  advice: string = ONLY_EVENTS,
): string | undefined {
  const difference = firstDifference(model, other);
  if (difference === undefined) return undefined;
  const { path, left, right } = difference;
  return `${what} made another model: ${path} was ${left}, and is ${right}; ${advice}`;
}

/** The error for what an application must not do. */
export function badApplication(what: string, cause?: unknown): AlcedoError {
  const options = cause === undefined ? {} : { cause };
  return new AlcedoError("bad_application", `Cannot go on with the test: ${what}`, options);
}
