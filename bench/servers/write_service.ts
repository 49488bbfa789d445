/**
 * A service that keeps every body it is sent, on the runtime's own server: how it keeps them is
 * what the rivals differ in. On Node it is a fetch handler on `@hono/node-server`, or `node:http`
 * itself, which is quicker there: a rival may be as good as its user can make it.
 */

import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage } from "node:http";
import { HOSTNAME, listenNatively } from "./native_server.ts";

/** Keeps a body; it is durable when what it returns resolves, or at once. */
export type Save = (body: Buffer) => Promise<unknown> | undefined;

/** Starts the service, on Node `isRaw` or not; resolves with its port. */
export async function listenForWrites(
  save: Save,
  { isRaw }: { readonly isRaw: boolean },
): Promise<number> {
  if (isRaw && !("Deno" in globalThis) && !("Bun" in globalThis)) return await listenOnNode(save);
  return await listenNatively(async (request) => {
    await save(Buffer.from(await request.arrayBuffer()));
    return new Response("ok");
  });
}

function listenOnNode(save: Save): Promise<number> {
  const server = createServer(async (incoming, outgoing) => {
    await save(await bodyOf(incoming));
    outgoing.writeHead(200, { "content-type": "text/plain;charset=UTF-8", "content-length": 2 });
    outgoing.end("ok");
  });
  return new Promise((resolve) => {
    server.listen(0, HOSTNAME, () => {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("not TCP");
      resolve(address.port);
    });
  });
}

function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const [first = Buffer.alloc(0), ...others] = chunks;
      // Almost always it comes in one piece.
      resolve(others.length === 0 ? first : Buffer.concat(chunks));
    });
    incoming.on("error", reject);
  });
}
