/**
 * Node's own server, below `@hono/node-server`: what could be had without `Request` and
 * `Response`. For information: no fetch handler reaches it.
 */

import { createServer } from "node:http";
import { bodyFor, makeEntries } from "../application.ts";
import { readPlan, reportWhenAsked } from "./control.ts";

const entries = makeEntries(readPlan().entries);
let writes = 0;

const server = createServer((incoming, outgoing) => {
  if (incoming.method === "GET") {
    const key = (incoming.url ?? "").slice(1);
    const body = bodyFor(key, entries.get(key));
    outgoing.writeHead(200, {
      "content-type": "text/plain;charset=UTF-8",
      "content-length": body.length,
    });
    outgoing.end(body);
    return;
  }
  const chunks: Uint8Array[] = [];
  incoming.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  incoming.on("end", () => {
    if (chunks.length > 0) writes++;
    outgoing.writeHead(200, { "content-type": "text/plain;charset=UTF-8", "content-length": 2 });
    outgoing.end("ok");
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not TCP");
  reportWhenAsked(address.port, () => ({ writes, flushes: 0, logBytes: 0 }));
});
