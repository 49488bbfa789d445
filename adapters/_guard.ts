/**
 * What stands before a handler on every server: the limits that can be looked at where the request
 * is known, and the refusals, which get the handler's pages. What is to be counted before that, bytes
 * and connections, is the platform's.
 *
 * It runs with every request: an answer that is there at once stays that, and costs it two comparisons.
 */

import { type HttpError, refusal, unavailable } from "../runtime/errors.ts";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import {
  answerRefusal,
  type BodyRead,
  type FetchHandler,
  type RequestInfo,
} from "../runtime/http/fetch_handler.ts";
import { isWriteMethod } from "../runtime/http/methods.ts";
import type { ResolvedListenOptions } from "./_listen_options.ts";
import { BodyTimes } from "./_timed_body.ts";
import { TrustedProxies } from "./_trusted_proxies.ts";

/** An exchange, as a server shows it to its handler. */
export interface ServedExchange extends RequestInfo {
  /**
   * The body did not arrive in time: the connection is to end with the answer. For those that do not
   * see to that anyway, since it makes every body cost more.
   */
  bodyIsLate?(): void;
  /** Set if there can be a body, and a limit to its time. */
  timeBody: ((copy: Request) => void) | undefined;
  /** Set instead for a handler that times its reads. */
  timeRead: ((read: BodyRead) => void) | undefined;
}

/** What a {@linkcode Guard} is made of. */
export interface GuardOptions {
  readonly limits: ResolvedListenOptions;
  /** Bytes of a header, where the platform does not look; to look costs up to 1.5 µs. */
  readonly headerBytesMax?: number | undefined;
}

type Answer = Response | Promise<Response>;

/** Asks a handler, or refuses. What it returns late is to be counted by its `begin` and `end`. */
export class Guard {
  readonly #fetch: FetchHandler;
  readonly #urlBytesMax: number;
  readonly #headerBytesMax: number | undefined;
  readonly #requestsMax: number;
  readonly #bodyTimes: BodyTimes | undefined;
  readonly #proxies: TrustedProxies | undefined;
  /** Requests, and refusals, that have no answer yet. */
  #inFlight = 0;

  /** @throws {TypeError} if one of the trusted proxies is no address, range or name. */
  constructor(fetch: FetchHandler, { limits, headerBytesMax }: GuardOptions) {
    const { urlBytesMax, requestsMax, bodyTimeoutMs, trustedProxies } = limits;
    this.#fetch = fetch;
    this.#urlBytesMax = urlBytesMax;
    this.#headerBytesMax = headerBytesMax;
    this.#requestsMax = requestsMax;
    if (bodyTimeoutMs > 0) this.#bodyTimes = new BodyTimes(bodyTimeoutMs);
    if (trustedProxies.length > 0) this.#proxies = new TrustedProxies(trustedProxies);
  }

  /** The answer to a request with a normal URL. Throws and rejects as the handler does. */
  fetch(request: Request, exchange: ServedExchange): Answer {
    if (this.#inFlight >= this.#requestsMax) {
      return this.#refuse(unavailable("too many requests are in flight"), request, exchange);
    }
    if (request.url.length > this.#urlBytesMax) return this.refuse(414, request, exchange);
    if (this.#headerBytesMax !== undefined && headerBytes(request) > this.#headerBytesMax) {
      return this.refuse(431, request, exchange);
    }
    let info: RequestInfo = exchange;
    if (this.#proxies !== undefined) {
      const client = this.#proxies.clientOf(request, exchange);
      if (client === undefined) return this.refuse(400, request, exchange);
      ({ request, info } = client);
    }
    const times = this.#bodyTimes;
    if (times !== undefined && mayHaveBody(request.method)) {
      if (this.#fetch.timesReads === true && isWriteMethod(request.method)) {
        exchange.timeRead = times.watchRead;
        return this.#fetch(request, info);
      }
      const onLate = exchange.bodyIsLate && (() => exchange.bodyIsLate?.());
      times.watch(request, onLate);
      exchange.timeBody = (copy) => times.watch(copy, onLate);
    }
    return this.#fetch(request, info);
  }

  /** The answer to a request that cannot be handed on. */
  refuse(status: number, request: Request, exchange: ServedExchange): Answer {
    return this.#refuse(refusal(status, "refused by the server"), request, exchange);
  }

  /** Pages may take their time; when there are too many of these, too, nobody is asked for one. */
  #refuse(error: HttpError, request: Request, exchange: ServedExchange): Answer {
    if (this.#inFlight >= 2 * this.#requestsMax) {
      return defaultErrorPage(error.status, error.headers);
    }
    return answerRefusal(this.#fetch, error, request, exchange);
  }

  /** To be called for each answer that is not there at once: its request is in flight until... */
  begin(): void {
    this.#inFlight++;
  }

  /** ...the answer, or what became of it, is there. */
  end(): void {
    this.#inFlight--;
  }
}

function mayHaveBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** The bytes of a header, as they were most likely sent. */
function headerBytes({ method, url, headers }: Request): number {
  let bytes = method.length + url.length + " HTTP/1.1\r\n\r\n".length;
  for (const [name, value] of headers) bytes += name.length + value.length + ": \r\n".length;
  return bytes;
}
