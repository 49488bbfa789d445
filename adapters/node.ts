/**
 * The adapter for Node: a `FetchHandler` on `@hono/node-server`, whose lightweight `Request`
 * and `Response` are the cheapest of those measured. What it does best, sending text that is
 * there at once, is left to it; `_node_answer.ts` sends everything else.
 */

import {
  createServer,
  type Server as HttpServer,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { FetchHandler, ListenOptions, Server } from "../runtime/http/fetch_handler.ts";
import { HEADER_BYTES_MAX } from "../runtime/limits.ts";
import { fallbackAuthority, fallbackOrigin, formatAddress } from "./_address.ts";
import { failurePage } from "./_failure.ts";
import { Guard, type ServedExchange } from "./_guard.ts";
import { type ResolvedListenOptions, resolveListenOptions } from "./_listen_options.ts";
import { type Answerer, createAnswerer, type Outgoing } from "./_node_answer.ts";
import { answerConnect, noteWaiting } from "./_node_connect.ts";
import type { RefusedHttp2 } from "./_node_http2.ts";
import { answerParserErrors, outgoingOn, refusalOf } from "./_node_request.ts";
import { normalRequest } from "./_normal_request.ts";
import { isNormalUrl } from "./_normal_url.ts";
import { refusedRequest } from "./_refused_request.ts";
import { createStop } from "./_stop.ts";

/** Tells Hono's error handler that there is nothing left to send. */
const ANSWERED = Symbol("answered");
const answeredElsewhere: Promise<Response> = Promise.reject(ANSWERED);
answeredElsewhere.catch(() => {});

/**
 * Serves `fetch`, and resolves once connections are accepted. It replaces the global `Request`
 * and `Response` by subclasses of them that are cheap to make.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if the port is taken, and what is wrong with `tls`.
 */
export async function serve(fetch: FetchHandler, options: ListenOptions = {}): Promise<Server> {
  const limits = resolveListenOptions(options);
  const { hostname, port, tls, report } = limits;
  const guard = new Guard(fetch, { limits });
  const parser = parserLimits(limits);
  const secure = tls &&
    (await import("./_node_tls.ts")).createSecureServer(tls, parser, answerHttp2);
  const server: HttpServer = secure?.server ?? createServer(parser);
  server.maxConnections = limits.connectionsMax;
  const addr = await listening(server, hostname, port);
  const fallback = fallbackOrigin(addr.hostname, addr.port, tls);
  // As a server for HTTP/1 it gets no other bindings than those.
  const handle = getRequestListener((request, env) => answer(request, env as HttpBindings), {
    hostname: fallbackAuthority(addr.hostname, addr.port),
    // Besides what was answered elsewhere only a URL that cannot be gets here.
    errorHandler: (error) => {
      if (error !== ANSWERED && entering !== undefined) refuseFirst(400, entering);
    },
  });
  const answerer = createAnswerer(report);
  let stopping = false;
  /** The exchange that is being handed over: Hono does not say of which it makes no request. */
  let entering: ServerResponse | undefined;

  function answer(request: Request, { outgoing }: HttpBindings): Response | Promise<Response> {
    const exchange = new Exchange(outgoing, answerer);
    const { url } = request;
    const normal = isNormalUrl(url)
      ? request
      : normalRequest(request, fallback, () => exchange.signal);
    if (normal === undefined) return respond(() => refuse(400, outgoing, exchange), outgoing);
    return respond(() => guard.fetch(normal, exchange), outgoing);
  }

  /** The page for a request that cannot be handed on; of one without a head, as of an empty one. */
  function refuse(
    status: number,
    { req: { method = "GET", rawHeaders } }: ServerResponse,
    exchange: Exchange,
  ): Response | Promise<Response> {
    const headers: [string, string][] = [];
    for (let i = 1; i < rawHeaders.length; i += 2) {
      headers.push([rawHeaders[i - 1] ?? "", rawHeaders[i] ?? ""]);
    }
    return guard.refuse(status, refusedRequest(method, headers, fallback), exchange);
  }

  /** Refuses what Hono has never seen. */
  function refuseFirst(status: number, outgoing: ServerResponse): void {
    outgoing.shouldKeepAlive = false;
    const send = (page: Response): void => answerer.send(outgoing, page);
    const fail = (error: unknown): void => answerer.fail(outgoing, error);
    try {
      const page = refuse(status, outgoing, new Exchange(outgoing, answerer));
      if (!(page instanceof Promise)) return send(page);
      guard.begin();
      void page.finally(() => guard.end()).then(send, fail);
    } catch (error) {
      fail(error);
    }
  }

  function respond(
    ask: () => Response | Promise<Response>,
    outgoing: ServerResponse,
  ): Response | Promise<Response> {
    try {
      const response = ask();
      if (!(response instanceof Promise)) return send(outgoing, response);
      guard.begin();
      return response.then((late) => {
        guard.end();
        return send(outgoing, late);
      }, (error) => {
        guard.end();
        return send(outgoing, failurePage(error, report));
      });
    } catch (error) {
      return send(outgoing, failurePage(error, report));
    }
  }

  /** Hands plain text on to Hono, and sends all else. */
  function send(outgoing: ServerResponse, response: Response): Response | Promise<Response> {
    // With any other answer to a body that is late, what is left of it has half a second. (What a
    // handler returns need not be a response.)
    if (stopping || response?.status === 408) outgoing.shouldKeepAlive = false;
    if (answerer.isPlainText(response)) return response;
    answerer.send(outgoing, response);
    return answeredElsewhere;
  }

  async function answerHttp2(request: Request | RefusedHttp2, outgoing: Outgoing): Promise<void> {
    const exchange = new Exchange(outgoing, answerer);
    try {
      const response = request instanceof Request ? guard.fetch(request, exchange) : guard.refuse(
        request.status,
        refusedRequest(request.method, request.headers, fallback),
        exchange,
      );
      if (!(response instanceof Promise)) return answerer.send(outgoing, response);
      guard.begin();
      answerer.send(outgoing, await response.finally(() => guard.end()));
    } catch (error) {
      answerer.send(outgoing, failurePage(error, report));
    }
  }

  server.on("request", (incoming, outgoing) => {
    noteWaiting(outgoing);
    const status = refusalOf(incoming);
    if (status !== 0) return refuseFirst(status, outgoing);
    entering = outgoing;
    handle(incoming, outgoing).catch((error: unknown) => answerer.fail(outgoing, error));
  });
  const cutConnects = answerConnect(server, (incoming, connection) => {
    refuseFirst(501, outgoingOn(connection, incoming));
  });
  answerParserErrors(server, refuseFirst);
  // A connection that could not be accepted; the others are as well as before.
  server.on("error", report);

  return {
    addr,
    ...secure && { setTls: secure.setTls },
    stop: createStop({
      drain: () =>
        new Promise((resolve) => {
          stopping = true;
          // For connections whose head is out: `connection: close` comes too late for them.
          // (Deno's types do not know the second.)
          Object.assign(server, { keepAliveTimeout: 1, keepAliveTimeoutBuffer: 0 });
          server.close(() => resolve());
          secure?.drain();
        }),
      cut: () => {
        server.closeAllConnections();
        cutConnects();
        secure?.cut();
      },
    }),
  };
}

/** An empty `hostname` is every address: Node takes IPv6 with IPv4, or IPv4 alone. */
function listening(
  server: HttpServer,
  hostname: string,
  port: number,
): Promise<{ hostname: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...hostname !== "" && { host: hostname } }, () => {
      server.off("error", reject);
      const address = server.address();
      if (address === null || typeof address === "string") return reject(new Error("not TCP"));
      resolve({ hostname: address.address, port: address.port });
    });
  });
}

