/**
 * The adapter for Bun: a `FetchHandler` on `Bun.serve`. This file adds what the platform
 * leaves out: URLs for requests without a host, errors of a response's body, answers for
 * what is not a response, a bounded stop.
 */

import http from "node:http";
import { setImmediate } from "node:timers";
import type {
  FetchHandler,
  ListenOptions,
  Server,
  TlsOptions,
} from "../runtime/http/fetch_handler.ts";
import { fallbackOrigin, formatAddress } from "./_address.ts";
import type { SecureOptions } from "./_bun_tls.ts";
import { failurePage, notAResponse } from "./_failure.ts";
import { Guard, type ServedExchange } from "./_guard.ts";
import { listenOn, resolveListenOptions } from "./_listen_options.ts";
import { normalRequest } from "./_normal_request.ts";
import { hasNormalOrigin } from "./_normal_url.ts";
import { refusedRequest } from "./_refused_request.ts";
import { relayBody } from "../runtime/http/relayed_body.ts";
import { isServedMethod } from "./_served_method.ts";
import { type BodyTest, trustedBodyTest } from "./_static_body.ts";
import { createStop } from "./_stop.ts";

/** What this file uses of the platform. */
declare const Bun: {
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    maxRequestBodySize: number;
    development: boolean;
    reusePort: boolean;
    tls?: TlsOptions;
    http2?: boolean;
    fetch: (request: Request, server: HttpServer) => Response | Promise<Response>;
    error: (error: unknown) => Response;
  }): HttpServer;
  inspect(value: unknown): string;
};

interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  readonly pendingRequests: number;
  requestIP(request: Request): { address: string; port: number } | null;
  /** Sets the idle time of the connection, in seconds; 0 is for ever. */
  timeout(request: Request, seconds: number): void;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/**
 * Serves `fetch`, and resolves once connections are accepted.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if the port is taken, and what is wrong with `tls`.
 */
export async function serve(fetch: FetchHandler, options: ListenOptions = {}): Promise<Server> {
  const limits = resolveListenOptions(options);
  const { hostname, port, tls, report, idleTimeoutMs } = limits;
  const guard = new Guard(fetch, { limits, headerBytesMax: bytesToCount(limits.headerBytesMax) });
  const idleTimeout = Math.min(IDLE_S_MAX, Math.ceil(idleTimeoutMs / 1000));
  const secure = tls && await import("./_bun_tls.ts");
  const listen = (host: string, at: number, secureOptions?: SecureOptions): HttpServer =>
    Bun.serve({
      hostname: host,
      port: at,
      idleTimeout,
      // A bound on bodies is the business of whoever reads them.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      // Bun's default is true outside of development: a taken port would go unnoticed.
      reusePort: false,
      ...secureOptions,
      fetch: answer,
      // What Bun finds wrong with a response: used before, locked, of status 0.
      error: (error) => failurePage(error, report),
    });

  const secureOptions = tls && secure?.secureOptions(tls);
  await secure?.claimPort(hostname, port);
  const server = listenOn(hostname, (host) => listen(host, port, secureOptions));
  // A server that was stopped has forgotten it.
  const addr = { hostname: server.hostname, port: server.port };
  const shared = secure &&
    new secure.SharedPort(server, (options) => listen(addr.hostname, addr.port, options));
  const fallback = fallbackOrigin(addr.hostname, addr.port, tls);

  function answer(request: Request, server: HttpServer): Response | Promise<Response> {
    const exchange = new Exchange(request, server, idleTimeout);
    if (!isServedMethod(request.method)) return refuse(501, request, exchange);
    if (hasNormalOrigin(request.url)) {
      return respond(() => guard.fetch(request, exchange), exchange);
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
      if (!(response instanceof Promise)) return finish(response, exchange);
      exchange.keepOpen();
      guard.begin();
      return response.then((late) => {
        guard.end();
        return finish(late, exchange);
      }, (error) => {
        guard.end();
        return failed(error, exchange);
      });
    } catch (error) {
      return failed(error, exchange);
    }
  }

  const finish = (response: unknown, exchange: Exchange): Response => {
    if (!(response instanceof Response)) return failed(notAResponse(response), exchange);
    if (isStaticBody(response)) {
      exchange.taken(isSmall(response));
      return exchange.ended(response);
    }
    if (hasKnownSize(response)) {
      exchange.taken(false);
      return exchange.ended(response);
    }
    try {
      exchange.keepOpen();
      const relayed = relayBody(response, {
        failed: reportStream,
        over: (isRead) => exchange.read(isRead),
      });
      return exchange.ended(relayed);
    } catch (error) {
      // The body is locked, or was read before.
      return failed(error, exchange);
    }
  };

  const failed = (error: unknown, exchange: Exchange): Response => {
    exchange.taken(true);
    return exchange.ended(failurePage(error, report));
  };

  /** Bun's own way with streams that fail is to print some errors, and to keep others quiet. */
  const reportStream = async (error: unknown): Promise<Error> => {
    report(error);
    // Once it has begun to send, which is before the next timer, it cuts off without a word.
    await new Promise((resolve) => setTimeout(resolve));
    return new Error("The response's body has failed");
  };

  return {
    addr,
    ...shared && { setTls: (tls) => shared.setTls(tls) },
    stop: createStop(
      shared ?? {
        drain: async () => {
          await server.stop();
          // Connections with a part of a request are left open by that.
          await server.stop(true);
        },
        cut: () => void server.stop(true),
      },
    ),
  };
}

