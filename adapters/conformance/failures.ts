/** Handlers that fail: what the client gets, and that it is reported once. */

import assert from "node:assert/strict";
import { HttpError } from "../../runtime/errors.ts";
import type { FetchHandler } from "../../runtime/http/fetch_handler.ts";
import { valuesOf } from "./raw_client.ts";
import { type AddCase, deferred, turn } from "./trial.ts";

const SECRET = "a secret of the server";

/** Handlers that cannot be answered for but with a 500. */
const FAILURES: Record<string, () => unknown> = {
  "throws": () => {
    throw new Error(SECRET);
  },
  "rejects": () => Promise.reject(new Error(SECRET)),
  "throws what is no error": () => {
    throw SECRET;
  },
  "returns null": () => null,
  "returns text": () => SECRET,
  "resolves with nothing": () => Promise.resolve(undefined),
  "returns a response whose body was read": async () => {
    const response = new Response("text");
    await response.text();
    return response;
  },
  "returns a response whose body is locked": () => {
    const response = new Response(new ReadableStream());
    response.body?.getReader();
    return response;
  },
  "returns an error response": () => Response.error(),
  "makes a response with a bad header field": () =>
    new Response("text", { headers: { "x-a": `line\nx-b: ${SECRET}` } }),
  "makes a response with a bad header field later": async () => {
    await turn();
    return new Response("text", { headers: { "x-a": `line\nx-b: ${SECRET}` } });
  },
  "makes a response with a bad status": () => new Response("text", { status: 1000 }),
};

/** Streams that fail. */
const STREAMS: Record<string, () => ReadableStream> = {
  "when it starts": () =>
    new ReadableStream({ start: (controller) => controller.error(new Error(SECRET)) }),
  "before its first chunk": () =>
    new ReadableStream({
      pull() {
        throw new Error(SECRET);
      },
    }),
  "before its first chunk, later": () =>
    new ReadableStream({
      async pull() {
        await turn();
        throw new Error(SECRET);
      },
    }),
  "half-way": () => failingAfter(2, () => Promise.resolve()),
  "half-way, later": () => failingAfter(2, turn),
  "with a chunk that is not bytes": () =>
    new ReadableStream({ pull: (controller) => controller.enqueue(SECRET) }),
};

/** Adds the cases of this file. */
export function failureCases(test: AddCase): void {
  for (const [what, fail] of Object.entries(FAILURES)) {
    // A mistake that a handler in JavaScript can make.
    const handler = ((request) =>
      request.url.endsWith("/") ? fail() : new Response("alive")) as FetchHandler;
    test(`adapter answers 500 and reports once when the handler ${what}`, (trial) =>
      trial.withServer(handler, async ({ client, reports }) => {
        const connection = client();
        const response = await connection.get("/").response();
        assert.equal(response.status, 500);
        assert.equal(response.body.toString(), "500 Internal Server Error\n");
        assert.deepEqual(valuesOf(response, "content-type"), ["text/plain;charset=utf-8"]);
        assert.deepEqual(valuesOf(response, "x-b"), []);
        assert.equal((await client().get("/alive").response()).body.toString(), "alive");
        assert.equal(reports.length, 1);
      }));
  }

  for (const isLate of [false, true]) {
    test(`adapter answers with the status of an HttpError below 500, ${isLate ? "rejected" : "thrown"}, and reports nothing`, (trial) =>
      trial.withServer(() => {
        const error = new HttpError(405, SECRET, { headers: { allow: "GET" } });
        if (isLate) return Promise.reject(error);
        throw error;
      }, async ({ client, reports }) => {
        const response = await client().get("/").response();
        assert.equal(response.status, 405);
        assert.equal(response.body.toString(), "405 Method Not Allowed\n");
        assert.deepEqual(valuesOf(response, "allow"), ["GET"]);
        assert.deepEqual(reports, []);
      }));
  }

  test("adapter reports an HttpError of 500 and above", (trial) => {
    const error = new HttpError(503, SECRET, { headers: { "retry-after": "1" } });
    return trial.withServer(() => Promise.reject(error), async ({ client, reports }) => {
      const response = await client().get("/").response();
      assert.equal(response.body.toString(), "503 Service Unavailable\n");
      assert.deepEqual(valuesOf(response, "retry-after"), ["1"]);
      assert.deepEqual(reports, [error]);
    });
  });

  for (const [when, stream] of Object.entries(STREAMS)) {
    test(`adapter cuts off a response whose stream fails ${when}, and reports it once`, (trial) =>
      trial.withServer(() => new Response(stream()), async ({ client, reports }) => {
        const connection = client().get("/");
        const seen = await connection.response().then(
          (response) => ({ isWhole: response.isWhole, text: response.body.toString() }),
          // Not even a head came.
          () => ({ isWhole: false, text: connection.pending }),
        );
        await connection.closed;
        await turn();
        assert.equal(seen.isWhole, false);
        assert.doesNotMatch(seen.text, new RegExp(SECRET));
        assert.equal(reports.length, 1);
      }));
  }

  test("adapter cuts off a response whose stream fails while the answer before it is awaited", (trial) => {
    const late = deferred();
    return trial.withServer(async (request) => {
      if (request.url.endsWith("/2")) return new Response(failingAfter(1, () => Promise.resolve()));
      await late.promise;
      return new Response("text");
    }, async ({ client, reports }) => {
      // Some platforms begin with the second when the first is answered.
      const connection = client().get("/1").get("/2").get("/3");
      for (let i = 0; i < 5; i++) await turn();
      late.resolve();
      await connection.closed;
      assert.ok(reports.length <= 1);
    });
  });

  test("adapter has sent what a stream made before it failed", (trial) =>
    trial.withServer(() => new Response(failingAfter(2, turn)), async ({ client }) => {
      const response = await client().get("/").response();
      assert.deepEqual([response.body.toString(), response.isWhole], ["chunkchunk", false]);
    }));
}

function failingAfter(chunks: number, wait: () => Promise<void>): ReadableStream<Uint8Array> {
  let made = 0;
  return new ReadableStream({
    async pull(controller) {
      await wait();
      if (made++ === chunks) throw new Error(SECRET);
      controller.enqueue(new TextEncoder().encode("chunk"));
    },
  });
}
