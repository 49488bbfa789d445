/**
 * A Hono application as a handler: routes, middleware and `onError` are Hono's, the model and
 * what becomes of a write are Alcedo's.
 *
 * The two differ in what an error is: Hono makes an answer of it, and so a write that has failed
 * would look like one that has answered. And they differ in when an answer is there: Hono's
 * middleware works on a `Response`, where the answer of a write may be a function of the model
 * that is yet to be. Both are settled here, with what Hono's types make public: but for one
 * member, which is asked whether the application has an `onError`.
 */

import type { Context as HonoContext, Env, Hono, MiddlewareHandler, Schema } from "hono";
import type { Context, DeepReadonly, Handler, SaveEvent, WriteAnswer } from "./app.ts";
import { AnsweredError, assert, HttpError } from "./errors.ts";
import { checkResponse } from "./http/check_response.ts";

/** What a route finds in `c.env`. */
export interface HonoBindings<Model, Event> {
  /** The model, as a handler gets it. */
  readonly model: DeepReadonly<Model>;
  /**
   * Saves an event, in the route of a POST, PUT, PATCH or DELETE. If anything throws after it,
   * whoever answers for the error, nothing was saved.
   *
   * @throws {TypeError} if the request's method is another one: it cannot change the model.
   */
  readonly saveEvent: SaveEvent<Event>;
  /**
   * Answers with what `make` returns for the model that this write produces, or, in a read, for
   * the model as it is. A write's answer does not exist before Hono is done with the request:
   * header fields that middleware adds to it arrive, its body cannot be read. What `make` throws
   * discards the write, and ends in the application's `errors`.
   */
  readonly respond: (make: (model: DeepReadonly<Model>) => Response) => Response;
  /** As in the context of a handler. */
  readonly signal: AbortSignal;
  /** As in the context of a handler. */
  readonly remoteAddress: string | undefined;
}

/**
 * The environment of a Hono application for {@linkcode honoHandler}: the type of its `c.env`. One
 * with variables is a `Hono<HonoEnv<Model, Event> & { Variables: … }>`.
 */
export interface HonoEnv<Model, Event> {
  /** What is in `c.env`. */
  readonly Bindings: HonoBindings<Model, Event>;
}

type ModelOf<E> = E extends { Bindings: HonoBindings<infer Model, infer _> } ? Model : never;
type EventOf<E> = E extends { Bindings: HonoBindings<infer _, infer Event> } ? Event : never;

/**
 * Makes a handler of a Hono application, whose routes get the model, `saveEvent` and `respond` in
 * `c.env`. `c.executionCtx.waitUntil` is the context's `waitUntil`.
 *
 * What a route or a middleware throws discards the write, always. Who answers for it: the
 * application's `onError`, if it has one; else an error that is its own answer, as Hono's
 * `HTTPException`, answers for itself, and every other one is thrown on, so that it is reported
 * and ends in the application's `errors`, whose pages know nothing of middleware. An application that
 * is mounted, rather than joined by `route`, keeps its errors to itself.
 *
 * In a write, `c.req.raw` is an object in front of the server's request. Where the platform wants
 * a `Request` of its own making, as `fetch` does, `c.req.raw.clone()` is one.
 *
 * @throws {TypeError} if `hono` is no Hono application.
 *
 * @example
 * ```ts
 * import { defineApp, honoHandler, type HonoEnv } from "alcedo";
 * import { Hono } from "hono";
 *
 * const hono = new Hono<HonoEnv<number, { add: number }>>();
 * hono.get("/", (c) => c.text(`${c.env.model}\n`));
 * hono.post("/", (c) => {
 *   c.env.saveEvent({ add: 1 });
 *   return c.env.respond((count) => c.text(`${count}\n`, 201));
 * });
 *
 * export default defineApp({
 *   initModel: () => 0,
 *   updateModel: (count, events: readonly { add: number }[]) =>
 *     events.reduce((sum, { add }) => sum + add, count),
 *   handleRequest: honoHandler(hono),
 * });
 * ```
 */
export function honoHandler<
  E extends Env & HonoEnv<unknown, never>,
  S extends Schema,
  BasePath extends string,
