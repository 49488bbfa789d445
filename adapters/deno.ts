/**
 * The adapter for Deno: a `FetchHandler` on `Deno.serve`, which makes the requests, takes
 * the responses, and hands every error to one `onError`. This file adds what the platform
 * leaves out: normal URLs, a signal that means "the client has left", a bounded stop.
 */

import type {
  FetchHandler,
  ListenOptions,
  RequestInfo,
  Server,
} from "../runtime/http/fetch_handler.ts";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import { fallbackAuthority, formatAddress } from "./_address.ts";
import { failurePage } from "./_failure.ts";
import { listenOn, resolveListenOptions } from "./_listen_options.ts";
import { normalRequest } from "./_normal_request.ts";
import { isNormalUrl } from "./_normal_url.ts";
import { type BodyTest, trustedBodyTest } from "./_static_body.ts";
import { createStop } from "./_stop.ts";

/** What this file uses of the platform. */
declare const Deno: {
  serve(
    options: {
      hostname: string;
      port: number;
      signal: AbortSignal;
      automaticCompression: boolean;
      onListen: () => void;
      onError: (error: unknown) => Response;
    },
    handler: (request: Request, info: HandlerInfo) => Response | Promise<Response>,
  ): HttpServer;
};

interface HandlerInfo {
  readonly remoteAddr: { readonly hostname: string; readonly port: number };
  readonly completed: Promise<void>;
}

interface HttpServer {
  readonly addr: { readonly hostname: string; readonly port: number };
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
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
  const cut = new AbortController();
  const listen = (host: string): HttpServer =>
    Deno.serve({
      hostname: host,
      port,
      signal: cut.signal,
      // A body leaves as the handler made it, like everywhere else.
      automaticCompression: false,
      onListen: () => {},
      // Called with what the handler threw, with what is wrong with its response, and with
      // what ended a response's body half-way; in the last case the page is thrown away.
      onError: (error) => failurePage(error, report),
    }, answer);

  const server = listenOn(hostname, listen);
  const fallback = fallbackAuthority(server.addr.hostname, server.addr.port);

  function answer(request: Request, info: HandlerInfo): Response | Promise<Response> {
    const exchange = new Exchange(request, info);
    if (isNormalUrl(request.url)) return exchange.answer = fetch(request, exchange);
    const normal = normalRequest(request, fallback, () => exchange.signal);
    if (normal === undefined) return defaultErrorPage(400);
    return exchange.answer = fetch(normal, exchange);
  }

  return {
    addr: { hostname: server.addr.hostname, port: server.addr.port },
    stop: createStop({
      drain: async () => {
        await server.shutdown();
        await server.finished;
      },
      cut: () => cut.abort(),
    }),
  };
}

/** One exchange, as its handler may ask about it. Nothing is asked of Deno before that. */
class Exchange implements RequestInfo {
  /** What the handler returned, once it has. */
  answer: Response | Promise<Response> | undefined = undefined;
  readonly #request: Request;
  readonly #info: HandlerInfo;
  #signal: AbortSignal | undefined = undefined;

  constructor(request: Request, info: HandlerInfo) {
    this.#request = request;
    this.#info = info;
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

  get signal(): AbortSignal {
    return this.#signal ??= this.#watch();
  }

  hasStaticBody(response: Response): boolean {
    return isStaticBody(response);
  }

  /**
   * Deno aborts `request.signal` when the client leaves, and also after every answer that
   * was sent. While the handler runs it can only mean the first; from then on it is
   * `completed` that tells, which rejects only when the client left.
   */
  #watch(): AbortSignal {
    const left = new AbortController();
    const leave = (): void => left.abort(new DOMException("The client has left", "AbortError"));
    this.#info.completed.catch(leave);
    muteAbortWarning();
    const { signal } = this.#request;
    const leaveUnlessAnswered = async (): Promise<void> => {
      if (!await isSettled(this.answer)) leave();
    };
    if (signal.aborted) void leaveUnlessAnswered();
    else signal.addEventListener("abort", leaveUnlessAnswered, { once: true });
    return left.signal;
  }
}

/** Whether `answer` is there, be it a response or an error. */
async function isSettled(answer: Response | Promise<Response> | undefined): Promise<boolean> {
  const pending = {};
  try {
    return answer !== undefined && await Promise.race([answer, pending]) !== pending;
  } catch {
    return true;
  }
}

let muted = false;

/**
 * Deno warns once that `request.signal` also aborts after an answer. It can be told so only
 * by a flag or a `deno.json`, which are the user's; so the one warning is left out, and
 * `console.warn` is as it was from then on.
 */
function muteAbortWarning(): void {
  if (muted) return;
  muted = true;
  const { warn } = console;
  const filter = (...data: unknown[]): void => {
    if (!String(data[0]).startsWith("Deno.serve: request.signal aborts")) return warn(...data);
    if (console.warn === filter) console.warn = warn;
  };
  console.warn = filter;
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
