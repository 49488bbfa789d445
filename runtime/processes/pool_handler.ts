/**
 * HTTP in front of a pool: a request becomes a packet, and the answer of a worker a response. What
 * passes between the two connections only is left out on the way, and the size of a body is what it is.
 */

import type { Clock } from "../clock.ts";
import { Deadlines, type Expiring } from "../deadlines.ts";
import { HttpError, isFault, refusal, RETRY_AFTER } from "../errors.ts";
import { readBody } from "../http/buffered_request.ts";
import { defaultErrorPage } from "../http/error_pages.ts";
import type { RequestInfo } from "../http/fetch_handler.ts";
import { inChunks, withTimedBody } from "../http/slow_client.ts";
import { BODY_BYTES_MAX, POOL_TRANSFER_MS } from "../limits.ts";
import { byteString, canonicalName, requestFields } from "./packet_headers.ts";
import { decodeResponse, encodeRequest, type HttpRequest, type HttpResponse } from "./packets.ts";
import type { Pool } from "./pool.ts";
import type { PoolRefusal } from "./pool_task.ts";

/** Options of a {@linkcode PoolHandler}. */
export interface PoolHandlerOptions {
  /**
   * Bytes that the body of a request may have.
   * @default {4 MiB}
   */
  readonly bodyBytesMax?: number;
  /**
   * Milliseconds in which the body of a request must arrive.
   * @default {60_000}
   */
  readonly readTimeoutMs?: number;
  /**
   * Milliseconds in which a client must take an answer that does not leave at once.
   * @default {60_000}
   */
  readonly writeTimeoutMs?: number;
}

/** Methods that mean the same done once or twice (RFC 9110, section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "PUT",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "QUERY",
]);

/** What is said of one connection, and of how a message is sent there (RFC 9110, section 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const EMPTY = new Uint8Array(0);

/** Answers requests with what a pool's workers say. */
export class PoolHandler {
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #report: (error: unknown) => void;
  readonly #bodyBytesMax: number;
  readonly #writeTimeoutMs: number;
  readonly #reading: Deadlines;

  /** `report` is called with what is wrong here, and with a `SlowClient` that was cut off. */
  constructor(
    pool: Pool,
    parts: { readonly clock: Clock; readonly report: (error: unknown) => void },
    options: PoolHandlerOptions = {},
  ) {
    this.#pool = pool;
    this.#clock = parts.clock;
    this.#report = parts.report;
    this.#bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#writeTimeoutMs = options.writeTimeoutMs ?? POOL_TRANSFER_MS;
    this.#reading = new Deadlines(parts.clock, options.readTimeoutMs ?? POOL_TRANSFER_MS);
  }

  /** Answers a request; never rejects. */
  readonly fetch = (request: Request, info: RequestInfo): Response | Promise<Response> => {
    try {
      const fields = requestFields(request.headers);
      const body = hasBody(request.method, fields)
        ? readBody(request, info, this.#bodyBytesMax, (bytes) => bytes)
        : EMPTY;
      if (body instanceof Uint8Array) return this.#ask(request, info, fields, body);
      return this.#inTime(body).then((bytes) => this.#ask(request, info, fields, bytes))
        .catch((error) => this.#errorPage(error));
    } catch (error) {
      return this.#errorPage(error);
    }
  };

  #inTime<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const reading: Expiring = {
        expiresAt: 0,
        expire: () => reject(refusal(408, "the body did not arrive in time")),
      };
      this.#reading.start(reading);
      promise.then(resolve, reject).finally(() => this.#reading.stop(reading));
    });
  }

  #ask(
    request: Request,
    info: RequestInfo,
    fields: Map<string, string>,
    body: Uint8Array<ArrayBuffer>,
  ): Promise<Response> {
    const { method } = request;
    const packet = encodeRequest({
      remoteAddress: info.remoteAddress ?? "",
      uri: request.url,
      method,
      headers: askedHeaders(fields, body.length),
      body,
    });
    return new Promise((resolve) => {
      this.#pool.ask({
        packet,
        isRepeatable: IDEMPOTENT.has(method),
        hasLeft: () => info.signal.aborted,
        accept: (message) => {
          const response = this.#response(decodeResponse(message), method, info);
          return () => resolve(response);
        },
        refuse: (status) => resolve(refusalPage(status)),
      });
    });
  }

  #response(
    { status, headers, body }: HttpResponse,
    method: string,
    info: RequestInfo,
  ): Response {
    if (status === 204 || status === 205 || status === 304) {
      return new Response(null, { status, headers: sentHeaders(headers) });
    }
    if (method === "HEAD") {
      // A worker may leave the body out by itself, and say how large it would be.
      const length = body.length > 0 ? body.length : statedLength(headers);
      return new Response(null, { status, headers: sentHeaders(headers, length) });
    }
    const sent = inChunks(body);
    if (sent === body) return new Response(body, { status, headers: sentHeaders(headers) });
    const init = { status, headers: sentHeaders(headers, body.length) };
    return withTimedBody(new Response(sent, init), this.#writeTimeoutMs, {
      clock: this.#clock,
      info,
      late: this.#report,
    });
  }

  #errorPage(error: unknown): Response {
    if (isFault(error)) this.#report(error);
    return error instanceof HttpError
      ? defaultErrorPage(error.status, error.headers)
      : defaultErrorPage(500);
  }

  /** Stops the timers. */
  close(): void {
    this.#reading.close();
  }
}

