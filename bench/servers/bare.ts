/**
 * The native control: the runtime's own server with the bench's handlers, nothing in between,
 * nothing on disk. On Node it is `@hono/node-server`, on which Alcedo's adapter stands.
 */

import { answerRead, answerWrite, makeEntries, slowly } from "../application.ts";
import { readPlan, reportWhenAsked } from "./control.ts";

/** What this file uses of the platforms. */
declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen: () => void },
    handler: (request: Request) => Response | Promise<Response>,
  ): { readonly addr: { readonly port: number } };
};
declare const Bun: {
  serve(options: {
    hostname: string;
    port: number;
    fetch: (request: Request) => Response | Promise<Response>;
  }): { readonly port: number };
};

const entries = makeEntries(readPlan().entries);
let writes = 0;
let last: ArrayBuffer | undefined;

function answer(request: Request): Response | Promise<Response> {
  return request.method === "GET" ? answerRead(request.url, entries) : write(request);
}

async function write(request: Request): Promise<Response> {
  if (request.method === "PUT") await slowly();
  last = await request.arrayBuffer();
  if (last.byteLength > 0) writes++;
  return answerWrite();
}

async function listen(): Promise<number> {
  const hostname = "127.0.0.1";
  if ("Deno" in globalThis) {
    return Deno.serve({ hostname, port: 0, onListen: () => {} }, answer).addr.port;
  }
  if ("Bun" in globalThis) return Bun.serve({ hostname, port: 0, fetch: answer }).port;
  const { serve } = await import("@hono/node-server");
  return new Promise((resolve) => {
    serve({ hostname, port: 0, fetch: answer }, ({ port }) => resolve(port));
  });
}

reportWhenAsked(await listen(), () => ({ writes, flushes: 0, logBytes: 0 }));
