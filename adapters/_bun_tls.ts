/**
 * TLS on Bun, whose servers keep the certificate that they were started with: another one takes
 * another server, on the same port.
 */

import { once } from "node:events";
import { createServer } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { TlsOptions } from "../runtime/http/fetch_handler.ts";
import { checkTls } from "./_tls.ts";

/** What `Bun.serve` is told for TLS. */
export interface SecureOptions {
  readonly tls: TlsOptions;
  readonly http2: true;
  readonly reusePort: true;
}

/** @throws what `checkTls` throws. */
export function secureOptions({ cert, key }: TlsOptions): SecureOptions {
  checkTls({ cert, key });
  // Servers share a port only if all of them say so.
  return { tls: { cert, key }, http2: true, reusePort: true };
}

/**
 * Finds out whether a port is free: a server that may share it would not notice.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if it is not.
 */
export async function claimPort(hostname: string, port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  const listening = once(server, "listening");
  server.listen({ port, ...hostname !== "" && { host: hostname } });
  await listening;
  server.close();
  await once(server, "close");
}

/** Milliseconds between two looks at what is in flight, while a server stops. */
const LOOK_MS = 10;

/** What is needed of a server of Bun. */
interface Stoppable {
  readonly pendingRequests: number;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/** The servers that have had a port, one after the other; only the last one listens. */
export class SharedPort {
  readonly #servers: Stoppable[];
  readonly #listen: (options: SecureOptions) => Stoppable;
  #isStopping = false;

  constructor(first: Stoppable, listen: (options: SecureOptions) => Stoppable) {
    this.#servers = [first];
    this.#listen = listen;
  }

  /** Listens anew; the server before finishes what it has begun, as at a stop. */
  async setTls(tls: TlsOptions): Promise<void> {
    const options = secureOptions(tls);
    if (this.#isStopping) throw new Error("Cannot replace the certificate: the server stops");
    const before = this.#servers.at(-1);
    this.#servers.push(this.#listen(options));
    // The connections that the system has put before it are accepted first.
    await setImmediate();
    void before?.stop();
  }

  /** Refuses connections, and closes those that are left when nothing is in flight. */
  async drain(): Promise<void> {
    this.#isStopping = true;
    let isOver = false;
    // That alone would wait for clients that have not asked for anything.
    void this.#stop(false).then(() => isOver = true);
    while (!isOver && this.#servers.some(({ pendingRequests }) => pendingRequests > 0)) {
      await setTimeout(LOOK_MS);
    }
    await this.#stop(true);
  }

  /** Closes every connection. */
  cut(): void {
    void this.#stop(true);
  }

  /** Those before the last may still have connections, too. */
  async #stop(closeActiveConnections: boolean): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop(closeActiveConnections)));
  }
}
