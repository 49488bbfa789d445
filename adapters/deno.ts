/**
 * The adapter for Deno: a `FetchHandler` on `Deno.serve`, which makes the requests, takes
 * the responses, and hands every error to one `onError`. This file adds what the platform
 * leaves out: normal URLs, a signal that means "the client has left", a bounded stop.
 */

import type { FetchHandler, ListenOptions, Server } from "../runtime/http/fetch_handler.ts";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import { fallbackOrigin, formatAddress } from "./_address.ts";
import { signalOf } from "./_deno_signal.ts";
import { failurePage } from "./_failure.ts";
import { Guard, type ServedExchange } from "./_guard.ts";
import { listenOn, resolveListenOptions } from "./_listen_options.ts";
import { isWholeServer, normalRequest } from "./_normal_request.ts";
import { isHost, isNormalUrl } from "./_normal_url.ts";
import { refusedRequest } from "./_refused_request.ts";
import { relayBody } from "../runtime/http/relayed_body.ts";
import { isServedMethod } from "./_served_method.ts";
import { type BodyTest, trustedBodyTest } from "./_static_body.ts";
import { createStop } from "./_stop.ts";

/** What this file uses of the platform. */
declare const Deno: {
  serve(
    options: {
      hostname: string;
      port: number;
      automaticCompression: boolean;
      cert?: string;
      key?: string;
      onListen: () => void;
      onError: (error: unknown) => Response;
    },
    handler: (request: Request, info: HandlerInfo) => Response | Promise<Response>,
  ): HttpServer;
};

interface HandlerInfo {
  /** Settles when Deno has taken the last of the answer, or can send no more. */
  readonly completed: Promise<void>;
  readonly remoteAddr: { readonly hostname: string; readonly port: number };
}

interface HttpServer {
  readonly addr: { readonly hostname: string; readonly port: number };
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
}

/** Milliseconds for Deno to close what a cut ends. */
const CUT_MS = 100;

/**
 * Serves `fetch`, and resolves once connections are accepted.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if the port is taken, and what is wrong with `tls`.
 */
