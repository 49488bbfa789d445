/**
 * What an application is: a first model, a function that applies events to it, and a
 * request handler. Types, and {@linkcode defineApp}; what runs it is in `engine.ts`.
 */

import type { Codec, IsJson, ModelCodec } from "./codec.ts";
import type { HttpError } from "./errors.ts";
import type { OtherMethod, WriteMethod } from "./http/methods.ts";

/** A value that can only be looked at, all the way down. */
export type DeepReadonly<T> = T extends (...args: never[]) => unknown ? T
  : T extends ReadonlyMap<infer K, infer V> ? ReadonlyMap<DeepReadonly<K>, DeepReadonly<V>>
  : T extends ReadonlySet<infer V> ? ReadonlySet<DeepReadonly<V>>
  : T extends ArrayBufferView | ArrayBuffer | Date | RegExp ? Readonly<T>
  : T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
  : T;

/** What every handler gets beside the request and the model. */
export interface CommonContext {
  /**
   * Aborts when the client has left before its answer was sent; in a write handler also
   * when its time is up.
   */
  readonly signal: AbortSignal;
  /** The peer, as `host:port`, or `undefined` where there is none. */
  readonly remoteAddress: string | undefined;
  /**
   * The `traceparent` (W3C Trace Context) to pass on with requests that this one leads to. With an
   * access log it is this exchange's own, in the client's trace or in a new one, and the log has its
   * ids; without one it is the client's, or `undefined` if there is no valid one.
   */
  readonly traceparent: string | undefined;
  /**
   * Keeps the engine open until `promise` has settled: work that goes on after the answer.
   * A rejection is reported.
   */
  waitUntil(promise: Promise<unknown>): void;
}

/** What a handler gets with a request that cannot change the model. */
export interface ReadContext extends CommonContext {
  /** The request's method. */
  readonly method: OtherMethod;
  /** Reads hold nothing to change the model with. */
  readonly saveEvent?: undefined;
}

/**
 * Saves an event as part of the write. It is encoded at once, applied to the model when the
 * handler has answered, and on disk before the answer leaves. If the handler throws, it
 * was never saved.
 *
 * @throws {HttpError} 413 if the write's events are larger than a commit may be.
 * @throws {AlcedoError} `write_ended` if the handler has already answered, or its time is up.
 */
export type SaveEvent<Event> = (event: Event) => void;

/** What a handler gets with a POST, PUT, PATCH or DELETE. */
export interface WriteContext<Event> extends CommonContext {
  /** The request's method. */
  readonly method: WriteMethod;
  /** Saves an event as part of the write. */
  readonly saveEvent: SaveEvent<Event>;
}

/**
 * What a handler gets beside the request and the model. `method` and `saveEvent` tell the
 * two kinds apart: `if (context.saveEvent)`, or a `switch` on the method.
 */
export type Context<Event> = ReadContext | WriteContext<Event>;

/**
 * What a write handler answers with: a response, or a function that makes one from the
 * model that the write produced. The function is called before anything is on disk; if it
 * throws, the write is discarded.
 */
export type WriteAnswer<Model, Answer> = Answer | ((model: DeepReadonly<Model>) => Answer);

/** Answers a request; see {@linkcode AppDefinition.handleRequest}. */
export type Handler<Model, Event> = (
  request: Request,
  model: DeepReadonly<Model>,
  context: Context<Event>,
) => WriteAnswer<Model, Response> | Promise<WriteAnswer<Model, Response>>;

/** Makes the page for an error. `request.body` may have been read already. */
export type ErrorHandler<Model> = (
  error: HttpError,
  request: Request,
  model: DeepReadonly<Model>,
) => Response | Promise<Response>;

/** Pages for errors by status; `default` is for every status without one of its own. */
export type ErrorHandlers<Model> = {
  readonly [status: number]: ErrorHandler<Model>;
  readonly default?: ErrorHandler<Model>;
};

