/** A server under test: its handler, its reports, clients to it, and its end. */

import type { FetchHandler, ListenOptions, Server } from "../../runtime/http/fetch_handler.ts";
import { RawClient } from "../support/raw_http.ts";

/** `serve` of an adapter. */
export type Serve = (fetch: FetchHandler, options?: ListenOptions) => Promise<Server>;

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

/** Calls `body` with a server that answers with `handler`, and stops it. */
export async function withServer(
  serve: Serve,
  handler: FetchHandler,
  body: (running: RunningServer) => Promise<void>,
): Promise<void> {
  const reports: unknown[] = [];
  const clients: RawClient[] = [];
  const report = (error: unknown): void => void reports.push(error);
  const server = await serve(handler, { hostname: "127.0.0.1", port: 0, report });
  const { port } = server.addr;
  const client = (): RawClient => {
    const opened = new RawClient(port);
    clients.push(opened);
    return opened;
  };
  try {
    await body({ server, port, origin: `http://127.0.0.1:${port}`, reports, client });
  } finally {
    for (const opened of clients) opened.leave();
    await server.stop({ graceMs: 0 });
  }
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
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Lets everything happen that could happen now. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
