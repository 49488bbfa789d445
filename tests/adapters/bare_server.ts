/**
 * The platform's own server, with no more between it and a handler than the types ask for: what
 * shows that a gap is the platform's.
 */

import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Readable } from "node:stream";
import type { StartServer } from "../../adapters/conformance.ts";
import type { RequestInfo, TlsOptions } from "../../runtime/http/fetch_handler.ts";
import { RUNTIME, type Runtime } from "../support/runtime.ts";

type Answer = (request: Request) => Response | Promise<Response>;

/** What this file uses of Bun and Deno. */
declare const Bun: {
  serve(
    options: {
      hostname: string;
      port: number;
      development: boolean;
      tls?: TlsOptions;
      fetch: Answer;
    },
  ): {
    readonly port: number;
    stop(isNow: boolean): Promise<void>;
  };
};
declare const Deno: {
  serve(
    options: { hostname: string; port: number; cert?: string; key?: string; onListen: () => void },
    answer: Answer,
  ): {
    readonly addr: { readonly port: number };
    shutdown(): Promise<void>;
  };
};

interface BareServer {
  readonly port: number;
  stop(): Promise<void>;
}

type Start = (answer: Answer, tls?: TlsOptions) => BareServer | Promise<BareServer>;

const HOSTNAME = "127.0.0.1";

const START: Record<Runtime, Start> = {
  bun(answer, tls) {
    const server = Bun.serve({
      hostname: HOSTNAME,
      port: 0,
      development: false,
      ...tls && { tls },
      fetch: answer,
    });
    return { port: server.port, stop: () => server.stop(true) };
  },
  deno(answer, tls) {
    const server = Deno.serve({ hostname: HOSTNAME, port: 0, ...tls, onListen: () => {} }, answer);
    return { port: server.addr.port, stop: () => server.shutdown() };
  },
  node: startNode,
};

/** The bare server of the runtime that the tests run on. */
export const startBare: StartServer = async (fetch, { tls }) => {
  const info: RequestInfo = { remoteAddress: undefined, signal: new AbortController().signal };
  const { port, stop } = await START[RUNTIME]((request) => fetch(request, info), tls);
  return { addr: { hostname: HOSTNAME, port }, stop };
};

/** Node has no handlers of this kind: each request is made one, and each response sent. */
function startNode(answer: Answer, tls?: TlsOptions): Promise<BareServer> {
  const listener: RequestListener = async (incoming, outgoing) => {
    const { method = "GET", url = "/", headers } = incoming;
    const hasBody = method !== "GET" && method !== "HEAD";
    const init: RequestInit & { duplex: "half" } = {
      method,
      // Node's streams and the web's are told apart by their types alone.
      body: hasBody ? Readable.toWeb(incoming) as ReadableStream<Uint8Array> : null,
      duplex: "half",
    };
    const response = await answer(new Request(new URL(url, `http://${headers.host}`), init));
    outgoing.writeHead(response.status, [...response.headers].flat());
    outgoing.end(new Uint8Array(await response.arrayBuffer()));
  };
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  return new Promise((resolve) => {
    server.listen(0, HOSTNAME, () => {
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      const stop = (): Promise<void> =>
        new Promise((stopped) => {
          server.close(() => stopped());
          server.closeAllConnections();
        });
      resolve({ port, stop });
    });
  });
}