export async function serve(fetch: FetchHandler, options: ListenOptions = {}): Promise<Server> {
  const limits = resolveListenOptions(options);
  const { hostname, port, tls, report } = limits;
  // Deno's own bound of 64 KiB does for those who do not ask for another.
  const guard = new Guard(fetch, { limits, headerBytesMax: limits.headerBytesMax });
  const secure = tls && await import("./_deno_tls.ts");
  const secureOptions = tls && secure?.secureOptions(tls);
  const exchanges = secure && new secure.SecureExchanges();
  /**
   * The answers that handlers owe, and what ends streams. Once `shutdown` was called, Deno has
   * no way left to close a connection (aborting its signal then fails), but it closes those
   * whose answer has failed.
   */
  const waiting = new Set<(answer: Response) => void>();
  const cutting = new AbortController();
  const parts: ServerParts = { cutting: cutting.signal, report };
  let cutOff = (): void => {};
  const whenCut = new Promise<void>((resolve) => cutOff = resolve);

  const listen = (host: string): HttpServer =>
    Deno.serve({
      hostname: host,
      port,
      ...secureOptions,
      // A body leaves as the handler made it, like everywhere else.
      automaticCompression: false,
      onListen: () => {},
      // Called with what is wrong with a response, and with what ended a body half-way; in
      // the second case the page is thrown away.
      onError: (error) => {
        const isOurs = error === FAILED || error === SENT ||
          cutting.signal.aborted && error === cutting.signal.reason;
        if (!isOurs) report(error);
        return defaultErrorPage(500);
      },
    }, exchanges?.watched(answer, isStaticBody) ?? answer);

  const server = listenOn(hostname, listen);
  const fallback = fallbackOrigin(server.addr.hostname, server.addr.port, tls);

  function answer(request: Request, info: HandlerInfo): Response | Promise<Response> {
    const { method, url } = request;
    const exchange = new Exchange(request, info, parts);
    if (!isServedMethod(method) || mayHaveBody(method) && !hasKnownCoding(request)) {
      return refuse(501, request, exchange);
    }
    if (isNormalUrl(url) && !isWholeServer(method, url)) {
      if (!hasDeepPath(url) || isHost(request.headers.get("host") ?? "")) {
        return respond(() => guard.fetch(request, exchange), exchange);
      }
      return refuse(400, request, exchange);
    }
    const normal = normalRequest(request, fallback, () => exchange.signal);
    if (normal === undefined) return refuse(400, request, exchange);
    return respond(() => guard.fetch(normal, exchange), exchange);
  }

  function refuse(
    status: number,
    { method, headers }: Request,
    exchange: Exchange,
  ): Response | Promise<Response> {
    const request = refusedRequest(method, headers, fallback);
    return respond(() => guard.refuse(status, request, exchange), exchange);
  }

  function respond(
    ask: () => Response | Promise<Response>,
    exchange: Exchange,
  ): Response | Promise<Response> {
    try {
      const response = ask();
      if (!(response instanceof Promise)) return exchange.finish(response);
      return new Promise((resolve) => {
        guard.begin();
        const settle = (answer: Response): void => {
          guard.end();
          waiting.delete(resolve);
          resolve(answer);
        };
        waiting.add(resolve);
        response.then(
          (late) => settle(exchange.finish(late)),
          (error) => settle(fail(error, exchange)),
        );
      });
    } catch (error) {
      return fail(error, exchange);
    }
  }

  const fail = (error: unknown, exchange: Exchange): Response =>
    exchange.finish(failurePage(error, report));

  return {
    addr: { hostname: server.addr.hostname, port: server.addr.port },
    stop: createStop({
      drain: async () => {
        await exchanges?.http2Over(cutting.signal);
        const finished = server.shutdown().then(() => server.finished);
        await Promise.race([finished, whenCut, ...exchanges ? [exchanges.lingered()] : []]);
      },
      cut: () => {
        cutting.abort();
        for (const answer of waiting) answer(failingResponse(cutting.signal.reason));
        // What is left is an answer that is not read: it ends with the process.
        setTimeout(cutOff, CUT_MS);
      },
    }),
  };
}

function mayHaveBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** Whether Deno has decoded the body: of other codings it hands on what they made of it. */
function hasKnownCoding({ headers }: Request): boolean {
  const coding = headers.get("transfer-encoding");
  return coding === null || coding.toLowerCase() === "chunked";
}

/**
 * Whether the path of `url` has more than one segment. The first may then be a part of a `Host`
 * that is none, `a/b`, which Deno puts in front of the target as it is. To look at the field takes
 * 0.9 µs, so it is left to these requests; a handler that reads any field pays that anyway.
 */
function hasDeepPath(url: string): boolean {
  return url.indexOf("/", url.indexOf("/", "https://".length) + 1) !== -1;
}

/** An answer that ends with its connection. */
function failingResponse(reason: unknown): Response {
  const body = new ReadableStream({ start: (controller) => controller.error(reason) });
  return new Response(body, { status: 503 });
}

/** What exchanges share. */
interface ServerParts {
  /** Aborts when all that is left is to be cut off. */
  readonly cutting: AbortSignal;
  readonly report: (error: unknown) => void;
}

/** What Deno gets for an error of a stream, which it may tell twice. */
const FAILED = new Error("The response's body has failed");

/** Why nothing more is read of the answer to a HEAD. */
const SENT = new DOMException("The answer was sent", "AbortError");

/** One exchange, as its handler may ask about it. Nothing is asked of Deno before that. */
class Exchange implements ServedExchange {
  timeBody: ServedExchange["timeBody"] = undefined;
  timeRead: ServedExchange["timeRead"] = undefined;
  readonly #request: Request;
  readonly #info: HandlerInfo;
  readonly #cutting: AbortSignal;
  readonly #report: (error: unknown) => void;
  #left: AbortController | undefined = undefined;
  #isAnswered = false;
  #over: ((isComplete: boolean) => void) | undefined = undefined;