/** The most that Bun takes for an idle time. */
const IDLE_S_MAX = 255;

/** The bytes of a header that have to be counted here: Bun allows 16 KiB, in the whole process. */
function bytesToCount(headerBytesMax: number | undefined): number | undefined {
  if (headerBytesMax === undefined || headerBytesMax === http.maxHeaderSize) return undefined;
  if (headerBytesMax > http.maxHeaderSize) Object.assign(http, { maxHeaderSize: headerBytesMax });
  return headerBytesMax;
}

/**
 * One exchange, as its handler may ask about it. Nothing is asked of Bun before that.
 *
 * Bun's idle time runs from the beginning of a request, whatever happens on the connection: a handler
 * that takes long, a stream, and an answer that takes long to be sent must be spared from it.
 */
class Exchange implements ServedExchange {
  timeBody: ServedExchange["timeBody"] = undefined;
  timeRead: ServedExchange["timeRead"] = undefined;
  readonly #request: Request;
  readonly #server: HttpServer;
  readonly #idleTimeout: number;
  #over: ((isComplete: boolean) => void) | undefined = undefined;
  #isKeptOpen = false;
  #isBodyLate = false;

  constructor(request: Request, server: HttpServer, idleTimeout: number) {
    this.#request = request;
    this.#server = server;
    this.#idleTimeout = idleTimeout;
  }

  /** The connection is not idle until further notice. */
  keepOpen(): void {
    this.#isKeptOpen = true;
    this.#server.timeout(this.#request, 0);
  }

  bodyIsLate(): void {
    this.#isBodyLate = true;
  }

  /** `response`, with which the connection ends if the body was late. */
  ended(response: Response): Response {
    if (!this.#isBodyLate && response.status !== 408) return response;
    const headers = new Headers(response.headers);
    headers.set("connection", "close");
    return new Response(response.body, { status: response.status, headers });
  }

  get remoteAddress(): string | undefined {
    const peer = this.#server.requestIP(this.#request);
    return peer === null ? undefined : formatAddress(peer.address, peer.port);
  }

  /** Bun's own means what the contract says: it aborts only when the client left. */
  get signal(): AbortSignal {
    return this.#request.signal;
  }

  hasStaticBody(response: Response): boolean {
    return isStaticBody(response);
  }

  onOver(over: (isComplete: boolean) => void): void {
    this.#over = over;
  }

  /** Bun closes it when it next looks, which takes some seconds. */
  cut(): void {
    this.#server.timeout(this.#request, 1);
  }

  /**
   * Bun has all of the answer, or will have when this turn of the event loop is over. It does not
   * say when it has sent that: only what `isSmall` is sent at once, and then the connection is idle.
   */
  taken(isSmall: boolean): void {
    if (!isSmall) this.keepOpen();
    else if (this.#isKeptOpen) this.#server.timeout(this.#request, this.#idleTimeout);
    const over = this.#over;
    if (over !== undefined) setImmediate(() => over(!this.signal.aborted));
  }

  /** All of a stream was read, or nothing more of it will be; to a HEAD nothing is owed. */
  read(isRead: boolean): void {
    if (isRead || this.#request.method === "HEAD") this.taken(true);
    else this.#over?.(false);
  }
}

/**
 * Whether Bun knows how large `response` is, text, bytes, a `Blob` or a file, and so has no
 * stream of ours to send. It is what it shows of it: 1.4 µs, for the few that come here.
 */
function hasKnownSize(response: Response): boolean {
  return !Bun.inspect(response).startsWith("Response (0 KB)");
}

/** What the system takes at once for a client that reads: the smallest buffer that it begins with. */
const SMALL_BYTES = 16 * 1024;

function isSmall(response: Response): boolean {
  return weigh === undefined || weigh(response) < SMALL_BYTES;
}

const jsc: { estimateShallowMemoryUsageOf?: (value: object) => number } | undefined = process
  .getBuiltinModule("bun:jsc");
const weigh = jsc?.estimateShallowMemoryUsageOf;

/**
 * Bun does not say whether a body is complete, but it knows what a response weighs: text and
 * bytes are counted, a stream is not. (Counted too are a reason phrase, the URL of a fetched
 * response and properties added to the object, so a response with one of these is not told
 * apart.) No document promises that, so it is trusted only if it tells what it must; it
 * takes some 30 ns.
 */
const isStaticBody: BodyTest = trustedBodyTest(findBodyTest());

function findBodyTest(): BodyTest | undefined {
  if (weigh === undefined) return undefined;
  const bodiless = weigh(new Response(null));
  return (response) =>
    weigh(response) > bodiless
      ? response.statusText === "" && response.url === "" && Reflect.ownKeys(response).length === 0
      : response.body === null;
}