>(
  hono: Hono<E, S, BasePath>,
): E extends { Bindings: HonoBindings<infer Model, infer Event> } ? Handler<Model, Event> : never;
export function honoHandler<
  E extends Env & HonoEnv<unknown, never>,
  S extends Schema,
  BasePath extends string,
>(hono: Hono<E, S, BasePath>): Handler<ModelOf<E>, EventOf<E>> {
  if (typeof hono?.fetch !== "function" || typeof hono.router?.match !== "function") {
    throw new TypeError("Cannot make a handler: what is given is no Hono application");
  }
  if (!(hono.router instanceof ObservedRouter)) {
    hono.router = new ObservedRouter(hono.router);
    passErrorsOn(hono);
  }
  return async (request, model, context) => {
    const exchange = new Exchange<ModelOf<E>, EventOf<E>>(model, context);
    const response = await hono.fetch(request, exchange.bindings, {
      waitUntil: (promise) => context.waitUntil(promise),
      passThroughOnException: () => {},
      props: {},
    });
    return exchange.answerOf(response);
  };
}

/** The exchange of a Hono context, and of the bindings in it. */
const exchanges = new WeakMap<object, Pick<Exchange<unknown, never>, "observe" | "passOn">>();

/** A request on its way through Hono. */
class Exchange<Model, Event> {
  readonly bindings: HonoBindings<Model, Event>;
  readonly #model: DeepReadonly<Model>;
  readonly #context: Context<Event>;
  #honoContext: HonoContext | undefined;
  /** How often Hono has begun with it, and not ended without an error. */
  #failures = 0;
  /** The error that Alcedo is to answer for, and the body of what stands for its page. */
  #passedOn: { readonly error: Error; readonly body: ReadableStream } | undefined;
  /** What makes the answers of this write, by the bodies of those that stand for them. */
  readonly #makers = new Map<ReadableStream | null, (model: DeepReadonly<Model>) => Response>();

  constructor(model: DeepReadonly<Model>, context: Context<Event>) {
    this.#model = model;
    this.#context = context;
    this.bindings = {
      model,
      saveEvent: context.saveEvent ?? (() => refuseToSave(context.method)),
      respond: (make) => this.#respond(make),
      get signal() {
        return context.signal;
      },
      get remoteAddress() {
        return context.remoteAddress;
      },
    };
    exchanges.set(this.bindings, this);
  }

  /** Runs the application's own handlers, around which Hono puts this one. */
  async observe(c: HonoContext, next: () => Promise<void>): Promise<void> {
    const outer = this.#honoContext; // Of a middleware that asks the application again.
    this.#honoContext = c;
    exchanges.set(c, this);
    this.#failures++;
    await next();
    if (c.error === undefined && c.finalized) {
      this.#failures--;
      // It had an answer of its own to what failed where it asked.
      if (this.#passedOn !== undefined && this.#passedOn.body !== c.res.body) {
        this.#passedOn = undefined;
      }
    }
    this.#honoContext = outer ?? c;
  }

  /** An answer for Hono, in place of the page that Alcedo will make for `error`. */
  passOn(error: Error): Response {
    const status = error instanceof HttpError ? error.status : 500;
    // A stream is what copies of a response share on every platform.
    const body = new Blob([`${status}\n`]).stream();
    this.#passedOn = { error, body };
    return new Response(body, { status });
  }

