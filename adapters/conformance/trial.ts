/** One run of one case: its servers, their reports, clients to them, and what those received. */

import assert from "node:assert/strict";
import type {
  FetchHandler,
  ListenOptions,
  Server,
  ServerLimits,
  TlsOptions,
} from "../../runtime/http/fetch_handler.ts";
import { RawClient, type RawClientOptions } from "./raw_client.ts";

/**
 * Starts a server for a handler: `serve` of an adapter. The options have the address, and for some
 * cases a limit, which the server has to take: its defaults would take minutes to reach.
 */
export type StartServer = (fetch: FetchHandler, options: ListenOptions) => Promise<Server>;

/** Adds a case to the suite: what it states, and how to find out. */
export type AddCase = (name: string, run: (trial: Trial) => Promise<void>) => void;

export interface RunningServer {
  readonly server: Server;
  readonly port: number;
  /** For `fetch`. */
  readonly origin: string;
  /** What was reported, in order. */
  readonly reports: unknown[];
  /** Opens a connection, which is closed at the end. */
  client(): RawClient;
}

/** One run of one case. */
export class Trial {
  readonly #start: StartServer;
  readonly #tls: TlsOptions | undefined;
  readonly #clients: { readonly client: RawClient; readonly port: number }[] = [];

  /** With `tls`, all of it is over TLS. */
  constructor(start: StartServer, tls?: TlsOptions) {
    this.#start = start;
    this.#tls = tls;
  }

  /** That of the URLs that handlers see. */
  get scheme(): "http" | "https" {
    return this.#tls === undefined ? "http" : "https";
  }

  /** Starts a server, which is the caller's to stop. */
  start(fetch: FetchHandler, options: ListenOptions): Promise<Server> {
    return this.#start(fetch, { ...options, ...this.#tls && { tls: this.#tls } });
  }

  /** Opens a connection, which is the caller's to close. */
  connect(port: number, options: RawClientOptions = {}): RawClient {
    return new RawClient(port, { ...options, isSecure: this.#tls !== undefined });
  }

  /** Calls `body` with a server that answers with `handler` within `limits`, and stops it. */
  async withServer(
    handler: FetchHandler,
    body: (running: RunningServer) => Promise<void>,
    limits?: ServerLimits,
  ): Promise<void> {
    const reports: unknown[] = [];
    const report = (error: unknown): void => void reports.push(error);
    const server = await this.start(handler, {
      hostname: "127.0.0.1",
      port: 0,
      report,
      ...limits,
    });
    const { port } = server.addr;
    const client = (): RawClient => {
      const opened = this.connect(port);
      this.#clients.push({ client: opened, port });
      return opened;
    };
    try {
      await body({ server, port, origin: `${this.scheme}://127.0.0.1:${port}`, reports, client });
    } catch (error) {
      throw limits === undefined ? error : withLimits(error, limits);
    } finally {
      this.leave();
      await server.stop({ graceMs: 0 });
    }
  }

  /** Closes all connections: what waits for something on one of them rejects. */
  leave(): void {
    for (const { client } of this.#clients) client.leave();
  }

  /** What the servers sent on each connection, but for what no two servers send alike. */
  received(): string[] {
    return this.#clients.map(({ client, port }) =>
      client.received.replaceAll(/^date: .*\r\n/gim, "").replaceAll(String(port), "PORT")
    );
  }
}

/** `error`, with what the server had to be told, since not everybody's `start` hands that on. */
function withLimits(error: unknown, limits: ServerLimits): unknown {
  if (!(error instanceof assert.AssertionError)) return error;
  const options = JSON.stringify(limits);
  return new assert.AssertionError({
    message:
      `${error.message}\n\nThis case needs a server with ${options}. They are in the second ` +
      "argument of the start function: does that hand them on to the server?",
  });
}

/** A promise and what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => resolve = settle);
  return { promise, resolve };
}

/** Resolves when `signal` has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Resolves when `condition` holds, which is looked at after every turn of the event loop. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await turn();
}

/** What `promise` resolves with, if it does within `ms` milliseconds. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `It took more than ${ms} ms`;
    timer = setTimeout(() => reject(new assert.AssertionError({ message })), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Resolves with what `measure` says once that has stayed the same for fifty turns. */
export async function settled(measure: () => number): Promise<number> {
  let last = measure();
  for (let turns = 0; turns < 50; turns++) {
    await turn();
    const next = measure();
    if (next !== last) turns = 0;
    last = next;
  }
  return last;
}

/** Lets everything happen that could happen now. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
