/**
 * What `serve` of every adapter takes, resolved once: where it listens, and how errors are
 * reported where the caller does not say.
 */

import type { ListenOptions, ServerLimits, TlsOptions } from "../runtime/http/fetch_handler.ts";
import {
  BODY_TIMEOUT_MS,
  CONNECTIONS_MAX,
  HEADER_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  REQUESTS_MAX,
  URL_BYTES_MAX,
} from "../runtime/limits.ts";

/** The port where none is asked for. */
export const PORT_DEFAULT = 9000;

/** {@linkcode ServerLimits}, all of them known but one. */
export interface ResolvedLimits extends Readonly<Required<Omit<ServerLimits, "headerBytesMax">>> {
  /** Where it costs something, only who asks for it shall pay. */
  readonly headerBytesMax: number | undefined;
}

/** {@linkcode ListenOptions}, all of them known; without TLS there is no `tls`. */
export interface ResolvedListenOptions extends ResolvedLimits {
  readonly hostname: string;
  readonly port: number;
  readonly tls: TlsOptions | undefined;
  readonly report: (error: unknown) => void;
}

/** Fills in what `options` leave out. */
export function resolveListenOptions(options: ListenOptions): ResolvedListenOptions {
  return Object.freeze({
    hostname: options.hostname ?? "",
    port: options.port ?? PORT_DEFAULT,
    tls: options.tls,
    report: options.report ?? printError,
    ...resolveLimits(options),
  });
}

/** Fills in what `limits` leave out. */
export function resolveLimits(limits: ServerLimits): ResolvedLimits {
  return {
    urlBytesMax: limits.urlBytesMax ?? URL_BYTES_MAX,
    headerBytesMax: limits.headerBytesMax,
    headerTimeoutMs: limits.headerTimeoutMs ?? HEADER_TIMEOUT_MS,
    bodyTimeoutMs: limits.bodyTimeoutMs ?? BODY_TIMEOUT_MS,
    idleTimeoutMs: limits.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    connectionsMax: limits.connectionsMax ?? CONNECTIONS_MAX,
    requestsMax: limits.requestsMax ?? REQUESTS_MAX,
    trustedProxies: limits.trustedProxies ?? [],
  };
}

/**
 * Listens on `hostname` with `listen`. An empty one is every address: those of IPv6, which
 * takes IPv4 along, or those of IPv4 alone where there is no IPv6.
 */
export function listenOn<Listener>(
  hostname: string,
  listen: (hostname: string) => Listener,
): Listener {
  if (hostname !== "") return listen(hostname);
  try {
    return listen("::");
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "EADDRINUSE") throw error;
    return listen("0.0.0.0");
  }
}

/** Prints `error` with its stack, and with its cause, to standard error. */
function printError(error: unknown): void {
  console.error(error);
}
