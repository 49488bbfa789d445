/**
 * What `serve` of every adapter takes, resolved once: where it listens, and how errors are
 * reported where the caller does not say.
 */

import type { ListenOptions, TlsOptions } from "../runtime/http/fetch_handler.ts";

/** The port where none is asked for. */
export const PORT_DEFAULT = 9000;

/** {@linkcode ListenOptions}, all of them known; without TLS there is no `tls`. */
export type ResolvedListenOptions = Readonly<
  Required<Omit<ListenOptions, "tls">> & { tls: TlsOptions | undefined }
>;

/** Fills in what `options` leave out. */
export function resolveListenOptions(options: ListenOptions): ResolvedListenOptions {
  return Object.freeze({
    hostname: options.hostname ?? "",
    port: options.port ?? PORT_DEFAULT,
    tls: options.tls,
    report: options.report ?? printError,
  });
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
