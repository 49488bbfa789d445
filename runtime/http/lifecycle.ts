/**
 * The lifecycle of an application: its steps, around each exchange and around its life.
 *
 * What answers is `app_handler.ts`; here a request passes through the steps before it gets there,
 * and its end comes back to them, once. An application without steps is never here.
 */

import type { App, FinishContext, LifecycleStep, RequestStep, RunningApp } from "../app.ts";
import type { Clock } from "../clock.ts";
import { localsOf, shareLocals, traceparentOf } from "../context.ts";
import { AlcedoError, messageOf } from "../errors.ts";
import { FINISH_TURNS } from "../limits.ts";
import { closing } from "./app_handler.ts";
import { isRequest, isResponse } from "./check_response.ts";
import type { RequestInfo } from "./fetch_handler.ts";
import { isWriteMethod } from "./methods.ts";
import { relayBody } from "./relayed_body.ts";

/** What answers the requests that have passed all steps, and the errors of those that have not. */
export interface StepsHost {
  fetch(request: Request, info: RequestInfo): Response | Promise<Response>;
  answerError(error: unknown, request: Request, info: RequestInfo): Promise<Response>;
}

/** What an exchange works with. */
interface ExchangeParts {
  readonly host: StepsHost;
  readonly clock: Clock;
  /** Called once with what a `finish` or a `stop` has thrown. */
  readonly report: (error: unknown) => void;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** What a {@linkcode Lifecycle} is made of. */
export interface LifecycleParts<Model, Event> extends ExchangeParts {
  readonly app: App<Model, Event>;
}

/** The steps of a running application. */
export class Lifecycle<Model, Event> {
  readonly #parts: LifecycleParts<Model, Event>;
  readonly #steps: readonly LifecycleStep<Model, Event>[];
  /** Whether somebody wants to know when an exchange is over. */
  readonly #isWatched: boolean;
  /** Exchanges that have begun and are not finished. */
  readonly #inHand = new Set<Exchange>();
  #started = 0;
  #isClosed = false;

  constructor(parts: LifecycleParts<Model, Event>) {
    this.#parts = parts;
    this.#steps = [...parts.app.lifecycle ?? []];
    this.#isWatched = this.#steps.some(({ finish }) => finish);
  }

  /** Whether there is no step. */
  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** Whether requests have to come through here. */
  get seesRequests(): boolean {
    return this.#isWatched || this.#steps.some(({ request }) => request);
  }

