/**
 * HTTP/2: to a handler it is no other than HTTP/1.1, which the conformance suite goes through. These
 * are the places where a platform could make a difference.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { test } from "node:test";
import { aborted, deferred } from "../../adapters/conformance/trial.ts";
import { listen } from "../../adapters/listen.ts";
import type { FetchHandler, Server } from "../../runtime/http/fetch_handler.ts";
import { makeCertificate } from "../support/certificate.ts";
import { RUNTIME } from "../support/runtime.ts";

const tls = makeCertificate();

interface Running {
  readonly server: Server;
  readonly connection: ClientHttp2Session;
  readonly reports: unknown[];
  /** One exchange. */
  ask(headers: OutgoingHttpHeaders, body?: string | Uint8Array): Promise<Answered>;
  /** A request whose body is still to come. */
  open(headers: OutgoingHttpHeaders): ClientHttp2Stream;
}

interface Answered {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Whether it came to its end, rather than to an error. */
  readonly isWhole: boolean;
}

async function withConnection(
  handler: FetchHandler,
  body: (running: Running) => Promise<void>,
): Promise<void> {
  const reports: unknown[] = [];
  const report = (error: unknown): void => void reports.push(error);
  const server = await listen(handler, { hostname: "127.0.0.1", port: 0, tls, report });
  const connection = connect(`https://127.0.0.1:${server.addr.port}`, {
    rejectUnauthorized: false,
  });
  connection.on("error", () => {});
  const open = (headers: OutgoingHttpHeaders): ClientHttp2Stream => {
    const stream = connection.request(headers);
    stream.on("error", () => {});
    return stream;
  };
  const ask = (headers: OutgoingHttpHeaders, sent?: string | Uint8Array): Promise<Answered> => {
    const stream = open(headers);
    stream.end(sent);
    return answered(stream);
  };
  try {
    await body({ server, connection, reports, ask, open });
  } finally {
    connection.destroy();
    await server.stop({ graceMs: 0 });
  }
}

function answered(stream: ClientHttp2Stream): Promise<Answered> {
  let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  const chunks: Uint8Array[] = [];
  stream.on("response", (got) => headers = got);
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  return new Promise((resolve) =>
    stream.on("close", () => {
      const body = Buffer.concat(chunks).toString();
      resolve({ status: headers[":status"], headers, body, isWhole: stream.rstCode === 0 });
    })
  );
}

test("HTTP/2 shows a handler a URL of HTTPS, a host, and no field that is none", () =>
  withConnection(
    ({ url, headers }, { remoteAddress }) =>
      Response.json([url, Object.fromEntries(headers), remoteAddress?.startsWith("127.0.0.1:")]),
    async ({ ask }) => {
      const { body } = await ask({
        ":path": "/a/../b%20c?d",
        ":authority": "H.test:443",
        cookie: ["a=1", "b=2"],
        "x-latin": "\xe9",
      });
      assert.deepEqual(JSON.parse(body), [
        "https://h.test/b%20c?d",
        { cookie: "a=1; b=2", host: "H.test:443", "x-latin": "\xe9" },
        true,
      ]);
    },
  ));

test("HTTP/2 carries bodies both ways, statuses, cookies, and what a handler says of HTTP/1.1 not", () =>
  withConnection(
    async (request) => {
      const headers = new Headers({ connection: "keep-alive", "x-method": request.method });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response(await request.text(), { status: 418, headers });
    },
    async ({ ask, reports }) => {
      const sent = "text".repeat(250_000);
      const { status, headers, body } = await ask({ ":method": "PUT", ":path": "/" }, sent);
      assert.equal(status, 418);
      assert.ok(body === sent, `${body.length} bytes`);
      assert.equal(headers["x-method"], "PUT");
      assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
      assert.equal(headers["connection"], undefined);
      assert.deepEqual(reports, []);
    },
  ));

test("HTTP/2 sends no body to HEAD nor with 204, and the connection goes on", () =>
  withConnection(
    ({ url }) =>
      url.endsWith("/204")
        ? new Response(null, { status: 204 })
        : url.endsWith("/stream")
        ? new Response(new Blob(["text"]).stream())
        : new Response("text"),
    async ({ ask }) => {
      const head = await ask({ ":method": "HEAD", ":path": "/" });
      assert.deepEqual([head.status, head.headers["content-length"], head.body], [200, "4", ""]);
      assert.equal((await ask({ ":method": "HEAD", ":path": "/stream" })).status, 200);
      const empty = await ask({ ":path": "/204" });
      assert.deepEqual([empty.status, empty.body, empty.isWhole], [204, "", true]);
      assert.equal((await ask({ ":path": "/stream" })).body, "text");
    },
  ));

