/**
 * A worker for a pool: `serveWorker` answers, one at a time, the requests that come as packets on
 * standard input, with packets on file descriptor 3. `docs/workers.md` has the protocol.
 *
 * @module
 */

import process from "node:process";
import { AlcedoError, messageOf } from "../runtime/errors.ts";
import { checkResponse } from "../runtime/http/check_response.ts";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import type { FetchHandler, RequestInfo } from "../runtime/http/fetch_handler.ts";
import { PACKET_BYTES_MAX } from "../runtime/limits.ts";
import {
  canonicalName,
  requestHeaders,
  responseFields,
} from "../runtime/processes/packet_headers.ts";
import { PacketReader } from "../runtime/processes/packet_reader.ts";
import {
  decodeRequest,
  encodeResponse,
  HEALTH_CHECK,
  type HttpRequest,
} from "../runtime/processes/packets.ts";
import { failurePage } from "./_failure.ts";
import { isServedMethod } from "./_served_method.ts";
import { openWorkerChannel, type WorkerChannel } from "./_worker_channel.ts";
import { printError, printWarning } from "./print.ts";

/** Options of {@linkcode serveWorker}. */
export interface ServeWorkerOptions {
  /**
   * Called once for each error that ended as a 500, or as another page of the server's own fault.
   * @default prints the error with its stack to standard error
   */
  report?: (error: unknown) => void;
}

/** The answer to a health check, whose status nobody looks at. */
const HEALTHY = encodeResponse({ status: 200, headers: new Map(), body: new Uint8Array() });

/**
 * Makes this process a worker of a pool: `handler` answers requests, one at a time, until the pool
 * closes standard input. Then the process ends with 0; SIGTERM and SIGINT end it when the answer in
 * hand has been written, a second one at once. Without a pool it ends with 2, and says so.
 *
 * A handler may print what it likes: standard output and standard error are no part of the protocol.
 * Of `info.signal` it hears nothing, as a pool does not say when a client leaves.
 *
 * @example
 * ```ts
 * import { serveWorker } from "alcedo/worker";
 *
 * function handle(request: Request): Response {
 *   return new Response(`You asked for ${new URL(request.url).pathname}\n`);
 * }
 * if (import.meta.main) serveWorker(handle);
 * ```
 */
export function serveWorker(handler: FetchHandler, options: ServeWorkerOptions = {}): void {
  const channel = openWorkerChannel();
  if (channel === undefined) {
    printWarning(
      "cannot serve as a worker: there is no pipe at file descriptor 3 for the answers; " +
        "a pool gives one: alcedo pool -- COMMAND",
    );
    process.exit(2);
  }
  new PoolWorker(channel, handler, options.report ?? printError).start();
}

/** Takes packets off the channel, and answers them in turn. */
class PoolWorker {
  readonly #channel: WorkerChannel;
  readonly #handler: FetchHandler;
  readonly #report: (error: unknown) => void;
  readonly #reader = new PacketReader(PACKET_BYTES_MAX);
  /** What came while a request was being answered: little, as no more is read then. */
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #isAnswering = false;
  #hasEnded = false;
  #isStopping = false;

  constructor(channel: WorkerChannel, handler: FetchHandler, report: (error: unknown) => void) {
    this.#channel = channel;
    this.#handler = handler;
    this.#report = report;
  }

  start(): void {
    // On Bun standard input that is paused, while a request is answered, holds the process no longer.
    setInterval(() => {}, FOR_EVER_MS);
    this.#channel.requests
      .on("data", (chunk: Uint8Array<ArrayBuffer>) => {
        if (this.#isStopping) return;
        this.#chunks.push(chunk);
        if (this.#isAnswering) this.#channel.requests.pause();
        else void this.#answerAll();
      })
      .on("end", () => {
        this.#hasEnded = true;
        if (!this.#isAnswering) void this.#exit(0);
      })
      .on("error", (error) => this.#fail(error));
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => this.#stop());
  }

  #stop(): void {
    if (this.#isStopping) process.exit(1);
    this.#isStopping = true;
    if (!this.#isAnswering) void this.#exit(0);
  }

  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    try {
      for (let chunk; (chunk = this.#chunks.shift()) !== undefined;) {
        for (const message of this.#reader.read(chunk)) {
          const written = this.#channel.write(await this.#answer(message));
          if (written !== undefined) await written;
          if (this.#isStopping) return await this.#exit(0);
        }
      }
    } catch (error) {
      return await this.#fail(error);
    }
    this.#isAnswering = false;
    if (this.#hasEnded) return await this.#exit(0);
    this.#channel.requests.resume();
  }

  /** The packet that answers the one with `message`. */
  async #answer(message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const asked = decodeRequest(message);
    if (asked === HEALTH_CHECK) return HEALTHY;
    try {
      return await encode(await this.#respond(asked));
    } catch (error) {
      return await encode(failurePage(error, this.#report));
    }
  }

  #respond(asked: HttpRequest): Response | Promise<Response> {
    if (!isServedMethod(asked.method)) return defaultErrorPage(501);
    const request = webRequest(asked);
    return request === undefined
      ? defaultErrorPage(400)
      : this.#handler(request, new Exchange(asked));
  }

  /** Ends for what the pool has done: it is gone, or what it writes are no requests. */
  async #fail(error: unknown): Promise<void> {
    if (error instanceof Error && "code" in error && error.code === "EPIPE") {
      return await this.#exit(0);
    }
    if (error instanceof AlcedoError) printWarning(messageOf(error));
    else printError(error);
    await this.#exit(1);
  }

  async #exit(code: number): Promise<void> {
    this.#isStopping = true;
    if (code === 0 && this.#hasEnded && this.#reader.bufferedBytes > 0) {
      printWarning("the pool closed standard input in the middle of a request");
      code = 1;
    }
    await this.#channel.close();
    process.exit(code);
  }
}

/** The longest that a timer can take. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** What the handler is told beside the request. */
class Exchange implements RequestInfo {
  readonly #asked: HttpRequest;
  #signal: AbortSignal | undefined;

  constructor(asked: HttpRequest) {
    this.#asked = asked;
  }

  get remoteAddress(): string | undefined {
    return this.#asked.remoteAddress || undefined;
  }

  get signal(): AbortSignal {
    return this.#signal ??= new AbortController().signal;
  }

  header(name: string): string | null {
    return this.#asked.headers.get(canonicalName(name)) ?? null;
  }
}

/** The request in a packet, or `undefined` if the Web has none with such a URL. */
function webRequest({ method, uri, headers, body }: HttpRequest): Request | undefined {
  // A body is there or not; where the Web allows none, it is left out.
  const init: RequestInit = { method, headers: requestHeaders(headers) };
  if (body.length > 0 && method !== "GET" && method !== "HEAD") init.body = body;
  try {
    return new Request(uri, init);
  } catch {
    return undefined;
  }
}

async function encode(response: Response): Promise<Uint8Array> {
  checkResponse(response, "the handler must return a Response");
  const { status, headers } = response;
  const body = await response.bytes();
  return encodeResponse({ status, headers: responseFields(headers), body });
}
