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
import { normalRequest } from "./_normal_request.ts";
import { isNormalUrl } from "./_normal_url.ts";
import { createStop } from "./_stop.ts";

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
  // Its environments for HTTP/2 have no business here: the server is one for HTTP/1.
  const handle = getRequestListener((request, env) => answer(request, env as HttpBindings), {
    hostname: fallback,
    // Only a URL that cannot be gets here: what handlers throw is caught before.
    errorHandler: () => defaultErrorPage(400),
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
      if (response instanceof Promise) {
        response.then(
          (late) => send(outgoing, late),
          (error: unknown) => send(outgoing, failurePage(error, report)),
        );
        return answeredElsewhere();
      }
      if (answerer.isPlainText(response)) return response;
      send(outgoing, response);
      return answeredElsewhere();
    } catch (error) {
      return failurePage(error, report);
    }
  }

  function send(outgoing: ServerResponse, response: Response): void {
    if (stopping) outgoing.shouldKeepAlive = false;
    answerer.send(outgoing, response);
  }

  server.on("request", (incoming, outgoing) => {
    outgoing.strictContentLength = true;
    if (stopping) outgoing.shouldKeepAlive = false;
    handle(incoming, outgoing).catch((error: unknown) => answerer.fail(outgoing, error));
  });
  server.on("connect", (_, socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  // A connection that could not be accepted; the others are as well as before.
  server.on("error", report);

  return {
    addr,
    stop: createStop({
      drain: () =>
        new Promise((resolve) => {
          stopping = true;
          // For connections whose head is out: `connection: close` comes too late for them.
          server.keepAliveTimeout = 1;
          server.keepAliveTimeoutBuffer = 0;
          server.close(() => resolve());
        }),
      cut: () => server.closeAllConnections(),
    }),
  };
}

/** What Hono gets in place of a response that it shall not send: it waits, holding nothing. */
function answeredElsewhere(): Promise<Response> {
  return new Promise(() => {});
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