test("HTTP/2 answers 500 to a handler that throws, and 501 to a method that is none", () =>
  withConnection(() => {
    throw new Error("thrown");
  }, async ({ ask, reports }) => {
    const { status, body } = await ask({ ":path": "/" });
    assert.deepEqual([status, body, reports.length], [500, "500 Internal Server Error\n", 1]);
    assert.equal((await ask({ ":method": "FOO", ":path": "/" })).status, 501);
    assert.equal(reports.length, 1);
  }));

test("HTTP/2 resets a stream that fails half-way, reports it once, and serves on", () =>
  withConnection(({ url }) => {
    if (url.endsWith("/alive")) return new Response("alive");
    let pulls = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (pulls++ === 0) return controller.enqueue(new TextEncoder().encode("first"));
          await new Promise((resolve) => setTimeout(resolve, 1));
          throw new Error("failed");
        },
      }),
    );
  }, async ({ ask, reports }) => {
    const { isWhole } = await ask({ ":path": "/" });
    assert.equal(isWhole, false);
    assert.equal(reports.length, 1);
    assert.equal((await ask({ ":path": "/alive" })).body, "alive");
  }));

test("HTTP/2 tells a handler whose client resets its stream, and the others nothing", async () => {
  const called = deferred<AbortSignal>();
  const over = deferred<boolean>();
  await withConnection(async ({ url }, info) => {
    if (url.endsWith("/other")) return new Response("other");
    info.onOver?.(over.resolve);
    called.resolve(info.signal);
    await aborted(info.signal);
    return new Response("too late");
  }, async ({ ask, open, reports }) => {
    const stream = open({ ":path": "/" });
    const signal = await called.promise;
    assert.equal((await ask({ ":path": "/other" })).body, "other");
    assert.equal(signal.aborted, false);
    stream.destroy(new Error("the client has had enough"));
    await aborted(signal);
    assert.equal(await over.promise, false);
    assert.deepEqual(reports, []);
  });
});

for (const [what, length] of [["with", { "content-length": "8" }], ["without", {}]] as const) {
  test(`HTTP/2 takes no half of a body ${what} a length for a whole one`, async () => {
    const called = deferred();
    const read = deferred<string>();
    await withConnection(async (request) => {
      called.resolve();
      read.resolve(await request.text().catch(() => "rejected"));
      return new Response("read");
    }, async ({ connection, open }) => {
      open({ ":method": "POST", ":path": "/", ...length }).write("half");
      await called.promise;
      connection.destroy();
      assert.equal(await read.promise, "rejected");
    });
  });
}

test("HTTP/2 lets what is in flight finish when the server stops, and closes the connection", async () => {
  const called = deferred();
  const finish = deferred();
  let calls = 0;
  await withConnection(async (request) => {
    if (++calls === 2) called.resolve();
    await finish.promise;
    return new Response(request.url.endsWith("/stream") ? new Blob(["text"]).stream() : "text");
  }, async ({ server, connection, ask }) => {
    const answers = ["/", "/stream"].map((path) => ask({ ":path": path }));
    const isClosed = new Promise((resolve) => connection.once("close", resolve));
    await called.promise;
    const stopped = server.stop({ graceMs: 60_000 });
    finish.resolve();
    for (const { status, body } of await Promise.all(answers)) {
      assert.deepEqual([status, body], [200, "text"]);
    }
    await Promise.all([stopped, isClosed]);
  });
});

test("HTTP/2 is cut off at the deadline", async () => {
  const called = deferred();
  await withConnection(() => {
    called.resolve();
    return new Promise<Response>(() => {});
  }, async ({ server, ask }) => {
    const hung = ask({ ":path": "/" });
    await called.promise;
    await server.stop({ graceMs: 50 });
    // Deno answers what it has no other way to end.
    const { status } = await hung;
    assert.ok(status === undefined || RUNTIME === "deno", `${status}`);
  });
});
