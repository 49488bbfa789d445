/**
 * The adapter for Bun: a `FetchHandler` on `Bun.serve`. This file adds what the platform
 * leaves out: URLs for requests without a host, errors of a response's body, answers for
 * what is not a response, a bounded stop.
 */

import { setImmediate } from "node:timers";
import type {
  FetchHandler,
  ListenOptions,
  RequestInfo,
  Server,
} from "../runtime/http/fetch_handler.ts";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import { fallbackAuthority, formatAddress } from "./_address.ts";
import { failurePage, notAResponse } from "./_failure.ts";
import { listenOn, resolveListenOptions } from "./_listen_options.ts";
import { normalRequest } from "./_normal_request.ts";
import { hasNormalOrigin } from "./_normal_url.ts";
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
    fetch: (request: Request, server: HttpServer) => Response | Promise<Response>;
    error: (error: unknown) => Response;
  }): HttpServer;
  inspect(value: unknown): string;
};

interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  requestIP(request: Request): { address: string; port: number } | null;
  stop(closeActiveConnections?: boolean): Promise<void>;
  /** Closes the connection of `request` after so many seconds in which nothing has moved; 0: never. */
  timeout(request: Request, seconds: number): void;
}

/**
 * Serves `fetch`, and resolves once connections are accepted.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if the port is taken.
 */
export function serve(fetch: FetchHandler, options: ListenOptions = {}): Promise<Server> {
  return new Promise((resolve) => resolve(start(fetch, options)));
}

function start(fetch: FetchHandler, options: ListenOptions): Server {
  const { hostname, port, report } = resolveListenOptions(options);
  const listen = (host: string): HttpServer =>
    Bun.serve({
      hostname: host,
      port,
      // Bun would cut a handler that takes long, and a stream that is silent, after 12 s.
      idleTimeout: 0,
      // A bound on bodies is the business of whoever reads them.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      // Bun's default is true outside of development: a taken port would go unnoticed.
      reusePort: false,
      fetch: answer,
      // What Bun finds wrong with a response: used before, locked, of status 0.
      error: (error) => failurePage(error, report),
    });

  const server = listenOn(hostname, listen);
  const fallback = fallbackAuthority(server.hostname, server.port);

  function answer(request: Request): Response | Promise<Response> {
    if (!isServedMethod(request.method)) return defaultErrorPage(501);
    const exchange = new Exchange(request, server);
    if (hasNormalOrigin(request.url)) return respond(request, exchange);
    const normal = normalRequest(request, fallback, () => exchange.signal);
    return normal === undefined ? defaultErrorPage(400) : respond(normal, exchange);
  }

  function respond(request: Request, exchange: Exchange): Response | Promise<Response> {
    try {
      const response = fetch(request, exchange);
      if (exchange.isWatched) return watched(response, exchange);
      return response instanceof Promise ? response.then(finish, fail) : finish(response);
    } catch (error) {
      return fail(error);
    }
  }

  /** The same for an exchange of which somebody wants to know when it is over. */
  async function watched(
    response: Response | Promise<Response>,
    exchange: Exchange,
  ): Promise<Response> {
    try {
      return finish(await response, exchange);
    } catch (error) {
      return failed(error, exchange);
    }
  }

  const fail = (error: unknown): Response => failurePage(error, report);

  const finish = (response: unknown, exchange?: Exchange): Response => {
    if (!(response instanceof Response)) return failed(notAResponse(response), exchange);
    if (isStaticBody(response) || hasKnownSize(response)) {
      exchange?.taken();
      return response;
    }
    try {
      const over = exchange && ((isRead: boolean) => exchange.read(isRead));
      return relayBody(response, { failed: reportStream, ...over && { over } });
    } catch (error) {
      // The body is locked, or was read before.
      return failed(error, exchange);
    }
  };

  const failed = (error: unknown, exchange: Exchange | undefined): Response => {
    exchange?.taken();
    return fail(error);
  };

  /** Bun's own way with streams that fail is to print some errors, and to keep others quiet. */
  const reportStream = async (error: unknown): Promise<Error> => {
    report(error);
    // Once it has begun to send, which is before the next timer, it cuts off without a word.
    await new Promise((resolve) => setTimeout(resolve));
    return new Error("The response's body has failed");
  };

  return {
    addr: { hostname: server.hostname, port: server.port },
    stop: createStop({
      drain: async () => {
        await server.stop();
        // Connections with a part of a request are left open by that.
        await server.stop(true);
      },
      cut: () => void server.stop(true),
    }),
  };
}

/** One exchange, as its handler may ask about it. Nothing is asked of Bun before that. */
class Exchange implements RequestInfo {
  readonly #request: Request;
  readonly #server: HttpServer;
  #over: ((isComplete: boolean) => void) | undefined = undefined;

  constructor(request: Request, server: HttpServer) {
    this.#request = request;
    this.#server = server;
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

  /** Whether somebody wants to know when it is over. */
  get isWatched(): boolean {
    return this.#over !== undefined;
  }

  /**
   * Bun has all of the answer, or will have when this turn of the event loop is over. It does not
   * say when it has sent that.
   */
  taken(): void {
    setImmediate(() => this.#over?.(!this.signal.aborted));
  }

  /** All of a stream was read, or nothing more of it will be; to a HEAD nothing is owed. */
  read(isRead: boolean): void {
    if (isRead || this.#request.method === "HEAD") this.taken();
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

/**
 * Bun does not say whether a body is complete, but it knows what a response weighs: text and
 * bytes are counted, a stream is not. (Counted too are a reason phrase, the URL of a fetched
 * response and properties added to the object, so a response with one of these is not told
 * apart.) No document promises that, so it is trusted only if it tells what it must; it
 * takes some 30 ns.
 */
const isStaticBody: BodyTest = trustedBodyTest(findBodyTest());

function findBodyTest(): BodyTest | undefined {
  const jsc: { estimateShallowMemoryUsageOf?: (value: object) => number } | undefined = process
    .getBuiltinModule("bun:jsc");
  const weigh = jsc?.estimateShallowMemoryUsageOf;
  if (weigh === undefined) return undefined;
  const bodiless = weigh(new Response(null));
  return (response) =>
    weigh(response) > bodiless
      ? response.statusText === "" && response.url === "" && Reflect.ownKeys(response).length === 0
      : response.body === null;
}
