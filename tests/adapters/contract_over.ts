/** What an adapter says of the end of an exchange, to whoever asks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FetchHandler } from "../../runtime/http/fetch_handler.ts";
import { aborted, deferred, type Serve, turn, until, withServer } from "./running_server.ts";

const encoder = new TextEncoder();

/** More than the kernel and any server buffer for one client. */
const CHUNK_BYTES = 256 * 1024;
const CHUNKS = 64;

/** Exchanges that come to their end, and whether their answer is sent in full. */
const ENDS: readonly (readonly [what: string, isComplete: boolean, answer: FetchHandler])[] = [
  ["text", true, () => new Response("text")],
  ["text, later", true, () => turn().then(() => new Response("text"))],
  ["bytes", true, () => new Response(new Uint8Array(1000))],
  ["a blob", true, () => new Response(new Blob(["text"]))],
  ["nothing", true, () => new Response(null, { status: 304 })],
  ["a stream", true, () => new Response(streamOf(3))],
  ["an error page", true, () => Promise.reject(new Error("a fault"))],
  ["a stream that fails", false, () => new Response(streamOf(2, new Error("a fault")))],
];

export function overContract(serve: Serve): void {
  for (const [what, isComplete, answer] of ENDS) {
    for (const method of ["GET", "HEAD"]) {
      test(`adapter says once that an exchange is over which answers a ${method} with ${what}`, async () => {
        const overs: boolean[] = [];
        await withServer(serve, (request, info) => {
          info.onOver?.((isComplete) => overs.push(isComplete));
          return answer(request, info);
        }, async ({ client }) => {
          const connection = client().get("/", "host: h\r\n", method);
          await connection.response({ isHead: method === "HEAD" }).catch(() => {});
          await until(() => overs.length > 0);
          connection.leave();
          await connection.closed;
          for (let i = 0; i < 5; i++) await turn();
          assert.deepEqual(overs, [isComplete || method === "HEAD"]);
        });
      });
    }
  }

  test("adapter says that an exchange is over when the client leaves before its answer", async () => {
    const overs: boolean[] = [];
    const called = deferred();
    await withServer(serve, async (_, info) => {
      info.onOver?.((isComplete) => overs.push(isComplete));
      called.resolve();
      await aborted(info.signal);
      return new Response("too late");
    }, async ({ client }) => {
      const connection = client().get("/");
      await called.promise;
      connection.leave();
      await until(() => overs.length > 0);
      assert.deepEqual(overs, [false]);
    });
  });

  test("adapter says of all exchanges of a connection that they are over when the client leaves", async () => {
    let begun = 0;
    const overs: boolean[] = [];
    const late = deferred();
    await withServer(serve, async (_, info) => {
      begun++;
      info.onOver?.((isComplete) => overs.push(isComplete));
      await late.promise;
      return new Response("too late");
    }, async ({ client }) => {
      // Some platforms begin with the second before the first is answered.
      const connection = client().get("/").get("/");
      await until(() => begun > 0);
      for (let i = 0; i < 5; i++) await turn();
      connection.leave();
      await connection.closed;
      for (let i = 0; i < 5; i++) await turn();
      late.resolve();
      await until(() => overs.length >= begun);
      assert.ok(!overs.includes(true), `${overs}`);
    });
  });

  test("adapter says that an exchange is over when the client leaves a silent stream", async () => {
    const overs: boolean[] = [];
    await withServer(serve, (_, info) => {
      info.onOver?.((isComplete) => overs.push(isComplete));
      return new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(encoder.encode("first")) }),
      );
    }, async ({ client }) => {
      const connection = client().get("/");
      await connection.receive("first");
      assert.deepEqual(overs, []);
      connection.leave();
      await until(() => overs.length > 0);
      assert.deepEqual(overs, [false]);
    });
  });

  test("adapter does not say that a stream is over while its client does not read it", async () => {
    const overs: boolean[] = [];
    let made = 0;
    await withServer(serve, (_, info) => {
      info.onOver?.((isComplete) => overs.push(isComplete));
      return new Response(streamOf(CHUNKS, undefined, CHUNK_BYTES, () => made++));
    }, async ({ client }) => {
      const connection = await client().connected();
      connection.pause().get("/");
      await until(() => made > 0);
      for (let before = -1; before !== made;) {
        before = made;
        for (let i = 0; i < 20; i++) await turn();
      }
      assert.deepEqual(overs, []);
      connection.resume();
      const { body } = await connection.response();
      assert.equal(body.length, CHUNKS * CHUNK_BYTES);
      await until(() => overs.length > 0);
      assert.deepEqual(overs, [true]);
    });
  });

  test("adapter says that an exchange is over when the server is stopped", async () => {
    const overs: boolean[] = [];
    await withServer(serve, (_, info) => {
      info.onOver?.((isComplete) => overs.push(isComplete));
      return new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(encoder.encode("first")) }),
      );
    }, async ({ client, server }) => {
      await client().get("/").receive("first");
      await server.stop({ graceMs: 0 });
      await until(() => overs.length > 0);
      assert.deepEqual(overs, [false]);
    });
  });
}

/** A stream of `chunks`, which then ends, or fails. */
function streamOf(
  chunks: number,
  error?: Error,
  bytes = 5,
  made = (): void => {},
): ReadableStream<Uint8Array> {
  let left = chunks;
  return new ReadableStream({
    async pull(controller) {
      await turn();
      if (left-- > 0) {
        made();
        controller.enqueue(new Uint8Array(bytes));
      } else if (error === undefined) controller.close();
      else throw error;
    },
  }, { highWaterMark: 0 });
}
