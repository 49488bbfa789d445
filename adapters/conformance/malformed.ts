/** Requests that are none, and whose framing is not certain: no handler may be asked about them. */

import assert from "node:assert/strict";
import { type AddCase, deferred } from "./trial.ts";

type Requests = readonly (readonly [what: string, request: string])[];

const GET = "GET / HTTP/1.1\r\nhost: h\r\n";
const POST = "POST / HTTP/1.1\r\nhost: h\r\n";
const CHUNKED = `${POST}transfer-encoding: chunked\r\n\r\n`;

const REQUEST_LINES: Requests = [
  ["no request line", "hello\r\n\r\n"],
  ["no version", "GET /\r\n\r\n"],
  ["no target", "GET  HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["HTTP/0.9", "GET / HTTP/0.9\r\nhost: h\r\n\r\n"],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nhost: h\r\n\r\n"],
  ["HTTP/3.0", "GET / HTTP/3.0\r\nhost: h\r\n\r\n"],
  ["a version of two digits", "GET / HTTP/1.10\r\nhost: h\r\n\r\n"],
  ["a version in lower case", "GET / http/1.1\r\nhost: h\r\n\r\n"],
  ["another protocol", "GET / XTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a space before the method", " GET / HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a space behind the version", "GET / HTTP/1.1 \r\nhost: h\r\n\r\n"],
  ["tabs for spaces", "GET\t/\tHTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a space in the target", "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a NUL in the target", "GET /\0 HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a control character in the target", "GET /\x01 HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a method that is no token", "G(T / HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["a CR that ends the request line", "GET / HTTP/1.1\rhost: h\r\n\r\n"],
  ["an LF that ends the request line", "GET / HTTP/1.1\nhost: h\r\n\r\n"],
];

const HEADERS: Requests = [
  ["a field without a colon", `${GET}x-a\r\n\r\n`],
  ["a field without a name", `${GET}: b\r\n\r\n`],
  ["a space before a colon", `${GET}x-a : b\r\n\r\n`],
  ["a space in a field's name", `${GET}x a: b\r\n\r\n`],
  ["a parenthesis in a field's name", `${GET}x(a): b\r\n\r\n`],
  ["a field's name that is not ASCII", `${GET}x\xe9: b\r\n\r\n`],
  ["a folded field", `${GET}x-a: b\r\n c\r\n\r\n`],
  ["a space before the first field", "GET / HTTP/1.1\r\n host: h\r\n\r\n"],
  ["a NUL in a field", `${GET}x-a: b\0c\r\n\r\n`],
  ["a CR in a field", `${GET}x-a: b\rc\r\n\r\n`],
  ["an LF that ends a field", `${GET}x-a: b\nx-c: d\r\n\r\n`],
  ["an LF that ends the header", `${GET}x-a: b\r\n\n`],
  ["a header of LFs", "GET / HTTP/1.1\nhost: h\n\n"],
];

const FRAMINGS: Requests = [
  ["a length that is no number", `${POST}content-length: abc\r\n\r\n`],
  ["an empty length", `${POST}content-length:\r\n\r\n`],
  ["a negative length", `${POST}content-length: -1\r\n\r\n`],
  ["a length with a sign", `${POST}content-length: +1\r\n\r\na`],
  ["a hexadecimal length", `${POST}content-length: 0x1\r\n\r\na`],
  ["a length with a fraction", `${POST}content-length: 1.0\r\n\r\na`],
  ["a length of two numbers", `${POST}content-length: 1 1\r\n\r\na`],
  ["a length of more than 64 bits", `${POST}content-length: 18446744073709551617\r\n\r\na`],
  ["conflicting lengths", `${POST}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
  ["conflicting lengths in one field", `${POST}content-length: 1, 2\r\n\r\nab`],
  [
    "a length and a transfer coding",
    `${POST}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "a transfer coding and a length",
    `${POST}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n`,
  ],
  [
    "both of them in a GET",
    `${GET}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["an empty transfer coding", `${POST}transfer-encoding:\r\n\r\n0\r\n\r\n`],
  ["the transfer coding identity", `${POST}transfer-encoding: identity\r\n\r\n`],
  ["a transfer coding that is not chunked", `${POST}transfer-encoding: gzip\r\n\r\n`],
  ["a transfer coding alike chunked", `${POST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ["a transfer coding after chunked", `${POST}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
  ["chunked twice", `${POST}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
];

/** What follows `transfer-encoding: chunked`, and cannot be read. */
const CHUNKS: Requests = [
  ["a size that is no number", "zz\r\n"],
  ["an empty size", "\r\na\r\n0\r\n\r\n"],
  ["a negative size", "-1\r\na\r\n0\r\n\r\n"],
  ["a size with a prefix", "0x1\r\na\r\n0\r\n\r\n"],
  ["a size of more than 64 bits", "10000000000000001\r\na\r\n0\r\n\r\n"],
  ["a chunk that is longer than it says", "1\r\nab\r\n0\r\n\r\n"],
  ["a chunk without an end", "1\r\na0\r\n\r\n"],
  ["a size that ends with an LF", "1\na\r\n0\r\n\r\n"],
  ["a chunk that ends with an LF", "1\r\na\n0\r\n\r\n"],
  ["an LF in an extension", "1;x=\ny\r\na\r\n0\r\n\r\n"],
];

/** Adds the cases of this file. */
export function malformedCases(test: AddCase): void {
  const refuse = (request: string, what: string, statuses: readonly number[]): void =>
    test(`adapter answers ${statuses.join(" or ")}, closes, and asks no handler for ${what}`, (trial) => {
      let calls = 0;
      const handler = (): Response => new Response(`call ${++calls}`);
      return trial.withServer(handler, async ({ client, reports }) => {
        const connection = client().send(request);
        const { status } = await connection.response();
        assert.ok(statuses.includes(status), `it answered ${status}`);
        assert.deepEqual([calls, reports], [0, []]);
        await connection.closed;
        assert.equal((await client().get("/").response()).body.toString(), "call 1");
      });
    });

  for (const [what, request] of REQUEST_LINES) refuse(request, what, [400, 505]);
  for (const [what, request] of HEADERS) refuse(request, what, [400, 505]);
  for (const [what, request] of FRAMINGS) refuse(request, what, [400, 501]);
  refuse(`${GET}${"x-a: b\r\n".repeat(5000)}\r\n`, "5000 header fields", [431]);

  for (const [what, chunks] of CHUNKS) {
    test(`adapter closes, and has no body read, for ${what} in a chunked body`, (trial) => {
      let reads = 0;
      return trial.withServer(async (request) => {
        if (request.method === "POST") await request.text().then(() => reads++, () => {});
        return new Response("alive");
      }, async ({ client, reports }) => {
        const connection = client().send(CHUNKED + chunks);
        await connection.closed;
        assert.equal((await client().get("/").response()).body.toString(), "alive");
        assert.deepEqual([reads, reports], [0, []]);
      });
    });
  }

  test("adapter answers 400 to a body whose chunking is broken", (trial) => {
    const called = deferred();
    return trial.withServer(async (request) => {
      called.resolve();
      await request.text().catch(() => {});
      return new Response("too late");
    }, async ({ client }) => {
      const connection = client().send(CHUNKED);
      await called.promise;
      assert.equal((await connection.send("zz\r\n").response()).status, 400);
      await connection.closed;
    });
  });

  test("adapter answers 400 or 501 and asks no handler for a body in another coding and chunks", (trial) => {
    let calls = 0;
    const handler = (): Response => new Response(`call ${++calls}`);
    return trial.withServer(handler, async ({ client, reports }) => {
      const { status } = await client()
        .send(`${POST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`).response();
      assert.ok(status === 400 || status === 501, `it answered ${status}`);
      assert.deepEqual([calls, reports], [0, []]);
    });
  });

  test("adapter takes one of two equal lengths, or answers 400", (trial) =>
    trial.withServer(async (request) => new Response(await request.text()), async ({ client }) => {
      const { status, body } = await client()
        .send(`${POST}content-length: 1\r\ncontent-length: 1\r\n\r\na`).response();
      assert.ok(status === 400 || body.toString() === "a");
    }));

  test("adapter passes over an empty line before a request line", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const response = await client().send(`\r\n${GET}\r\n`).response();
      assert.equal(response.body.toString(), "text");
    }));

  test("adapter takes a target of 8000 bytes, a field of 12,000, and 90 fields", (trial) =>
    trial.withServer(
      ({ url, headers }) => new Response(`${url.length} ${headers.get("x-a")?.length}`),
      async ({ client }) => {
        const long = await client().get(`/${"a".repeat(7999)}`).response();
        assert.match(long.body.toString(), /^80\d\d /);
        const field = await client().get("/", `host: h\r\nx-a: ${"a".repeat(12_000)}\r\n`)
          .response();
        assert.match(field.body.toString(), / 12000$/);
        const many = await client().get("/", `host: h\r\n${"x-a: a\r\n".repeat(90)}`).response();
        assert.match(many.body.toString(), / 268$/);
      },
    ));
}
