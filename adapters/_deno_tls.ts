/**
 * TLS on Deno, whose servers speak HTTP/2 by themselves, but not as they speak HTTP/1.1: they leave
 * out `host`, take half a body for a whole one, send a body to HEAD, which ends the connection, and
 * drop what is in flight when they shut down; and then they wait for every handshake. This file
 * makes up for that.
 */

import { setTimeout } from "node:timers/promises";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import type { TlsOptions } from "../runtime/http/fetch_handler.ts";
import { signalOf } from "./_deno_signal.ts";
import { isServedMethod } from "./_served_method.ts";
import type { BodyTest } from "./_static_body.ts";
import { checkTls } from "./_tls.ts";

/**
 * Milliseconds after the last answer for the rest of it to leave. A connection that is still there
 * then is most likely a handshake that does not go on: no client that hangs may hold a stop back.
 */
const LINGER_MS = 1000;

/** Milliseconds that the signal of a client that has left may come after the end of its body. */
const SIGNAL_MS = 5;

/** What `Deno.serve` is told for TLS. @throws what `checkTls` throws. */
export function secureOptions({ cert, key }: TlsOptions): TlsOptions {
  checkTls({ cert, key });
  return { cert, key };
}

type Answer<Info> = (request: Request, info: Info) => Response | Promise<Response>;

/** The exchanges of a TLS server. */
export class SecureExchanges {
  #inFlight = 0;
  #inFlightHttp2 = 0;
  #isStopping = false;
  #wake = (): void => {};

  /** `answer`, watched, and made fit for HTTP/2. */
  watched<Info extends { readonly completed: Promise<void> }>(
    answer: Answer<Info>,
    isStaticBody: BodyTest,
  ): Answer<Info> {
    return (request, info) => {
      const isHttp2 = isMostLikelyHttp2(request);
      if (isHttp2 && this.#isStopping) return defaultErrorPage(503, { "retry-after": "1" });
      this.#inFlight++;
      if (isHttp2) this.#inFlightHttp2++;
      const over = (): void => {
        this.#inFlight--;
        if (isHttp2) this.#inFlightHttp2--;
        this.#wake();
      };
      info.completed.then(over, over);
      if (!isHttp2) return answer(request, info);
      const response = answer(forHttp2(request), info);
      return request.method === "HEAD" ? withoutBody(response, isStaticBody) : response;
    };
  }

  /**
   * Resolves when no exchange of HTTP/2 is in flight, or `signal` aborts. New ones are refused
   * meanwhile.
   */
  async http2Over(signal: AbortSignal): Promise<void> {
    this.#isStopping = true;
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve(), { once: true })
    );
    while (this.#inFlightHttp2 > 0 && !signal.aborted) {
      await Promise.race([this.#change(), aborted]);
    }
  }

  /** Resolves when nothing is in flight, and some time has gone by. */
  async lingered(): Promise<void> {
    while (this.#inFlight > 0) await this.#change();
    // That the connections are closed will most likely be known before.
    await setTimeout(LINGER_MS, undefined, { ref: false });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }
}

/**
 * Deno does not say: a URL of HTTP/1.1 has the host of the field. What is taken for HTTP/2 and is
 * HTTP/1.0 without a host, or has an absolute target, comes to no harm.
 */
function isMostLikelyHttp2({ headers, url }: Request): boolean {
  const host = headers.get("host");
  return host === null || !url.startsWith(host, "https://".length);
}

/** `response` with its header alone, which says how long the body would be if that is known. */
async function withoutBody(
  response: Response | Promise<Response>,
  isStaticBody: BodyTest,
): Promise<Response> {
  const answered = await response;
  if (!(answered instanceof Response) || answered.bodyUsed) return answered;
  const { status } = answered;
  const headers = new Headers(answered.headers);
  // To be asked first: a look at the body makes a stream of it.
  if (isStaticBody(answered)) {
    const { byteLength } = await answered.arrayBuffer();
    if (byteLength > 0) headers.set("content-length", String(byteLength));
  } else await answered.body?.cancel();
  return new Response(null, { status, headers });
}

/**
 * `request`, whose own fields cannot be changed, with what its URL has for a host; or itself, if it
 * is none that a handler is asked about.
 */
function forHttp2(request: Request): Request {
  const { method } = request;
  // Its client says what scheme it has.
  const url = request.url.replace(/^http:/, "https:");
  if (!isServedMethod(method) || !URL.canParse(url)) return request;
  const headers = new Headers(request.headers);
  headers.set("host", url.split("/", 3)[2] ?? "");
  const body = request.body && wholeBody(request, request.body);
  const init: RequestInit & { duplex: "half" } = { method, headers, body, duplex: "half" };
  // Deno's own, and not asked for before anybody wants it.
  return Object.defineProperty(new Request(url, init), "signal", { get: () => request.signal });
}

/**
 * The body of `request`. Deno takes one that its client has cancelled for one that has come to its
 * end, and half a body must not be saved for a whole one.
 */
function wholeBody(
  request: Request,
  body: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const length = request.headers.get("content-length");
  // To be asked for before it aborts.
  const signal = length === null ? signalOf(request) : undefined;
  let received = 0;
  const isWhole = async (): Promise<boolean> => {
    if (signal === undefined) return received === Number(length);
    // The signal comes behind the end.
    await setTimeout(SIGNAL_MS);
    return !signal.aborted;
  };
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) {
        received += value.length;
        return controller.enqueue(value);
      }
      if (!await isWhole()) throw new DOMException("The client has left", "AbortError");
      controller.close();
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