  constructor(request: Request, info: HandlerInfo, { cutting, report }: ServerParts) {
    this.#request = request;
    this.#info = info;
    this.#cutting = cutting;
    this.#report = report;
  }

  get remoteAddress(): string | undefined {
    try {
      const { hostname, port } = this.#info.remoteAddr;
      return formatAddress(hostname, port);
    } catch {
      // Deno forgets the address when the exchange is over.
      return undefined;
    }
  }

  /**
   * Deno aborts `request.signal` when the client leaves, and also after every answer that was
   * sent. So it counts only while the handler runs; a client that leaves a stream is noticed by
   * that being cancelled.
   */
  get signal(): AbortSignal {
    if (this.#left !== undefined) return this.#left.signal;
    this.#left = new AbortController();
    if (!this.#isAnswered) {
      const signal = signalOf(this.#request);
      const leave = (): void => {
        if (!this.#isAnswered) this.#leave();
      };
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    }
    return this.#left.signal;
  }

  hasStaticBody(response: Response): boolean {
    return isStaticBody(response);
  }

  onOver(over: (isComplete: boolean) => void): void {
    this.#over = over;
    // A client that leaves is seen only by those who have asked before.
    void this.signal;
  }

  /** The handler has answered with `response`, which is handed on as Deno shall send it. */
  finish(response: Response): Response {
    this.#isAnswered = true;
    if (!(response instanceof Response) || isStaticBody(response)) {
      if (this.#over !== undefined) this.#tellWhenTaken(this.#over);
      return response;
    }
    // What is wrong with such a body Deno says itself.
    if (response.body === null || response.body.locked || response.bodyUsed) {
      this.#over?.(false);
      return response;
    }
    return relayBody(response, {
      failed: (error) => {
        this.#report(error);
        return FAILED;
      },
      cancelled: () => this.#leave(),
      signal: this.#request.method === "HEAD" ? this.#sent() : this.#cutting,
      over: (isComplete) => this.#tellWhenOver(isComplete),
    });
  }

  /** Aborts when the answer to a HEAD is over: Deno leaves its body alone if the client has left. */
  #sent(): AbortSignal {
    const sent = new AbortController();
    const abort = (): void => sent.abort(SENT);
    this.#info.completed.then(abort, abort);
    return sent.signal;
  }

  /** A body that is complete Deno takes at once: whether its client was there is all it shows. */
  #tellWhenTaken(over: (isComplete: boolean) => void): void {
    const isHeard = !this.signal.aborted && !this.#cutting.aborted;
    this.#info.completed.then(() => over(isHeard), () => over(false));
  }

  /** All of a stream was read, or nothing more of it will be; to a HEAD nothing is owed. */
  #tellWhenOver(isRead: boolean): void {
    const over = this.#over;
    if (over === undefined) return;
    if (isRead || this.#request.method === "HEAD") this.#tellWhenTaken(over);
    else over(false);
  }

  #leave(): void {
    this.#left?.abort(new DOMException("The client has left", "AbortError"));
  }
}

/**
 * `response.body` would turn a complete body into a stream, which costs Deno its fast path.
 * Its responses carry both states under symbols that no document promises, so they are
 * looked for by name, and trusted only if they tell what they must.
 */
const isStaticBody: BodyTest = trustedBodyTest(findBodyTest());

function findBodyTest(): BodyTest | undefined {
  const symbols = Object.getOwnPropertySymbols(new Response("text"));
  const lazy = symbols.find(({ description }) => description === "lazy static body");
  const inner = symbols.find(({ description }) => description === "response");
  if (lazy === undefined || inner === undefined) return undefined;
  return (response) => {
    if (property(response, lazy) !== null) return true;
    const body = property(property(response, inner), "body");
    return body === null || property(property(body, "streamOrStatic"), "consumed") === false;
  };
}

function property(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
