/**
 * The access log: each exchange that was answered, as one line, under the id of its trace.
 *
 * It measures until the answer is handed to the server; how long a client takes for its last byte
 * is not in it.
 */

import type { Clock } from "../clock.ts";
import { type HttpError, statusOf } from "../errors.ts";
import { type AccessFormat, accessLine } from "./access_line.ts";
import { answerRefusal, type FetchHandler, type RequestInfo } from "./fetch_handler.ts";
import {
  formatTraceparent,
  nextTraceparent,
  parseTraceparent,
  type TraceParent,
} from "./traceparent.ts";

/** What an access log is made of. */
export interface AccessLogParts {
  readonly format: AccessFormat;
  /** Takes a line, with its end; must not wait. */
  readonly write: (line: string) => void;
  readonly clock: Clock;
  /** The time of day, in milliseconds since 1970. */
  readonly timeOfDay: () => number;
}

/** `fetch`, with its exchanges logged. It gets `info.traceparent`. */
export function accessLogged(fetch: FetchHandler, parts: AccessLogParts): FetchHandler {
  return Object.assign(
    (request: Request, info: RequestInfo) =>
      logged(request, info, parts, (exchange) => fetch(request, exchange)),
    {
      refuse: (error: HttpError, request: Request, info: RequestInfo) =>
        logged(request, info, parts, (exchange) => answerRefusal(fetch, error, request, exchange)),
    },
  );
}

function logged(
  request: Request,
  info: RequestInfo,
  parts: AccessLogParts,
  ask: (exchange: LoggedExchange) => Response | Promise<Response>,
): Response | Promise<Response> {
  const exchange = new LoggedExchange(request, info, parts);
  let answer: Response | Promise<Response>;
  try {
    answer = ask(exchange);
  } catch (error) {
    exchange.log(statusOf(error));
    throw error;
  }
  if (!(answer instanceof Promise)) return exchange.answered(answer);
  return answer.then((response) => exchange.answered(response), (error) => {
    exchange.log(statusOf(error));
    throw error;
  });
}

/** An exchange, as its handler may ask about it, and until its line is written. */
class LoggedExchange implements RequestInfo {
  /** Servers forget it when the client is gone. */
  readonly remoteAddress: string | undefined;
  /** Not there if the server does not tell: else nobody would see to it. */
  readonly onOver?: NonNullable<RequestInfo["onOver"]>;
  readonly #request: Request;
  readonly #info: RequestInfo;
  readonly #parts: AccessLogParts;
  readonly #client: TraceParent | undefined;
  readonly #trace: TraceParent;
  readonly #time: number;
  readonly #start: number;

  constructor(request: Request, info: RequestInfo, parts: AccessLogParts) {
    this.remoteAddress = info.remoteAddress;
    if (info.onOver !== undefined) this.onOver = (over) => info.onOver?.(over);
    this.#request = request;
    this.#info = info;
    this.#parts = parts;
    this.#client = parseTraceparent(this.header("traceparent") ?? "");
    this.#trace = nextTraceparent(this.#client);
    this.#time = parts.timeOfDay();
    this.#start = parts.clock.now();
  }

  get signal(): AbortSignal {
    return this.#info.signal;
  }

  get traceparent(): string {
    return formatTraceparent(this.#trace);
  }

  get timeBody(): RequestInfo["timeBody"] {
    return this.#info.timeBody;
  }

  header(name: string): string | null {
    const info = this.#info;
    return info.header === undefined ? this.#request.headers.get(name) : info.header(name);
  }

  hasStaticBody(response: Response): boolean {
    return this.#info.hasStaticBody?.(response) ?? false;
  }

  /** Writes the line of an exchange that ends with `response`, or with what is none. */
  answered(response: Response): Response {
    const isResponse = typeof response?.status === "number";
    if (isResponse) this.log(response.status, this.#sizeOf(response));
    else this.log(500);
    return response;
  }

  log(status: number, bytes?: number): void {
    const { format, write, clock } = this.#parts;
    const { method, url } = this.#request;
    write(accessLine({
      time: new Date(this.#time).toISOString(),
      method,
      path: pathOf(url),
      status,
      bytes,
      duration_ms: Math.round(1000 * (clock.now() - this.#start)) / 1000,
      remote: this.remoteAddress,
      trace_id: this.#trace.traceId,
      span_id: this.#trace.parentId,
      parent_id: this.#client?.parentId,
    }, format));
  }

  #sizeOf(response: Response): number | undefined {
    const { contentLength } = this.#info;
    const field = contentLength === undefined
      ? response.headers.get("content-length")
      : contentLength.call(this.#info, response);
    return field !== null && /^\d+$/.test(field) ? Number(field) : undefined;
  }
}

/** The path of an absolute URL, without the query. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  return start < 0 ? "/" : url.slice(start).replace(/[?#].*$/s, "");
}
