/** What a handler sees of a request, and what a client gets of its response. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RequestInfo } from "../../runtime/http/fetch_handler.ts";
import { valuesOf } from "../support/raw_http.ts";
import { type Serve, withServer } from "./running_server.ts";

const LARGE_BYTES = 10 * 1024 * 1024;

/** Requests that reach the handler, and the URL that it must see. `PORT` is the server's. */
const URLS: readonly (readonly [what: string, head: string, url: string])[] = [
  ["a plain target", "GET /a/b?c=d HTTP/1.1\r\nhost: h.test", "http://h.test/a/b?c=d"],
  ["dot segments", "GET /a/./b/../c/.. HTTP/1.1\r\nhost: h", "http://h/a/"],
  ["escaped dot segments", "GET /a%2Fb/../c/%2e%2E/d HTTP/1.1\r\nhost: h", "http://h/d"],
  ["dots in a query", "GET /a?b=/../c HTTP/1.1\r\nhost: h", "http://h/a?b=/../c"],
  [
    "a file that begins with a dot",
    "GET /.well-known/x HTTP/1.1\r\nhost: h",
    "http://h/.well-known/x",
  ],
  ["escapes", "GET /%20a%2fb?%20 HTTP/1.1\r\nhost: h", "http://h/%20a%2fb?%20"],
  [
    "what is to be escaped",
    'GET /"<>`{}?"<>\' HTTP/1.1\r\nhost: h',
    "http://h/%22%3C%3E%60%7B%7D?%22%3C%3E%27",
  ],
  ["an empty first segment", "GET //other/x HTTP/1.1\r\nhost: h", "http://h//other/x"],
  ["a host in upper case", "GET / HTTP/1.1\r\nhost: EXAMPLE.Test", "http://example.test/"],
  ["the default port", "GET / HTTP/1.1\r\nhost: h:80", "http://h/"],
  ["another port", "GET / HTTP/1.1\r\nhost: h:65535", "http://h:65535/"],
  ["an IPv6 host", "GET /x HTTP/1.1\r\nhost: [::1]:8080", "http://[::1]:8080/x"],
  ["an absolute target", "GET http://h/x/../y HTTP/1.1\r\nhost: h", "http://h/y"],
  ["no host, in HTTP/1.0", "GET /x?y HTTP/1.0", "http://localhost:PORT/x?y"],
  ["an empty host", "GET /x HTTP/1.1\r\nhost: ", "http://localhost:PORT/x"],
];

/** Requests that have no URL. */
const NO_URLS: readonly (readonly [what: string, head: string])[] = [
  ["a host with a space", "GET / HTTP/1.1\r\nhost: a b"],
  ["a host with a user", "GET / HTTP/1.1\r\nhost: u@h"],
  ["a port that is none", "GET / HTTP/1.1\r\nhost: h:99999"],
  ["an IPv4 address that is none", "GET / HTTP/1.1\r\nhost: 256.256.256.256"],
  ["an IPv6 address that is none", "GET / HTTP/1.1\r\nhost: [::zz]"],
  ["a scheme that is not HTTP", "GET ftp://h/x HTTP/1.1\r\nhost: h"],
  ["CONNECT", "CONNECT h:1 HTTP/1.1\r\nhost: h"],
];

