/** Streams, and clients that leave, do not read, or do not send what they should. */

import assert from "node:assert/strict";
import type { RawClient } from "./raw_client.ts";
import { aborted, type AddCase, deferred, turn } from "./trial.ts";

const encoder = new TextEncoder();

/** Adds the cases of this file. */
export function leavingCases(test: AddCase): void {
  test("adapter aborts the signal when the client leaves before it is answered", async (trial) => {
    const called = deferred<AbortSignal>();
    await trial.withServer(async (_, info) => {
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

  test("adapter aborts the signal that is first asked for after the client left", async (trial) => {
    const called = deferred();
    const left = deferred();
    const seen = deferred();
    await trial.withServer(async (_, info) => {
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
    test(`adapter does not abort the signal of an answer sent ${how}`, async (trial) => {
      const signals: AbortSignal[] = [];
      await trial.withServer((_, info) => {
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

  test("adapter cancels a stream and aborts the signal when the client leaves, and reports nothing", async (trial) => {
    const cancelled = deferred();
    const signalled = deferred();
    await trial.withServer((_, info) => {
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

  test("adapter cancels a silent stream when the client leaves", async (trial) => {
    const cancelled = deferred();
    const silent = (): Response =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(encoder.encode("first")),
          cancel: () => cancelled.resolve(),
        }),
      );
    await trial.withServer(silent, async ({ client, reports }) => {
      const connection = client().get("/");
      await connection.receive("first");
      connection.leave();
      await cancelled.promise;
      await turn();
      assert.deepEqual(reports, []);
    });
  });

  test("adapter sends each chunk of a stream when it is made", async (trial) => {
    const chunks = [deferred(), deferred()];
    await trial.withServer(() => {
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

  for (
    const [what, misbehave] of [
      ["a bad chunk", (client) => client.send("this is no chunk\r\n")],
      ["a reset", (client) => client.reset()],
      ["an end that comes early", (client) => client.leave()],
    ] as const satisfies readonly [string, (client: RawClient) => void][]
  ) {
    test(`adapter rejects reading a body that is cut by ${what}, and serves on`, async (trial) => {
      const called = deferred();
      const read = deferred<string>();
      await trial.withServer(async (request) => {
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