/** An application as it is written down. */
export interface AppBase<Model, Event> {
  /** Returns the first version of the model: a new one at each call. */
  initModel: () => Model;
  /**
   * Applies events, in order, and returns the model. Deterministic, and does no I/O.
   * Applying a batch equals applying its events one by one. It may return a new model and
   * leave the old one as it was, or change the model in place and return it.
   */
  updateModel: (model: Model, events: readonly Event[]) => Model;
  /**
   * Answers a request. Writes run one at a time on the newest model; reads run beside them
   * on a durable one. What it throws ends in `errors`.
   */
  handleRequest: Handler<Model, Event>;
  /**
   * Turns an event into bytes and back.
   * @default {json}
   */
  codec?: Codec<Event>;
  /**
   * Names the shape of the model, and the meaning of its events: change it whenever
   * `initModel` or `updateModel` would make another model of the same events. Snapshots of
   * another version are not used; without a version there are none.
   */
  modelVersion?: string;
  /**
   * Turns a model into the bytes of a snapshot and back.
   * @default {modelCodec}: every value that `structuredClone` takes, but for cycles
   */
  modelCodec?: ModelCodec<Model>;
  /**
   * Events that make this model from a first one: what a log begins with when its history is
   * given up (`events squash`).
   */
  eventsFrom?: (model: DeepReadonly<Model>) => Iterable<Event>;
  /** Pages for errors; without one a plain page that shows the status alone. */
  errors?: ErrorHandlers<Model>;
}

/** An application; `codec` may be left out where every event is JSON by its type. */
export type AppDefinition<Model, Event> =
  & AppBase<Model, Event>
  & (IsJson<Event> extends true ? unknown : { codec: Codec<Event> });

/** An application, ready to be served. */
export type App<Model, Event> = Readonly<AppBase<Model, Event>>;

/**
 * Defines an application.
 *
 * `Model` is inferred from `initModel`, `Event` from the parameter of `updateModel` or from
 * `codec`; or name both: `defineApp<Model, Event>({…})`.
 *
 * @throws {TypeError} if a function is missing, or something else is not what it should be.
 *
 * @example
 * ```ts
 * const app = defineApp({
 *   initModel: () => 0,
 *   updateModel: (count, events: readonly { add: number }[]) =>
 *     events.reduce((sum, event) => sum + event.add, count),
 *   handleRequest: (_request, count, { saveEvent }) => {
 *     saveEvent?.({ add: 1 });
 *     return new Response(`${count}\n`);
 *   },
 * });
 * ```
 */
export function defineApp<Model, Event>(
  definition: AppDefinition<Model, Event>,
): App<Model, Event> {
  const fault = faultOfApp(definition);
  if (fault !== undefined) throw new TypeError(`Cannot define application: ${fault}`);
  return Object.freeze({ ...definition });
}

/** Says what keeps `value` from being an application, or `undefined` if nothing does. */
export function faultOfApp(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) {
    return `${
      value === null ? "null" : typeof value
    } is not an application; make one with defineApp({ initModel, updateModel, handleRequest })`;
  }
  const app = value as Record<string, unknown>;
  for (const name of ["initModel", "updateModel", "handleRequest"]) {
    if (typeof app[name] !== "function") return `${name} is not a function`;
  }
  const codec = app["codec"] as Partial<Codec<unknown>> | undefined;
  if (
    codec !== undefined &&
    (typeof codec?.encode !== "function" || typeof codec.decode !== "function")
  ) {
    return "codec has no encode and decode functions; use json, bytes, or your own";
  }
  const modelVersion = app["modelVersion"];
  if (modelVersion !== undefined && (typeof modelVersion !== "string" || modelVersion === "")) {
    return 'modelVersion is no text; write "1"';
  }
  const modelCodec = app["modelCodec"] as Partial<ModelCodec<unknown>> | undefined;
  if (
    modelCodec !== undefined &&
    (typeof modelCodec?.encode !== "function" || typeof modelCodec.decode !== "function")
  ) {
    return "modelCodec has no encode and decode functions";
  }
  const eventsFrom = app["eventsFrom"];
  if (eventsFrom !== undefined && typeof eventsFrom !== "function") {
    return "eventsFrom is not a function";
  }
  const errors = app["errors"];
  if (errors !== undefined) {
    if (typeof errors !== "object" || errors === null) return "errors is not an object";
    for (const [status, handler] of Object.entries(errors)) {
      if (!/^(default|[45]\d\d)$/.test(status)) {
        return `errors has "${status}"; write a status from 400 to 599, or "default"`;
      }
      if (typeof handler !== "function") return `errors[${status}] is not a function`;
    }
  }
  return undefined;
}