/** Whether there may be one: to ask for a stream that is not there is dear on some platforms. */
function hasBody(method: string, fields: HttpRequest["headers"]): boolean {
  return method !== "GET" && method !== "HEAD" || fields.has("Content-Length") ||
    fields.has("Transfer-Encoding");
}

/**
 * The headers of a request for a worker. A body that came in chunks has a size by now; that of a GET,
 * which the Web does not know, has none any more.
 */
function askedHeaders(fields: Map<string, string>, bodyBytes: number): HttpRequest["headers"] {
  const isSized = fields.has("Transfer-Encoding") || fields.has("Content-Length");
  const named = fields.get("Connection")?.split(",") ?? [];
  for (const name of HOP_BY_HOP) fields.delete(canonicalName(name));
  for (const name of named) fields.delete(canonicalName(name.trim()));
  if (isSized) fields.set("Content-Length", String(bodyBytes));
  return fields;
}

function refusalPage(status: PoolRefusal): Response {
  return defaultErrorPage(status, status === 503 ? RETRY_AFTER : {});
}

/**
 * The headers of an answer for its client: a record, which is the quickest on all platforms, unless a
 * name has several values.
 *
 * @param length What to say of the size of the body, where it is not sent as it is
 */
function sentHeaders(
  fields: HttpResponse["headers"],
  length?: number,
): Record<string, string> | Headers {
  const record: Record<string, string> = {};
  const named = namedByConnection(fields);
  for (const [name, values] of fields) {
    const key = name.toLowerCase();
    if (key === "content-length" || HOP_BY_HOP.has(key) || named?.includes(key)) continue;
    const [value, ...more] = values;
    if (value === undefined) continue;
    if (more.length > 0 || key in record) return sentList(fields, named, length);
    record[key] = byteString(value);
  }
  if (length !== undefined) record["content-length"] = String(length);
  return record;
}

/** The same, with names that have several values. */
function sentList(
  fields: HttpResponse["headers"],
  named: readonly string[] | undefined,
  length: number | undefined,
): Headers {
  const headers = new Headers();
  for (const [name, values] of fields) {
    const key = name.toLowerCase();
    if (key === "content-length" || HOP_BY_HOP.has(key) || named?.includes(key)) continue;
    for (const value of values) headers.append(key, byteString(value));
  }
  if (length !== undefined) headers.set("content-length", String(length));
  return headers;
}

/** The names that a `Connection` header adds to those of one connection. */
function namedByConnection(fields: HttpResponse["headers"]): readonly string[] | undefined {
  for (const [name, values] of fields) {
    if (name.length === "connection".length && name.toLowerCase() === "connection") {
      return values.join(",").toLowerCase().split(",").map((each) => each.trim());
    }
  }
  return undefined;
}

/** What a worker says of the size of a body that it leaves out. */
function statedLength(fields: HttpResponse["headers"]): number | undefined {
  for (const [name, [value = ""]] of fields) {
    if (name.toLowerCase() === "content-length" && /^\d{1,15}$/.test(value)) return Number(value);
  }
  return undefined;
}