  /** What the handler answers, when Hono has answered with `response`. */
  answerOf(response: Response): WriteAnswer<Model, Response> {
    assert(this.#honoContext !== undefined, "Hono runs what its router matched");
    if (this.#failures > 0) return this.#answerOfFailed(response, this.#honoContext.error);
    // Only if need be: a look at `body` costs platforms their fast path.
    if (this.#makers.size === 0) return response;
    const make = this.#makers.get(response.body);
    if (make === undefined) {
      if ([...this.#makers.keys()].some((body) => body?.locked)) throw bodyIsNotThere();
      return response; // A middleware had another answer.
    }
    return (model) => {
      const made: unknown = make(model);
      checkResponse(made, "the function given to respond must return a Response");
      return withFields(made, response.headers);
    };
  }

  #answerOfFailed(response: Response, cause: unknown): Response {
    if (this.#passedOn !== undefined) {
      const { error, body } = this.#passedOn;
      // Middleware may have copied the answer, or made another one of its body; Hono takes the
      // body off for a HEAD. Any other answer is a middleware's own.
      const isHead = this.#context.method === "HEAD";
      if (isHead || body.locked || response.body === body) throw error;
    }
    if (this.#context.saveEvent === undefined) return response;
    throw new AnsweredError(response, cause);
  }

  #respond(make: (model: DeepReadonly<Model>) => Response): Response {
    if (this.#context.saveEvent === undefined) return make(this.#model);
    assert(this.#honoContext !== undefined, "Hono runs what its router matched");
    const body = new ReadableStream({
      pull() {
        throw bodyIsNotThere();
      },
    }, { highWaterMark: 0 }); // Not pulled before somebody reads.
    this.#makers.set(body, make);
    return this.#honoContext.newResponse(body, 200);
  }
}

function refuseToSave(method: string): never {
  throw new TypeError(
    `Cannot save event: a ${method} only reads; save in a route for POST, PUT, PATCH or DELETE`,
  );
}

function bodyIsNotThere(): TypeError {
  return new TypeError(
    "Cannot read the answer of respond: it is made when the write has ended; keep middleware " +
      "that reads bodies away from this route, or answer it without respond",
  );
}

/** `response` with the header fields that were given to what stood for it. */
function withFields(response: Response, fields: Headers): Response {
  try {
    addFields(response.headers, fields);
    return response;
  } catch {
    // Those of a redirect, and of what was fetched, are immutable.
    const { body, status, statusText } = response;
    const headers = new Headers(response.headers);
    addFields(headers, fields);
    return new Response(body, { status, statusText, headers });
  }
}

/** Makes `headers` say what `fields` do; cookies come together, and none twice. */
function addFields(headers: Headers, fields: Headers): void {
  const cookies = headers.getSetCookie();
  for (const [name, value] of fields) {
    if (name !== "set-cookie") headers.set(name, value);
    else if (!cookies.includes(value)) headers.append(name, value);
  }
}

type Router = Hono["router"];

/**
 * Matches what `router` does, and puts {@linkcode observe} in front of it: where Hono would have a
 * middleware that was registered before all others. Routes may still be added.
 */
class ObservedRouter implements Router {
  readonly #router: Router;

  constructor(router: Router) {
    this.#router = router;
  }

  get name(): string {
    return this.#router.name;
  }

  add(...args: Parameters<Router["add"]>): void {
    this.#router.add(...args);
  }

  match(method: string, path: string): ReturnType<Router["match"]> {
    const match = this.#router.match(method, path);
    return match.length === 1
      ? [[[OBSERVER, {}], ...match[0]]]
      : [[[OBSERVER, {}], ...match[0]], match[1]];
  }
}

const observe: MiddlewareHandler = (c, next) => exchanges.get(c.env)?.observe(c, next) ?? next();

const OBSERVER: Parameters<Router["add"]>[2] = [observe, {
  basePath: "/",
  path: "*",
  method: "ALL",
  handler: observe,
}];

/**
 * Puts Alcedo in the place of Hono's own answer to errors, which prints them and says 500. If the
 * application has an `onError`, it keeps it; if it gets one later, that one takes over.
 */
function passErrorsOn<E extends Env, S extends Schema, P extends string>(
  hono: Hono<E, S, P>,
): void {
  // Private by its type; but `route()` asks applications of whatever origin the same question, in
  // the same way. Without an answer, errors would be answered by Hono.
  const present = hono["errorHandler"];
  // Copies are of the base class, whose constructor needs nothing.
  const Base = hono.basePath("/").constructor as new () => typeof hono;
  if (present === undefined || present !== new Base()["errorHandler"]) return;
  hono.onError((error, c) => {
    const exchange = exchanges.get(c);
    const isAnswer = "getResponse" in error;
    return isAnswer || exchange === undefined ? present(error, c) : exchange.passOn(error);
  });
}
