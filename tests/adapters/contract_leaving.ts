/** Streams, and clients that leave, do not read, or do not send what they should. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { aborted, deferred, type Serve, turn, until, withServer } from "./running_server.ts";

const encoder = new TextEncoder();

/** More than the kernel and any server buffer for one client. */
const CHUNK_BYTES = 256 * 1024;
const CHUNKS_MAX = 400;

export function leavingContract(serve: Serve): void {
  test("adapter aborts the signal when the client leaves before it is answered", async () => {
    const called = deferred<AbortSignal>();
    await withServer(serve, async (_, info) => {
      called.resolve(info.signal);
      await aborted(info.signal);
      return new Response("too late");
    }, async ({ client, reports }) => {
      const connection = client().get("/");
      const signal = await called.promise;
      assert.equal(signal.aborted, false);
      connection.leave();
      await aborted(signal);
      await turn();
      assert.deepEqual(reports, []);
    });
  });

  test("adapter aborts the signal that is first asked for after the client left", async () => {
    const called = deferred();
    const left = deferred();
    const seen = deferred();
    await withServer(serve, async (_, info) => {
      called.resolve();
      await left.promise;
      await aborted(info.signal);
      seen.resolve();
      return new Response("too late");
    }, async ({ client }) => {
      const connection = client().get("/");
      await called.promise;
      connection.leave();
      await connection.closed;
      for (let i = 0; i < 20; i++) await turn();
      left.resolve();
      await seen.promise;
    });
  });

  for (const how of ["at once", "later", "as a stream"]) {
    test(`adapter does not abort the signal of an answer sent ${how}`, async () => {
      const signals: AbortSignal[] = [];
      await withServer(serve, (_, info) => {
        signals.push(info.signal);
        if (how === "at once") return new Response("text");
        if (how === "later") return turn().then(() => new Response("text"));
        return new Response(streamOf(["te", "xt"]));
      }, async ({ client }) => {
        const connection = client();
        for (const _ of [1, 2, 3]) {
          assert.equal((await connection.get("/").response()).body.toString(), "text");
        }
        connection.leave();
        await connection.closed;
        await turn();
        await turn();
        assert.deepEqual(signals.map((signal) => signal.aborted), [false, false, false]);
      });
    });
  }

  test("adapter cancels a stream and aborts the signal when the client leaves, and reports nothing", async () => {
    const cancelled = deferred();
    const signalled = deferred();
    await withServer(serve, (_, info) => {
      void aborted(info.signal).then(signalled.resolve);
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await turn();
            controller.enqueue(encoder.encode("chunk"));
          },
          cancel: () => cancelled.resolve(),
        }),
      );
    }, async ({ client, reports }) => {
      const connection = client().get("/");
      await connection.receive("chunk");
      connection.leave();
      await Promise.all([cancelled.promise, signalled.promise]);
      await turn();
      assert.deepEqual(reports, []);
    });
  });

  test("adapter cancels a silent stream when the client leaves", async () => {
    const cancelled = deferred();
    const silent = (): Response =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(encoder.encode("first")),
          cancel: () => cancelled.resolve(),
        }),
      );
    await withServer(serve, silent, async ({ client, reports }) => {
      const connection = client().get("/");
      await connection.receive("first");
      connection.leave();
      await cancelled.promise;
      await turn();
      assert.deepEqual(reports, []);
    });
  });

  test("adapter sends each chunk of a stream when it is made", async () => {
    const chunks = [deferred(), deferred()];
    await withServer(serve, () => {
      let next = 0;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            const chunk = chunks[next++];
            if (chunk === undefined) return controller.close();
            await chunk.promise;
            controller.enqueue(encoder.encode(`chunk ${next}`));
          },
        }),
      );
    }, async ({ client }) => {
      const connection = client().get("/");
      chunks[0]?.resolve();
      await connection.receive("chunk 1");
      chunks[1]?.resolve();
      const response = await connection.response();
      assert.deepEqual([response.body.toString(), response.isWhole], ["chunk 1chunk 2", true]);
    });
  });

  test("adapter pulls no more from a stream when its client does not read", async () => {
    let pulls = 0;
    await withServer(serve, () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            pulls++;
            if (pulls === CHUNKS_MAX) return controller.close();
            controller.enqueue(new Uint8Array(CHUNK_BYTES));
          },
        }, { highWaterMark: 0 }),
      ), async ({ client }) => {
      const connection = await client().connected();
      connection.pause().get("/");
      await until(() => pulls > 0);
      let before: number;
      do {
        before = pulls;
        for (let i = 0; i < 50; i++) await turn();
      } while (pulls !== before);
      assert.ok(pulls < CHUNKS_MAX, `it stopped at ${pulls}`);
    });
  });

  for (
    const [what, misbehave] of [
      ["a bad chunk", (client) => client.send("this is no chunk\r\n")],
      ["a reset", (client) => client.reset()],
      ["an end that comes early", (client) => client.leave()],
    ] as const satisfies readonly [string, (client: ReturnType<ClientOf>) => void][]
  ) {
    test(`adapter rejects reading a body that is cut by ${what}, and serves on`, async () => {
      const called = deferred();
      const read = deferred<string>();
      await withServer(serve, async (request) => {
        if (request.method === "GET") return new Response("alive");
        called.resolve();
        await request.text().then(
          () => read.resolve("resolved"),
          () => read.resolve("rejected"),
        );
        return new Response("read");
      }, async ({ client, reports }) => {
        const connection = client().send(
          "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        );
        await called.promise;
        misbehave(connection);
        assert.equal(await read.promise, "rejected");
        assert.equal((await client().get("/").response()).body.toString(), "alive");
        assert.deepEqual(reports, []);
      });
    });
  }
}

type ClientOf = Parameters<Parameters<typeof withServer>[2]>[0]["client"];

function streamOf(chunks: readonly string[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    async pull(controller) {
      await turn();
      const chunk = chunks[next++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(encoder.encode(chunk));
    },
  });
}
