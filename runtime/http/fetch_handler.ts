/**
 * What passes between a listening server and the code that answers its requests.
 *
 * An adapter (`adapters/deno.ts`, `bun.ts`, `node.ts`) turns a {@linkcode FetchHandler}
 * into a {@linkcode Server}; the engine's `fetch` is one such handler. Nothing here
 * knows of applications, models or logs.
 */

/** What a server knows of an exchange beyond the `Request` itself. */
export interface RequestInfo {
  /** The peer, as `host:port` (`[host]:port` for IPv6), or `undefined` if unknown. */
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
   * returns, if at all: it costs what the platform asks for it.
   */
  onOver?(over: (isComplete: boolean) => void): void;
  /**
   * `content-length` in the header of `response`, told without touching `response.headers`, where
   * that would change what the platform sends.
   */
  contentLength?(response: Response): string | null;
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

/**
 * Answers a request. `request.url` is absolute and normalised as the WHATWG URL standard
 * says. It should not throw: an adapter reports what it throws and answers 500.
 */
export type FetchHandler = (
  request: Request,
  info: RequestInfo,
) => Response | Promise<Response>;

/** Options of an adapter's `serve`. */
export interface ListenOptions {
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
   * Stops accepting at once, closes idle connections, lets exchanges in flight finish, and
   * resolves when the last connection is closed. After `graceMs` milliseconds what is
   * left is cut off. Calling it again returns the same promise, and may shorten the grace.
   *
   * @default graceMs 10_000
   */
  stop(options?: { graceMs?: number }): Promise<void>;
}