/** The limits that Node looks after. Bodies have their own. */
function parserLimits(limits: ResolvedListenOptions): ServerOptions {
  const { headerBytesMax = HEADER_BYTES_MAX, headerTimeoutMs, idleTimeoutMs } = limits;
  // Deno's types do not know the last of them.
  const options: ServerOptions & { keepAliveTimeoutBuffer: number } = {
    maxHeaderSize: headerBytesMax,
    headersTimeout: Math.ceil(headerTimeoutMs),
    requestTimeout: 0,
    // How often it looks whether a header is late: they are at most so much later.
    connectionsCheckingInterval: Math.min(1000, Math.ceil(headerTimeoutMs / 4) || 1000),
    keepAliveTimeout: Math.ceil(idleTimeoutMs),
    keepAliveTimeoutBuffer: 0,
  };
  return options;
}

/** One exchange, as its handler may ask about it. Nothing is asked of Node before that. */
class Exchange implements ServedExchange {
  timeBody: ServedExchange["timeBody"] = undefined;
  timeRead: ServedExchange["timeRead"] = undefined;
  readonly #outgoing: Outgoing;
  readonly #answerer: Answerer;
  #signal: AbortSignal | undefined = undefined;

  constructor(outgoing: Outgoing, answerer: Answerer) {
    this.#outgoing = outgoing;
    this.#answerer = answerer;
  }

  get remoteAddress(): string | undefined {
    const { remoteAddress, remotePort } = this.#outgoing.req.socket;
    if (remoteAddress === undefined || remotePort === undefined) return undefined;
    return formatAddress(remoteAddress, remotePort);
  }

  get signal(): AbortSignal {
    return this.#signal ??= this.#watch();
  }

  hasStaticBody(response: Response): boolean {
    return this.#answerer.hasStaticBody(response);
  }

  onOver(over: (isComplete: boolean) => void): void {
    const outgoing = this.#outgoing;
    if (outgoing.closed) queueMicrotask(() => over(outgoing.writableFinished));
    else outgoing.once("close", () => over(outgoing.writableFinished));
  }

  contentLength(response: Response): string | null {
    return this.#answerer.contentLength(response);
  }

  cut(): void {
    this.#outgoing.destroy();
  }

  #watch(): AbortSignal {
    const left = new AbortController();
    const outgoing = this.#outgoing;
    const leave = (): void => {
      if (!outgoing.writableFinished) {
        left.abort(new DOMException("The client has left", "AbortError"));
      }
    };
    if (outgoing.closed || outgoing.destroyed) leave();
    else outgoing.once("close", leave);
    return left.signal;
  }
}
