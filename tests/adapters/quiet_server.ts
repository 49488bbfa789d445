/**
 * A program for a test: a server whose handlers fail and whose clients leave, in every way that
 * a platform could have something to say about. It prints how many errors were reported.
 */

import { listen } from "../../adapters/listen.ts";
import { RawClient } from "../../adapters/conformance/raw_client.ts";
import { aborted, turn } from "../../adapters/conformance/trial.ts";

let reports = 0;
const server = await listen(async (request, info) => {
  const { signal } = info;
  switch (new URL(request.url).pathname) {
    case "/throw":
      throw new Error("thrown");
    case "/null":
      // No type lets this through, but not every handler has types.
      return null as unknown as Response;
    case "/header":
      return new Response("text", { headers: { "x-a": "a\nb" } });
    case "/stream":
      return new Response(
        new ReadableStream({
          pull() {
            throw new Error("in a stream");
          },
        }),
      );
    case "/stream-later":
      return new Response(
        new ReadableStream({
          async pull() {
            await turn();
            throw new Error("in a stream, later");
          },
        }),
      );
    case "/leave":
      await aborted(signal);
      return new Response("too late");
    case "/body":
      await request.text().catch(() => {});
      return new Response("read");
    default:
      return new Response("text");
  }
}, { hostname: "127.0.0.1", port: 0, report: () => reports++ });

const { port } = server.addr;
for (const target of ["/", "/throw", "/null", "/header", "/", "/stream", "/stream-later"]) {
  const client = new RawClient(port).get(target, "host: h\r\nconnection: close\r\n");
  await client.closed;
}
for (const request of ["GET /leave HTTP/1.1", "POST /body HTTP/1.1\r\ncontent-length: 9"]) {
  const client = await new RawClient(port).connected();
  client.send(`${request}\r\nhost: h\r\n\r\n`);
  await turn();
  await turn();
  client.reset();
  await client.closed;
}
await server.stop();
console.log(`reports: ${reports}`);
