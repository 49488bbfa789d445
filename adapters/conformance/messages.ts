/** Header fields and statuses, both ways, and answers without a body. */

import assert from "node:assert/strict";
import type { RequestInfo } from "../../runtime/http/fetch_handler.ts";
import { valuesOf } from "./raw_client.ts";
import type { AddCase } from "./trial.ts";

const STATUSES = [200, 201, 202, 206, 300, 303, 400, 401, 404, 418, 429, 451, 500, 503, 599];

/** Adds the cases of this file. */
export function messageCases(test: AddCase): void {
  test("adapter sends the status of an answer, with its body", (trial) =>
    trial.withServer(({ url }) => {
      const status = Number(new URL(url).pathname.slice(1));
      return new Response("text", { status });
    }, async ({ client, reports }) => {
      const connection = client();
      for (const status of STATUSES) {
        const response = await connection.get(`/${status}`).response();
        assert.deepEqual([response.status, response.body.toString()], [status, "text"]);
      }
      assert.deepEqual(reports, []);
    }));

  test("adapter hands on header fields both ways, with their bytes and their repetitions", (trial) =>
    trial.withServer((request) => {
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

  test("adapter finds a header field however its name is written, without spaces around it", (trial) =>
    trial.withServer(
      ({ headers }) => new Response(`[${headers.get("X-ONE")}][${headers.get("x-two")}]`),
      async ({ client }) => {
        const response = await client().get("/", "HOST:h\r\nx-one: \t 1 \t\r\nX-Two:\r\n")
          .response();
        assert.equal(response.body.toString(), "[1][]");
      },
    ));

  test("adapter says the length and the type of a text, answered at once or later", (trial) =>
    trial.withServer(
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

  test("adapter sends the header of an answer to HEAD, and no body", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const connection = client().get("/", "host: h\r\n", "HEAD");
      const response = await connection.response({ isHead: true });
      assert.deepEqual([response.status, valuesOf(response, "content-length")], [200, ["4"]]);
      // Whatever came after the head would be taken for the next answer.
      assert.equal((await connection.get("/").response()).body.toString(), "text");
    }));

  test("adapter says the type of a text to HEAD, too", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const response = await client().get("/", "host: h\r\n", "HEAD").response({ isHead: true });
      assert.match(valuesOf(response, "content-type")[0] ?? "", /^text\/plain/);
    }));

  test("adapter sends nothing of a stream to HEAD, and ends it", (trial) => {
    let cancelled = 0;
    return trial.withServer(
      (request) =>
        request.method === "GET" ? new Response("text") : new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new TextEncoder().encode("chunk")),
            cancel: () => void cancelled++,
          }),
        ),
      async ({ client }) => {
        const connection = client().get("/", "host: h\r\n", "HEAD");
        assert.equal((await connection.response({ isHead: true })).status, 200);
        assert.equal((await connection.get("/").response()).body.toString(), "text");
        assert.equal(cancelled, 1);
      },
    );
  });

  for (const status of [204, 304]) {
    test(`adapter sends ${status} without a body, and the connection goes on`, (trial) =>
      trial.withServer(() => new Response(null, { status }), async ({ client }) => {
        const connection = client();
        for (const _ of [1, 2]) {
          assert.equal((await connection.get("/").response()).status, status);
        }
        assert.equal(connection.pending, "");
      }));
  }

  test("adapter knows the client's address, while its request is answered", (trial) =>
    trial.withServer((_, info) => new Response(info.remoteAddress), async ({ client }) => {
      const connection = await client().connected();
      const response = await connection.get("/").response();
      assert.equal(response.body.toString(), connection.localAddress);
    }));

  test("adapter never takes a stream for a static body", (trial) =>
    trial.withServer((_, info) => {
      const claimed = streamingResponses().filter((response) => info.hasStaticBody?.(response));
      return new Response(String(claimed.length));
    }, async ({ client }) => {
      assert.equal((await client().get("/").response()).body.toString(), "0");
    }));

  test("adapter sends a body after it was asked whether that is static", (trial) =>
    trial.withServer((_, info) => {
      const response = new Response("text");
      askTwice(info, response);
      return response;
    }, async ({ client }) => {
      assert.equal((await client().get("/").response()).body.toString(), "text");
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
