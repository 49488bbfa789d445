/**
 * What passes between a listening server and the code that answers its requests.
 *
 * An adapter (`adapters/deno.ts`, `bun.ts`, `node.ts`) turns a {@linkcode FetchHandler}
 * into a {@linkcode Server}; the engine's `fetch` is one such handler. Nothing here
 * knows of applications, models or logs.
 */

import type { HttpError } from "../errors.ts";
import { defaultErrorPage } from "./error_pages.ts";

/** What a server knows of an exchange beyond the `Request` itself. */
export interface RequestInfo {
  /**
   * The peer, as `host:port` (`[host]:port` for IPv6), or `undefined` if unknown. Behind trusted
   * proxies it is the client as they name it, mostly without a port.
   */
  readonly remoteAddress: string | undefined;
  /**
   * Aborts when the client has left before its answer was sent in full, and only then:
   * never because an answer has been sent.
   */
  readonly signal: AbortSignal;
  /**
   * A field of the request's header, as `request.headers.get` would have it, where the
   * platform can look one up without making them all.
   */
  header?(name: string): string | null;
  /**
   * Whether `response` surely has a body that was complete when it was made (text, bytes,
   * nothing), told without touching `response.body`, which costs the platform its fast
   * path. `false` where the platform cannot tell.
   */
  hasStaticBody?(response: Response): boolean;
  /**
   * Calls `over` once, when the exchange is: with `true` when its last byte was sent, as far as the
   * platform can tell, with `false` if it was cut off before. To be called before the handler
   * has answered, if at all: it costs what the platform asks for it.
   */
  onOver?(over: (isComplete: boolean) => void): void;
  /**
   * `content-length` in the header of `response`, told without touching `response.headers`, where
   * that would change what the platform sends.
   */
  contentLength?(response: Response): string | null;
  /**
   * Sees to it that the body of a copy of the request arrives in time, as that of the request itself
   * has to.
   */
  readonly timeBody?: ((copy: Request) => void) | undefined;
  /** Sees to it that a body that is being read arrives in time: for a handler that `timesReads`. */
  readonly timeRead?: ((read: BodyRead) => void) | undefined;
  /**
   * Closes the client's connection, whatever is still to be sent: for one that does not take its answer.
   * Where a platform cannot, the connection ends when the client reads on and the body has failed.
   */
  cut?(): void;
  /**
   * The exchange's `traceparent` (W3C Trace Context): the client's trace, or a new one, with an id of
   * its own, which is in the access log. `undefined` where there is none.
   */
  readonly traceparent?: string;
}

/** A body that is being read to its end. */
export interface BodyRead {
  /** Whether it has arrived, or nobody waits for it any more. */
  readonly isOver: boolean;
  /** What it has at most, if that is known. */
  readonly bytes: number | undefined;
  /** Called by the reader when it is over; set by whoever looks at the time. */
  onOver: (() => void) | undefined;
  /** Called when it did not arrive in time. */
  late(error: HttpError): void;
}

/**
 * Answers a request. `request.url` is absolute and normalised as the WHATWG URL standard
 * says. It should not throw: an adapter reports what it throws and answers 500.
 */
export interface FetchHandler {
  (request: Request, info: RequestInfo): Response | Promise<Response>;
  /**
   * Makes the page of a refusal: of a request that the server does not hand on, because there is no
   * URL in it, or because a limit is reached. What could not be read of such a request is a
   * placeholder.
   * @default a plain page with the status of `error`
   */
  refuse?(error: HttpError, request: Request, info: RequestInfo): Response | Promise<Response>;
  /**
   * Whether it reads bodies of POST, PUT, PATCH and DELETE itself, whole, and has each looked at with
   * `info.timeRead`: then a server need put nothing in front of them.
   * @default {false}
   */
  readonly timesReads?: boolean;
}