export function messagesContract(serve: Serve): void {
  for (const [what, head, url] of URLS) {
    test(`adapter shows an absolute, normalised URL for ${what}`, () =>
      withServer(serve, (request) => new Response(request.url), async ({ client, port }) => {
        const response = await client().send(`${head}\r\n\r\n`).response();
        assert.equal(response.body.toString(), url.replace("PORT", String(port)));
      }));
  }

  for (const [what, head] of NO_URLS) {
    test(`adapter answers 400 and asks no handler for ${what}`, () => {
      let calls = 0;
      const handler = (): Response => new Response(String(++calls));
      return withServer(serve, handler, async ({ client, reports }) => {
        const response = await client().send(`${head}\r\n\r\n`).response();
        assert.equal(response.status, 400);
        assert.deepEqual([calls, reports], [0, []]);
      });
    });
  }

  test("adapter hands on the body and the fields of a request whose URL was not normal", () =>
    withServer(
      serve,
      async (request) =>
        new Response(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`),
      async ({ client }) => {
        const response = await client()
          .send("POST /a/../b HTTP/1.1\r\nhost: h\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody")
          .response();
        assert.equal(response.body.toString(), "POST 1 body");
      },
    ));

  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    test(`adapter hands on the method ${method}`, () =>
      withServer(serve, (request) => new Response(request.method), async ({ origin }) => {
        const response = await fetch(origin, { method });
        assert.equal(await response.text(), method);
      }));
  }

  test("adapter hands on a POST without a body as one with an empty body", () =>
    withServer(
      serve,
      async (request) => new Response(JSON.stringify(await request.text())),
      async ({ client }) => {
        const response = await client().get("/", "host: h\r\n", "POST").response();
        assert.equal(response.body.toString(), '""');
      },
    ));

  test("adapter hands on header fields both ways, with their bytes and their repetitions", () =>
    withServer(serve, (request) => {
      const headers = new Headers({ "x-echo": request.headers.get("x-many") ?? "", "x-b": "\xe9" });
      headers.append("set-cookie", "a=1; Path=/");
      headers.append("set-cookie", "b=2");
      return new Response(request.headers.get("x-latin"), { headers });
    }, async ({ client }) => {
      const fields = "host: h\r\nX-Many: 1\r\nx-many: 2\r\nx-latin: \xe9\r\n";
      const response = await client().get("/", fields).response();
      assert.deepEqual(valuesOf(response, "x-echo"), ["1, 2"]);
      assert.deepEqual(valuesOf(response, "x-b"), ["\xe9"]);
      assert.deepEqual(valuesOf(response, "set-cookie"), ["a=1; Path=/", "b=2"]);
      assert.equal(response.body.toString(), "é");
    }));

  test("adapter says the length and the type of a text, answered at once or later", () =>
    withServer(
      serve,
      ({ url }) => {
        const response = new Response("text", { headers: { "x-a": "b" } });
        return url.endsWith("/later") ? Promise.resolve(response) : response;
      },
      async ({ client }) => {
        for (const target of ["/now", "/later"]) {
          const response = await client().get(target).response();
          assert.deepEqual(valuesOf(response, "content-length"), ["4"]);
          assert.match(
            valuesOf(response, "content-type")[0] ?? "",
            /^text\/plain; ?charset=utf-8$/i,
          );
        }
      },
    ));

  test("adapter sends the header of an answer to HEAD, and no body", () =>
    withServer(serve, () => new Response("text"), async ({ client }) => {
      const connection = client().get("/", "host: h\r\n", "HEAD");
      const response = await connection.response({ isHead: true });
      assert.deepEqual([response.status, valuesOf(response, "content-length")], [200, ["4"]]);
      // Whatever came after the head would be taken for the next answer.
      assert.equal((await connection.get("/").response()).body.toString(), "text");
    }));

  for (const status of [204, 304]) {
    test(`adapter sends ${status} without a body, and the connection goes on`, () =>
      withServer(serve, () => new Response(null, { status }), async ({ client }) => {
        const connection = client();
        for (const _ of [1, 2]) {
          assert.equal((await connection.get("/").response()).status, status);
        }
        assert.equal(connection.pending, "");
      }));
  }

  for (
    const [how, body] of [
      ["whole", async (request: Request) => new Uint8Array(await request.arrayBuffer())],
      ["as a stream", (request: Request) => request.body],
    ] as const
  ) {
    test(`adapter takes and sends a body of 10 MiB, ${how}`, () =>
      withServer(
        serve,
        async (request) => new Response(await body(request)),
        async ({ origin, reports }) => {
          const sent = Uint8Array.from({ length: LARGE_BYTES }, (_, i) => i % 251);
          const response = await fetch(origin, { method: "POST", body: sent });
          assert.deepEqual(Buffer.compare(await response.bytes(), sent), 0);
          assert.deepEqual(reports, []);
        },
      ));
  }

  test("adapter asks the handler about a body of any announced length", () =>
    withServer(serve, () => new Response("no, thanks", { status: 413 }), async ({ client }) => {
      const response = await client()
        .send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000000000\r\n\r\nfirst")
        .response();
      assert.equal(response.body.toString(), "no, thanks");
    }));

  test("adapter knows the client's address, while its request is answered", () =>
    withServer(serve, (_, info) => new Response(info.remoteAddress), async ({ client }) => {
      const connection = await client().connected();
      const response = await connection.get("/").response();
      assert.equal(response.body.toString(), connection.localAddress);
    }));

  test("adapter never takes a stream for a static body", () =>
    withServer(serve, (_, info) => {
      const claimed = streamingResponses().filter((response) => info.hasStaticBody?.(response));
      return new Response(String(claimed.length));
    }, async ({ origin }) => {
      assert.equal(await (await fetch(origin)).text(), "0");
    }));

  test("adapter sends a body after it was asked whether that is static", () =>
    withServer(serve, (_, info) => {
      const response = new Response("text");
      askTwice(info, response);
      return response;
    }, async ({ origin }) => {
      assert.equal(await (await fetch(origin)).text(), "text");
    }));
}

function askTwice(info: RequestInfo, response: Response): void {
  info.hasStaticBody?.(response);
  info.hasStaticBody?.(response);
}

function streamingResponses(): Response[] {
  const streams = (): ReadableStream[] => [
    new ReadableStream(),
    new ReadableStream({ type: "bytes" }),
    new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1000)) }),
    new Blob(["text"]).stream().pipeThrough(new TransformStream()),
  ];
  const named = Object.assign(new Response(new ReadableStream()), { note: "text".repeat(100) });
  return [
    named,
    ...streams().map((body) => new Response(body)),
    ...streams().map((body) =>
      new Response(body, {
        status: 201,
        statusText: "Named so",
        headers: { "content-type": "text/plain", "content-length": "4" },
      })
    ),
  ];
}
