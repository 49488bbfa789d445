/** Bodies in and out: whole, in chunks, as they come, and no faster than they are taken. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { valuesOf } from "./raw_client.ts";
import { type AddCase, deferred, settled, turn, until } from "./trial.ts";

const LARGE_BYTES = 10 * 1024 * 1024;
const POST = "POST / HTTP/1.1\r\nhost: h\r\n";

/** More than any system buffers for one connection, in its two directions. */
const BUFFERED_BYTES_MAX = 24 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
/** Chunks of a body that nobody may hold in memory. */
const CHUNKS = 512;

/** Chunked bodies, and what a handler must read. */
const CHUNKED: readonly (readonly [what: string, chunks: string, body: string])[] = [
  ["no chunk", "0\r\n\r\n", ""],
  ["several chunks", "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", "onetwo"],
  [
    "sizes in both cases",
    "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "01234567890123456789",
  ],
  ["sizes with leading zeros", "0004\r\nbody\r\n000\r\n\r\n", "body"],
  ["chunk extensions", '4;a=b;c="d;e"\r\nbody\r\n0;f\r\n\r\n', "body"],
  ["a trailer", "4\r\nbody\r\n0\r\nx-a: b\r\n\r\n", "body"],
];

/** Adds the cases of this file. */
export function bodyCases(test: AddCase): void {
  for (const [what, chunks, body] of CHUNKED) {
    test(`adapter reads a chunked body of ${what}, and the next request`, (trial) =>
      trial.withServer(
        async (request) => new Response(await request.text()),
        async ({ client }) => {
          const connection = client();
          for (const coding of ["chunked", "Chunked"]) {
            const fields = `host: h\r\ntransfer-encoding: ${coding}\r\n`;
            const response = await connection.get("/", fields, "POST").send(chunks).response();
            assert.deepEqual([response.status, response.body.toString()], [200, body]);
          }
        },
      ));
  }

  test("adapter reads a chunked body that is cut anywhere on its way", (trial) =>
    trial.withServer(async (request) => new Response(await request.text()), async ({ client }) => {
      const connection = await client().connected();
      for (const byte of `${POST}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`) {
        connection.send(byte);
        await turn();
      }
      assert.equal((await connection.response()).body.toString(), "hello");
    }));

  test("adapter hands on a POST without a body as one with an empty body", (trial) =>
    trial.withServer(
      async (request) => new Response(JSON.stringify(await request.text())),
      async ({ client }) => {
        const response = await client().get("/", "host: h\r\n", "POST").response();
        assert.equal(response.body.toString(), '""');
      },
    ));

  test("adapter says the length of an empty body", (trial) =>
    trial.withServer(() => new Response(null), async ({ client }) => {
      const connection = client();
      for (const _ of [1, 2]) {
        const response = await connection.get("/").response();
        assert.deepEqual(valuesOf(response, "content-length"), ["0"]);
      }
    }));

  for (
    const [how, body] of [
      ["whole", async (request: Request) => new Uint8Array(await request.arrayBuffer())],
      ["as a stream", (request: Request) => request.body],
    ] as const
  ) {
    test(`adapter takes and sends a body of 10 MiB, ${how}`, (trial) =>
      trial.withServer(
        async (request) => new Response(await body(request)),
        async ({ client, reports }) => {
          const sent = Uint8Array.from({ length: LARGE_BYTES }, (_, i) => i % 251);
          const connection = client().send(`${POST}content-length: ${sent.length}\r\n\r\n`);
          const response = await connection.send(sent).response();
          assert.equal(response.isWhole, true);
          assert.ok(response.body.equals(sent));
          assert.deepEqual(reports, []);
        },
      ));
  }

  test("adapter sends a stream in chunks", (trial) =>
    trial.withServer(() => new Response(streamOf("te", "xt")), async ({ client }) => {
      const connection = client();
      for (const _ of [1, 2]) {
        const response = await connection.get("/").response();
        assert.deepEqual(valuesOf(response, "transfer-encoding"), ["chunked"]);
        assert.deepEqual([response.body.toString(), response.isWhole], ["text", true]);
      }
    }));

  test("adapter sends a stream whose length is known with that length", (trial) =>
    trial.withServer(
      () => new Response(streamOf("te", "xt"), { headers: { "content-length": "4" } }),
      async ({ client }) => {
        const response = await client().get("/").response();
        assert.deepEqual(valuesOf(response, "content-length"), ["4"]);
        assert.deepEqual(valuesOf(response, "transfer-encoding"), []);
        assert.equal(response.body.toString(), "text");
      },
    ));

  test("adapter sends each part of a body back before it has the next", (trial) =>
    trial.withServer((request) => new Response(request.body), async ({ client }) => {
      const connection = client().send(`${POST}transfer-encoding: chunked\r\n\r\n3\r\none\r\n`);
      await connection.receive("one");
      connection.send("3\r\ntwo\r\n");
      await connection.receive("two");
      const response = await connection.send("0\r\n\r\n").response();
      assert.deepEqual([response.body.toString(), response.isWhole], ["onetwo", true]);
    }));

  test("adapter asks the handler about a body of any announced length", (trial) =>
    trial.withServer(() => new Response("no, thanks", { status: 413 }), async ({ client }) => {
      const response = await client()
        .send(`${POST}content-length: 1000000000000\r\n\r\nfirst`)
        .response();
      assert.equal(response.body.toString(), "no, thanks");
    }));

  test("adapter sends the answer of a handler that cancels the body, and answers others", (trial) =>
    trial.withServer(async (request) => {
      const reader = request.body?.getReader();
      const first = await reader?.read();
      await reader?.cancel();
      return new Response(first?.value);
    }, async ({ client, reports }) => {
      const connection = client().send(`${POST}content-length: ${LARGE_BYTES}\r\n\r\nfirst`);
      const response = await connection.response();
      assert.deepEqual([response.status, response.body.toString()], [200, "first"]);
      assert.equal((await client().get("/").response()).status, 200);
      assert.deepEqual(reports, []);
    }));

  test("adapter pulls no more from a stream than its client reads, and sends all of it", async (trial) => {
    let pulls = 0;
    let isRead = false;
    await trial.withServer(() =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (isRead || pulls === CHUNKS) return controller.close();
            pulls++;
            controller.enqueue(new Uint8Array(CHUNK_BYTES));
          },
        }, { highWaterMark: 0 }),
      ), async ({ client }) => {
      const connection = await client().connected();
      connection.pause().get("/");
      await until(() => pulls > 0);
      await settled(() => pulls);
      assert.ok(pulls * CHUNK_BYTES < BUFFERED_BYTES_MAX, `it stopped at ${pulls} chunks`);
      isRead = true;
      const response = await connection.resume().response();
      assert.deepEqual([response.body.length, response.isWhole], [pulls * CHUNK_BYTES, true]);
    });
  });

  for (const [what, answer] of Object.entries(SLOW_READERS)) {
    test(`adapter takes no more of a body than ${what}, and hands on all of it`, async (trial) => {
      const isRead = deferred();
      await trial.withServer(
        (request) => answer(request, isRead.promise),
        async ({ client }) => {
          const connection = await client().connected();
          connection.pause().send(`${POST}transfer-encoding: chunked\r\n\r\n`);
          const chunk = Buffer.alloc(CHUNK_BYTES);
          let chunks = 0;
          await settled(() => {
            for (; chunks < CHUNKS && connection.unsentBytes === 0; chunks++) {
              connection.send(`${CHUNK_BYTES.toString(16)}\r\n`).send(chunk).send("\r\n");
            }
            return chunks;
          });
          assert.ok(chunks * CHUNK_BYTES < BUFFERED_BYTES_MAX, `it took ${chunks} chunks`);
          isRead.resolve();
          const response = await connection.send("0\r\n\r\n").resume().response();
          assert.deepEqual([response.body.length, response.isWhole], [chunks * CHUNK_BYTES, true]);
        },
      );
    });
  }
}

type SlowAnswer = (request: Request, isRead: Promise<void>) => Response | Promise<Response>;

/** Handlers that send back what they have read, and at first read little. */
const SLOW_READERS: Record<string, SlowAnswer> = {
  "its handler reads": async (request, isRead) => {
    await isRead;
    return new Response(await request.arrayBuffer());
  },
  "its handler goes on to read": async (request, isRead) => {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of request.body ?? []) {
      chunks.push(chunk);
      await isRead;
    }
    return new Response(new Blob(chunks));
  },
  "is taken of what it sends back": (request) => new Response(request.body),
};

function streamOf(...chunks: readonly string[]): ReadableStream<Uint8Array> {
  const left = [...chunks];
  return new ReadableStream({
    async pull(controller) {
      await turn();
      const chunk = left.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(chunk));
    },
  });
}