/** The answer to a request that is refused with `error`: the page of `fetch`, or a plain one. */
export function answerRefusal(
  fetch: FetchHandler,
  error: HttpError,
  request: Request,
  info: RequestInfo,
): Response | Promise<Response> {
  return fetch.refuse?.(error, request, info) ?? defaultErrorPage(error.status, error.headers);
}

/**
 * What a server takes before it asks a handler. A time of 0 is no limit. What a platform has no hook
 * for is in `docs/limits.md`.
 */
export interface ServerLimits {
  /**
   * Bytes of a request's URL; more is answered with 414.
   * @default {8 KiB}
   */
  urlBytesMax?: number;
  /**
   * Bytes of a request's header, with the request line; more is answered with 431.
   * @default {16 KiB; on Deno its own bound of 64 KiB, since a look costs 1.5 µs}
   */
  headerBytesMax?: number | undefined;
  /**
   * Milliseconds until a request's header has arrived; then the answer is 408.
   * @default {10_000}
   */
  headerTimeoutMs?: number;
  /**
   * Milliseconds that a body may keep its reader waiting, for each begun MiB; then the answer is 408.
   * @default {60_000}
   */
  bodyTimeoutMs?: number;
  /**
   * Milliseconds that a connection may be idle between two requests; then it is closed.
   * @default {75_000}
   */
  idleTimeoutMs?: number;
  /**
   * Connections at a time; those beyond are closed at once.
   * @default {10_000}
   */
  connectionsMax?: number;
  /**
   * Requests whose handlers have not answered; those beyond are answered with 503 at once.
   * @default {4096}
   */
  requestsMax?: number;
  /**
   * Whose `Forwarded` and `X-Forwarded-*` fields are believed: addresses, ranges as `10.0.0.0/8`,
   * `loopback`, `private`. `remoteAddress` is then that of the client, and `request.url` has the
   * scheme and the host that it has used.
   * @default {[]}
   */
  trustedProxies?: readonly string[];
}

/** A certificate and the key to it. */
export interface TlsOptions {
  /** The certificate in PEM, and behind it those that lead to one that clients know. */
  readonly cert: string;
  /** The private key of the first of them, in PEM and without a passphrase. */
  readonly key: string;
}

/** Options of an adapter's `serve`. */
export interface ListenOptions extends ServerLimits {
  /**
   * The address to listen on; an empty string is every address, IPv6 and IPv4.
   * @default {""}
   */
  hostname?: string;
  /**
   * The TCP port; 0 lets the system choose a free one.
   * @default {9000}
   */
  port?: number;
  /**
   * Serves HTTPS, TLS 1.2 at least, as HTTP/2 or HTTP/1.1, whichever a client asks for.
   * @default none: HTTP/1.1 without TLS
   */
  tls?: TlsOptions;
  /**
   * Called once for each error that no answer could carry: one that the handler threw, or
   * one that ended a response's body half-way.
   * @default prints the error with its stack to standard error
   */
  report?: (error: unknown) => void;
}

/** A listening server. */
export interface Server {
  /** Where it listens, with the real port. */
  readonly addr: { readonly hostname: string; readonly port: number };
  /**
   * Gives another certificate to the connections to come. Those that are there go on with theirs; on
   * Bun only what is in flight does, and idle connections and handshakes are closed. If it rejects,
   * nothing has changed. Without TLS there is none, and none on Deno, which cannot do it.
   *
   * @throws {SyntaxError} if one of the two is not what it should be.
   * @throws {RangeError} if the key is not that of the certificate.
   */
  setTls?(tls: TlsOptions): Promise<void>;
  /**
   * Stops accepting at once, closes idle connections, lets exchanges in flight finish, and
   * resolves when the last connection is closed. After `graceMs` milliseconds what is
   * left is cut off. Calling it again returns the same promise, and may shorten the grace.
   *
   * @default graceMs 10_000
   */
  stop(options?: { graceMs?: number }): Promise<void>;
}