  /** Answers a request; never rejects. */
  fetch(request: Request, info: RequestInfo): Promise<Response> {
    const { host } = this.#parts;
    if (this.#isClosed) return host.answerError(closing(), request, info);
    const exchange = new Exchange(this.#parts, this.#steps, request, info);
    if (this.#isWatched) exchange.watch();
    else exchange.over(true);
    this.#inHand.add(exchange);
    exchange.finished.then(() => this.#inHand.delete(exchange));
    return exchange.answer();
  }

  /**
   * Starts the steps, in order.
   *
   * @throws {AlcedoError} `start_failed` if one throws; those before it have been stopped.
   */
  async start(app: RunningApp<Model, Event>): Promise<void> {
    for (const step of this.#steps) {
      try {
        await step.start?.(app);
      } catch (cause) {
        const which = `lifecycle[${this.#started}].start`;
        await this.stop(app);
        const message = `Cannot start the application: ${which} has failed: ${messageOf(cause)}`;
        throw new AlcedoError("start_failed", message, { cause });
      }
      this.#started++;
    }
  }

  /** Stops the steps that were started, in reverse order. */
  async stop(app: RunningApp<Model, Event>): Promise<void> {
    for (const step of this.#steps.slice(0, this.#started).reverse()) {
      this.#started--;
      await Promise.try(() => step.stop?.(app)).catch(this.#parts.report);
    }
  }

  /** Refuses all requests from now on, and resolves when those before are finished. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const left = [...this.#inHand];
    await Promise.all(left.map(({ answered }) => answered));
    for (let turns = 0; turns < FINISH_TURNS && this.#inHand.size > 0; turns++) {
      await new Promise<void>((resolve) => this.#parts.clock.defer(resolve));
    }
    for (const exchange of left) exchange.over(false);
    await Promise.all(left.map(({ finished }) => finished));
  }
}

/** A step that an exchange has reached, and the request with which it did. */
interface Reached {
  readonly step: RequestStep;
  readonly request: Request;
}

/** One request on its way through the steps and back: what they get as their context. */
class Exchange implements FinishContext {
  readonly method: string;
  /** Asked for at once: some platforms forget it when the exchange is over. */
  readonly remoteAddress: string | undefined;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  readonly #parts: ExchangeParts;
  readonly #steps: readonly RequestStep[];
  readonly #request: Request;
  readonly #info: RequestInfo;
  readonly #reached: Reached[] = [];
  readonly #answered = Promise.withResolvers<Response>();
  readonly #over = Promise.withResolvers<boolean>();
  #isComplete = false;
  #isRelayed = false;
  /** Resolves when the last `finish` has returned. */
  readonly finished: Promise<void>;

  constructor(
    parts: ExchangeParts,
    steps: readonly RequestStep[],
    request: Request,
    info: RequestInfo,
  ) {
    this.method = request.method;
    this.remoteAddress = info.remoteAddress;
    this.waitUntil = parts.waitUntil;
    this.#parts = parts;
    this.#steps = steps;
    this.#request = request;
    this.#info = info;
    this.finished = this.#finish();
  }

  get signal(): AbortSignal {
    return this.#info.signal;
  }

  get locals(): Record<PropertyKey, unknown> {
    return localsOf(this.#info);
  }

  get traceparent(): string | undefined {
    return traceparentOf(this.#request, this.#info);
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Resolves with the response when there is one. */
  get answered(): Promise<Response> {
    return this.#answered.promise;
  }

  /** Looks when it is over: the server tells, or we see to it ourselves. */
  watch(): void {
    if (this.#info.onOver === undefined) this.#isRelayed = true;
    else this.#info.onOver((isComplete) => this.over(isComplete));
  }

  /** Passes through the steps as far as they let it, and returns the response. */
  async answer(): Promise<Response> {
    const response = await this.#passThrough();
    this.#answered.resolve(response);
    return this.#isRelayed ? this.#relayed(response) : response;
  }

  /** Nothing more will be sent. Only the first call counts. */
  over(isComplete: boolean): void {
    this.#over.resolve(isComplete);
  }

  async #passThrough(): Promise<Response> {
    const { host } = this.#parts;
    let request = this.#request;
    try {
      for (const step of this.#steps) {
        this.#reached.push({ step, request });
        const outcome = step.request && await step.request(request, this);
        if (isResponse(outcome)) return outcome;
        if (outcome !== undefined) request = checkRequest(outcome, this.method);
      }
      if (isWriteMethod(request.method) && request.bodyUsed) {
        throw new TypeError(
          "Cannot handle the request: a lifecycle step has read its body; it must hand on a " +
            "request without it",
        );
      }
    } catch (error) {
      return host.answerError(error, request, this.#info);
    }
    const isSame = request === this.#request;
    if (!isSame) this.#info.timeBody?.(request);
    return host.fetch(request, isSame ? this.#info : handedOnInfo(request, this.#info));
  }

  /** `response`, which tells when it was read, because the server cannot tell when it was sent. */
  #relayed(response: Response): Response {
    const over = (isComplete: boolean) => this.over(isComplete);
    const hasBody = this.method !== "HEAD" && response.body !== null;
    // A body that cannot be read is the server's to complain of.
    if (!hasBody || response.body?.locked || response.bodyUsed) {
      this.#parts.clock.defer(() => over(!hasBody));
      return response;
    }
    return relayBody(response, { failed: (error) => error, over });
  }

  async #finish(): Promise<void> {
    const response = await this.#answered.promise;
    this.#isComplete = await this.#over.promise;
    for (const { step, request } of this.#reached.reverse()) {
      await Promise.try(() => step.finish?.(request, response, this)).catch(this.#parts.report);
    }
  }
}

/** @throws {TypeError} if `outcome` is nothing that a step may hand on. */
function checkRequest(outcome: unknown, method: string): Request {
  if (!isRequest(outcome)) {
    throw new TypeError("Cannot go on: a lifecycle step has returned no Request and no Response");
  }
  if (isWriteMethod(outcome.method) && !isWriteMethod(method)) {
    throw new TypeError(
      `Cannot go on: a lifecycle step has made a ${outcome.method} of a ${method}`,
    );
  }
  return outcome;
}

/** What is known of an exchange whose request is `request` now. */
function handedOnInfo(request: Request, info: RequestInfo): RequestInfo {
  const handedOn: RequestInfo = {
    get remoteAddress(): string | undefined {
      return info.remoteAddress;
    },
    get signal(): AbortSignal {
      return info.signal;
    },
    // Whoever copies the header to a request without the body copies the length of that body too.
    header: (name) => name === "content-length" ? null : request.headers.get(name),
    hasStaticBody: (response) => info.hasStaticBody?.(response) ?? false,
    ...info.traceparent !== undefined && { traceparent: info.traceparent },
  };
  shareLocals(info, handedOn);
  return handedOn;
}
