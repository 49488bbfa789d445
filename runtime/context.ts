/**
 * What a handler gets beside the request and the model. Most handlers use a part of it, so
 * everything is made when it is asked for.
 */

import type { ReadContext, SaveEvent, WriteContext } from "./app.ts";
import type { RequestInfo } from "./http/fetch_handler.ts";
import type { OtherMethod, WriteMethod } from "./http/methods.ts";
import { formatTraceparent, parseTraceparent } from "./http/traceparent.ts";

type Locals = ReadContext["locals"];

const localsByExchange = new WeakMap<RequestInfo, Locals>();

/** The object of an exchange: the same at each call with its info. */
export function localsOf(info: RequestInfo): Locals {
  let locals = localsByExchange.get(info);
  if (locals === undefined) localsByExchange.set(info, locals = {});
  return locals;
}

/** Makes `other` another info of the same exchange. */
export function shareLocals(info: RequestInfo, other: RequestInfo): void {
  localsByExchange.set(other, localsOf(info));
}

/** The context of a request that cannot change the model. */
export class Reading implements ReadContext {
  readonly method: OtherMethod;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  readonly #request: Request;
  readonly #info: RequestInfo;

  constructor(
    method: OtherMethod,
    request: Request,
    info: RequestInfo,
    waitUntil: (promise: Promise<unknown>) => void,
  ) {
    this.method = method;
    this.#request = request;
    this.#info = info;
    this.waitUntil = waitUntil;
  }

  get signal(): AbortSignal {
    return this.#info.signal;
  }

  get remoteAddress(): string | undefined {
    return this.#info.remoteAddress;
  }

  get locals(): Locals {
    return localsOf(this.#info);
  }

  get traceparent(): string | undefined {
    return traceparentOf(this.#request, this.#info);
  }
}

/** The context of a write. */
export class Writing<Event> implements WriteContext<Event> {
  readonly method: WriteMethod;
  readonly saveEvent: SaveEvent<Event>;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  readonly #request: Request;
  readonly #info: RequestInfo;
  #controller: AbortController | undefined;
  #interrupted: { reason: unknown } | undefined;

  constructor(
    method: WriteMethod,
    request: Request,
    info: RequestInfo,
    saveEvent: SaveEvent<Event>,
    waitUntil: (promise: Promise<unknown>) => void,
  ) {
    this.method = method;
    this.#request = request;
    this.#info = info;
    this.saveEvent = saveEvent;
    this.waitUntil = waitUntil;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = this.#controller = new AbortController();
      const client = this.#info.signal;
      const follow = () => controller.abort(client.reason);
      if (client.aborted) follow();
      else client.addEventListener("abort", follow, { once: true });
      if (this.#interrupted !== undefined) controller.abort(this.#interrupted.reason);
    }
    return this.#controller.signal;
  }

  get remoteAddress(): string | undefined {
    return this.#info.remoteAddress;
  }

  get locals(): Locals {
    return localsOf(this.#info);
  }

  get traceparent(): string | undefined {
    return traceparentOf(this.#request, this.#info);
  }

  /** The write's time is up, or what it saw is lost. */
  interrupt(reason: unknown): void {
    this.#interrupted = { reason };
    this.#controller?.abort(reason);
  }
}

/** The exchange's own, or the client's: one that nobody logs would lead nowhere. */
export function traceparentOf(request: Request, info: RequestInfo): string | undefined {
  if (info.traceparent !== undefined) return info.traceparent;
  const client = parseTraceparent(request.headers.get("traceparent") ?? "");
  return client && formatTraceparent(client);
}
