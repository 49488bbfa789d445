/**
 * TLS on Deno, whose servers speak HTTP/2 by themselves, but not as they speak HTTP/1.1: they
 * leave out `host`, drop what is in flight when they shut down, and wait then for every handshake.
 * This file knows what is in flight, and makes up for that.
 */

import { defaultErrorPage } from "../runtime/http/error_pages.ts";
import type { TlsOptions } from "../runtime/http/fetch_handler.ts";
import { checkTls } from "./_tls.ts";

/**
 * Milliseconds after the last answer for the rest of it to leave. A connection that is still there
 * then is most likely a handshake that does not go on: no client that hangs may hold a stop back.
 */
const LINGER_MS = 1000;

/** What `Deno.serve` is told for TLS. @throws what `checkTls` throws. */
export function secureOptions({ cert, key }: TlsOptions): TlsOptions {
  checkTls({ cert, key });
  return { cert, key };
}

type Answer<Info> = (request: Request, info: Info) => Response | Promise<Response>;

/** The exchanges of a TLS server. */
export class SecureExchanges {
  #inFlight = 0;
  #inFlightHttp2 = 0;
  #isStopping = false;
  #wake = (): void => {};

  /** `answer`, watched, with a `host` for HTTP/2. */
  watched<Info extends { readonly completed: Promise<void> }>(
    answer: Answer<Info>,
  ): Answer<Info> {
    return (request, info) => {
      // A request of HTTP/1.0 may have none either; what is done then does it no harm.
      const isHttp2 = !request.headers.has("host");
      if (isHttp2 && this.#isStopping) return defaultErrorPage(503, { "retry-after": "1" });
      this.#inFlight++;
      if (isHttp2) this.#inFlightHttp2++;
      const over = (): void => {
        this.#inFlight--;
        if (isHttp2) this.#inFlightHttp2--;
        this.#wake();
      };
      info.completed.then(over, over);
      return answer(isHttp2 ? withHost(request) : request, info);
    };
  }

  /**
   * Resolves when no exchange of HTTP/2 is in flight, or `signal` aborts. New ones are refused
   * meanwhile.
   */
  async http2Over(signal: AbortSignal): Promise<void> {
    this.#isStopping = true;
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve(), { once: true })
    );
    while (this.#inFlightHttp2 > 0 && !signal.aborted) {
      await Promise.race([this.#change(), aborted]);
    }
  }

  /** Resolves when nothing is in flight, and some time has gone by. */
  async lingered(): Promise<void> {
    while (this.#inFlight > 0) await this.#change();
    await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }
}

/** `request`, whose own fields cannot be changed, with what its URL has for a host. */
function withHost(request: Request): Request {
  const headers = new Headers(request.headers);
  headers.set("host", request.url.split("/", 3)[2] ?? "");
  return new Request(request, { headers });
}
