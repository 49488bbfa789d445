/**
 * The adapter for Node: a `FetchHandler` on `@hono/node-server`, whose lightweight `Request`
 * and `Response` are the cheapest of those measured. What it does best, sending text that is
 * there at once, is left to it; `_node_answer.ts` sends everything else.
 */

import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import type {
  FetchHandler,
  ListenOptions,
  RequestInfo,
  Server,
} from "../runtime/http/fetch_handler.ts";
import { fallbackAuthority, formatAddress } from "./_address.ts";
import { failurePage } from "./_failure.ts";
import { resolveListenOptions } from "./_listen_options.ts";
import { type Answerer, createAnswerer } from "./_node_answer.ts";
import { answerParserErrors, refusalOf } from "./_node_request.ts";
import { normalRequest } from "./_normal_request.ts";
import { isNormalUrl } from "./_normal_url.ts";
import { createStop } from "./_stop.ts";

/** Tells Hono's error handler that there is nothing left to send. */
const ANSWERED = Symbol("answered");
const answeredElsewhere: Promise<Response> = Promise.reject(ANSWERED);
answeredElsewhere.catch(() => {});

/**
 * Serves `fetch`, and resolves once connections are accepted. It replaces the global `Request`
 * and `Response` by subclasses of them that are cheap to make.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if the port is taken.
 */
export async function serve(fetch: FetchHandler, options: ListenOptions = {}): Promise<Server> {
  const { hostname, port, report } = resolveListenOptions(options);
  const server = createServer();
  const addr = await listening(server, hostname, port);
  const fallback = fallbackAuthority(addr.hostname, addr.port);
  // As a server for HTTP/1 it gets no other bindings than those.
  const handle = getRequestListener((request, env) => answer(request, env as HttpBindings), {
    hostname: fallback,
    // Besides what was answered elsewhere only a URL that cannot be gets here.
    errorHandler: (error) => error === ANSWERED ? undefined : defaultErrorPage(400),
  });
  const answerer = createAnswerer(report);
  let stopping = false;

  function answer(request: Request, { outgoing }: HttpBindings): Response | Promise<Response> {
    const exchange = new Exchange(outgoing, answerer);
    if (isNormalUrl(request.url)) return respond(request, outgoing, exchange);
    const normal = normalRequest(request, fallback, () => exchange.signal);
    return normal === undefined ? defaultErrorPage(400) : respond(normal, outgoing, exchange);
  }

  function respond(
    request: Request,
    outgoing: ServerResponse,
    exchange: Exchange,
  ): Response | Promise<Response> {
    try {
      const response = fetch(request, exchange);
      if (!(response instanceof Promise)) return send(outgoing, response);
      return response.then(
        (late) => send(outgoing, late),
        (error: unknown) => send(outgoing, failurePage(error, report)),
      );
    } catch (error) {
      return send(outgoing, failurePage(error, report));
    }
  }

  /** Hands plain text on to Hono, and sends all else. */
  function send(outgoing: ServerResponse, response: Response): Response | Promise<Response> {
    if (stopping) outgoing.shouldKeepAlive = false;
    if (answerer.isPlainText(response)) return response;
    answerer.send(outgoing, response);
    return answeredElsewhere;
  }

  server.on("request", (incoming, outgoing) => {
    const status = refusalOf(incoming);
    if (status !== 0) {
      outgoing.shouldKeepAlive = false;
      return answerer.send(outgoing, defaultErrorPage(status));
    }
    handle(incoming, outgoing).catch((error: unknown) => answerer.fail(outgoing, error));
  });
  server.on("connect", (_, socket) => socket.end("HTTP/1.1 501 Not Implemented\r\n\r\n"));
  answerParserErrors(server);
  // A connection that could not be accepted; the others are as well as before.
  server.on("error", report);

  return {
    addr,
    stop: createStop({
      drain: () =>
        new Promise((resolve) => {
          stopping = true;
          // For connections whose head is out: `connection: close` comes too late for them.
          // (Deno's types do not know the second.)
          Object.assign(server, { keepAliveTimeout: 1, keepAliveTimeoutBuffer: 0 });
          server.close(() => resolve());
        }),
      cut: () => server.closeAllConnections(),
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

/** One exchange, as its handler may ask about it. Nothing is asked of Node before that. */
class Exchange implements RequestInfo {
  readonly #outgoing: ServerResponse;
  readonly #answerer: Answerer;
  #signal: AbortSignal | undefined = undefined;

  constructor(outgoing: ServerResponse, answerer: Answerer) {
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
    outgoing.once("close", () => over(outgoing.writableFinished));
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
