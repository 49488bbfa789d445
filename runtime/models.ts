/**
 * The versions of the model: which object shows which commits, and so how much must be
 * durable before an answer that was made from it may leave.
 *
 * In pure style every commit makes a version of its own, and a durable one never changes.
 * In place all commits share one object, whose version moves on with each of them. Nothing
 * here asks which style an application has: it follows from what `updateModel` returned.
 */

import type { App } from "./app.ts";
import { AlcedoError, type HttpError } from "./errors.ts";

/** A model, and the newest commit that can be seen in it. */
export class Version<Model> {
  readonly model: Model;
  /** The sequence of that commit. */
  sequence: number;
  /**
   * Why nothing made from this model may leave any more: it shows commits that the log
   * lost, or an event that was applied by half.
   */
  lost: HttpError | undefined = undefined;

  constructor(model: Model, sequence: number) {
    this.model = model;
    this.sequence = sequence;
  }
}

/** What `updateModel` has been seen to do. Once in place, always in place. */
export type Style = "unknown" | "pure" | "in place";

/** The newest model, and the newest durable one. */
export class Models<Model, Event> {
  readonly #app: App<Model, Event>;
  #style: Style = "unknown";
  #newest: Version<Model>;
  #durable: Version<Model>;

  constructor(app: App<Model, Event>, model: Model, sequence: number, style: Style) {
    this.#app = app;
    this.#style = style;
    this.#newest = this.#durable = new Version(model, sequence);
  }

  /** The model that the next write is handled with. */
  get newest(): Version<Model> {
    return this.#newest;
  }

  /** The model that reads are handled with. In place it may show more than is durable. */
  get durable(): Version<Model> {
    return this.#durable;
  }

  /** Whether a version that was handed out can change behind whoever holds it. */
  get mayMove(): boolean {
    return this.#style !== "pure";
  }

  /**
   * Applies events to the newest model. Nobody sees the result until {@linkcode keep}.
   *
   * @throws what `updateModel` throws; then, as after a result that is not kept, ask
   * {@linkcode isSpoiled}.
   */
  apply(events: readonly Event[]): Model {
    const before = this.#newest.model;
    const after = callUpdate(this.#app, before, events);
    this.#style = styleAfter(this.#style, before, after);
    return after;
  }

  /** Makes the result of {@linkcode apply} the newest model. */
  keep(after: Model, sequence: number): Version<Model> {
    if (isSameObject(after, this.#newest.model)) this.#newest.sequence = sequence;
    else this.#newest = new Version(after, sequence);
    return this.#newest;
  }

  /**
   * Whether the newest model may have changed by an application that is not kept: one that
   * returned `after`, or threw and so returned `undefined`.
   */
  isSpoiled(after: Model | undefined): boolean {
    const { model } = this.#newest;
    if (!isObject(model)) return false;
    return after === undefined ? this.mayMove : isSameObject(after, model);
  }

  /** The commits up to that of `version` are durable. */
  advance(version: Version<Model>): void {
    this.#durable = version;
  }

  /**
   * Goes back to the durable model, because all after `sequence` is lost. Returns whether
   * that can be done: not if the durable model's object has moved on.
   */
  goBack(sequence: number, reason: HttpError): boolean {
    if (this.#newest.sequence > sequence) this.#newest.lost = reason;
    if (this.#durable.sequence > sequence) {
      this.#durable.lost = reason;
      return false;
    }
    this.#newest = this.#durable;
    return true;
  }

  /** No answer may be made from the models of now: they are being built again. */
  loseAll(reason: HttpError): void {
    this.#newest.lost = reason;
    this.#durable.lost = reason;
  }

  /** Begins anew from a model that shows all commits up to `sequence`, which are durable. */
  reset(model: Model, sequence: number): void {
    this.#newest = this.#durable = new Version(model, sequence);
  }
}

/**
 * Calls `updateModel` and checks what it returned.
 *
 * @throws {AlcedoError} `bad_application` if it returned nothing, or a promise.
 */
export function callUpdate<Model, Event>(
  app: App<Model, Event>,
  model: Model,
  events: readonly Event[],
): Model {
  const after = app.updateModel(model, events);
  if (after === undefined) {
    throw new AlcedoError("bad_application", "Cannot apply events: updateModel returned nothing");
  }
  if (isPromise(after)) {
    throw new AlcedoError("bad_application", "Cannot apply events: updateModel is asynchronous");
  }
  return after;
}

/** What is known of the style after `updateModel` turned `before` into `after`. */
export function styleAfter(style: Style, before: unknown, after: unknown): Style {
  if (isSameObject(before, after)) return "in place";
  return style === "unknown" ? "pure" : style;
}

function isSameObject(a: unknown, b: unknown): boolean {
  return a === b && isObject(a);
}

/** Whether `value` is a promise, of this or of another kind. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true; // Quicker than looking for a member.
  return typeof value === "object" && value !== null && "then" in value &&
    typeof value.then === "function";
}

/** Whether a value can change in place: every other kind of value is what it is. */
function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null || typeof value === "function";
}
