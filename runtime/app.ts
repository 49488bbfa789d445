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
   * An object of this exchange alone, the same for its lifecycle steps and its handler: to pass
   * something on, or, where its type shall be known, the key of a `WeakMap`.
   */
  readonly locals: Record<PropertyKey, unknown>;
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

/** What a lifecycle step gets beside the request; the same object at each of its calls. */
export interface StepContext extends CommonContext {
  /** The method of the request as it came. */
  readonly method: string;
  /** Steps hold nothing to change the model with. */
  readonly saveEvent?: undefined;
}

/** What a lifecycle step gets when an exchange is over. */
export interface FinishContext extends StepContext {
  /**
   * Whether the answer was sent to its end, as far as the platform can tell; `false` if the
   * client left before, the body failed, or the server was stopped.
   */
  readonly isComplete: boolean;
}

/**
 * The running application, as its lifecycle steps hold it: its engine, but for what is not theirs.
 * To close it, for one, would be to wait for themselves.
 */
export interface RunningApp<Model, Event> {
  /** Looks at the model: `Engine.read`. */
  read<Result>(
    look: (
      model: DeepReadonly<Model>,
      tools: { readonly position: string },
    ) => Result | Promise<Result>,
  ): Promise<Result>;
  /** Writes as a write handler does: `Engine.write`. */
  write<Result>(
    change: (
      model: DeepReadonly<Model>,
      // As a method: else a step that says its types would hide the event from `defineApp`.
      tools: { saveEvent(event: Event): void },
    ) => WriteAnswer<Model, Result> | Promise<WriteAnswer<Model, Result>>,
  ): Promise<{ readonly result: Result; readonly position: string }>;
  /** Follows the log, until the application is stopped: `Engine.changes`. */
  changes(
    from?: string,
  ): AsyncIterable<{ readonly events: readonly Event[]; readonly position: string }>;
}

/**
 * What happens around each exchange of an application. Each member may be left out.
 *
 * @example
 * ```ts
 * import type { RequestStep } from "alcedo";
 *
 * const accessLog: RequestStep = {
 *   finish(request, response, { isComplete }) {
 *     console.log(request.method, request.url, response.status, isComplete ? "" : "(cut)");
 *   },
 * };
 * ```
 */
export interface RequestStep {
  /**
   * Called with each request before its body is read and before its handler runs. It may answer,
   * or hand on another request; else the same one goes on. A step that reads the body hands on a
   * request without it. What it throws becomes an answer, as in a handler. It has no deadline.
   */
  request?(
    request: Request,
    context: StepContext,
  ): Response | Request | void | Promise<Response | Request | void>;
  /**
   * Called once for each request that has reached this step, in reverse order, when the last byte
   * of the answer has been sent or nothing more will be: whoever has answered, whatever has
   * failed. `request` is what the step was given before; of `response`, the body has gone. What it
   * throws is reported, and changes nothing.
   */
  finish?(request: Request, response: Response, context: FinishContext): void | Promise<void>;
}

/**
 * A step of an application's lifecycle: what happens around each exchange, and when the
 * application is started and stopped.
 */
export interface LifecycleStep<Model, Event> extends RequestStep {
  /**
   * Called once, when the log has been replayed and before the first request. If it throws, the
   * application is not started, and the steps before it are stopped.
   */
  start?(app: RunningApp<Model, Event>): void | Promise<void>;
  /**
   * Called once, in reverse order, when the last request is finished and the engine is about to
   * close: it can still be read and written. What it throws is reported.
   */
  stop?(app: RunningApp<Model, Event>): void | Promise<void>;
}

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
  /** What happens around each request, and when the application is started and stopped. */
  lifecycle?: readonly LifecycleStep<NoInfer<Model>, NoInfer<Event>>[];
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
  return faultOfLifecycle(app["lifecycle"]);
}

function faultOfLifecycle(lifecycle: unknown): string | undefined {
  if (lifecycle === undefined) return undefined;
  if (!Array.isArray(lifecycle)) return "lifecycle is not an array of steps";
  for (const [index, step] of lifecycle.entries()) {
    if (typeof step !== "object" || step === null) return `lifecycle[${index}] is not an object`;
    for (const name of ["start", "request", "finish", "stop"]) {
      const member: unknown = Reflect.get(step, name);
      if (member !== undefined && typeof member !== "function") {
        return `lifecycle[${index}].${name} is not a function`;
      }
    }
  }
  return undefined;
}
