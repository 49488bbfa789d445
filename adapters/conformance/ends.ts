/**
 * What an adapter says of the end of an exchange, to whoever asks. It need not: of one that does not
 * know, nothing is asked.
 */

import assert from "node:assert/strict";
import type { FetchHandler, RequestInfo } from "../../runtime/http/fetch_handler.ts";
import { aborted, type AddCase, deferred, turn, until } from "./trial.ts";

const encoder = new TextEncoder();

/** More than the kernel and any server buffer for one client. */
const CHUNK_BYTES = 256 * 1024;
const CHUNKS = 64;

/** Clients that leave, each at another moment. */
const CLIENTS = 100;

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

/** What an adapter has said of the ends of exchanges. */
class Ends {
  readonly said: boolean[] = [];
  /** Whether it does not know of them. */
  isUnknown = false;

  watch(info: RequestInfo): void {
    this.isUnknown = info.onOver === undefined;
    info.onOver?.((isComplete) => this.said.push(isComplete));
  }

  /** Resolves when so many have been told. */
  told(count = 1): Promise<void> {
    return until(() => this.isUnknown || this.said.length >= count);
  }

  /** Asserts what was said. */
  equal(expected: readonly boolean[]): void {
    if (!this.isUnknown) assert.deepEqual(this.said, expected);
  }
}

/** Adds the cases of this file. */
export function endCases(test: AddCase): void {
  for (const [what, isComplete, answer] of ENDS) {
    for (const method of ["GET", "HEAD"]) {
      test(`adapter says once that an exchange is over which answers a ${method} with ${what}`, async (trial) => {
        const ends = new Ends();
        await trial.withServer((request, info) => {
          ends.watch(info);
          return answer(request, info);
        }, async ({ client }) => {
          const connection = client().get("/", "host: h\r\n", method);
          await connection.response({ isHead: method === "HEAD" }).catch(() => {});
          await ends.told();
          connection.leave();
          await connection.closed;
          for (let i = 0; i < 5; i++) await turn();
          ends.equal([isComplete || method === "HEAD"]);
        });
      });
    }
  }

  test("adapter says that an exchange is over when the client leaves before its answer", async (trial) => {
    const ends = new Ends();
    const called = deferred();
    await trial.withServer(async (_, info) => {
      ends.watch(info);
      called.resolve();
      await aborted(info.signal);
      return new Response("too late");
    }, async ({ client }) => {
      const connection = client().get("/");
      await called.promise;
      connection.leave();
      await ends.told();
      ends.equal([false]);
    });
  });

  test("adapter says of all exchanges of a connection that they are over when the client leaves", async (trial) => {
    let begun = 0;
    const ends = new Ends();
    const late = deferred();
    await trial.withServer(async (_, info) => {
      begun++;
      ends.watch(info);
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
      await ends.told(begun);
      ends.equal(Array(begun).fill(false));
    });
  });

  for (const isThere of [true, false]) {
    const who = isThere ? "a handler asks late" : "a handler asks when the client has left";
    test(`adapter says that an exchange is over of which ${who}`, async (trial) => {
      const ends = new Ends();
      const called = deferred();
      const goOn = deferred();
      await trial.withServer(async (_, info) => {
        called.resolve();
        await goOn.promise;
        ends.watch(info);
        return new Response("text");
      }, async ({ client }) => {
        const connection = client().get("/");
        await called.promise;
        if (!isThere) connection.leave();
        for (let i = 0; i < 5; i++) await turn();
        goOn.resolve();
        if (isThere) await connection.response();
        await ends.told();
        ends.equal([isThere]);
      });
    });
  }

  for (const method of ["GET", "HEAD"]) {
    test(`adapter says once that an exchange is over, and lets go of its stream, whenever the client of a ${method} leaves`, async (trial) => {
      const ends = new Ends();
      const reports: unknown[] = [];
      let [begun, streams] = [0, 0];
      await trial.withServer(async (request, info) => {
        begun++;
        ends.watch(info);
        await turn();
        streams++;
        const error = new Error(request.url);
        return new Response(streamOf(begun % 3, error, 5, () => {}, () => streams--));
      }, async ({ client, reports: reported }) => {
        for (let i = 0; i < CLIENTS; i++) {
          const connection = await client().connected();
          connection.get(`/${i}`, "host: h\r\n", method);
          for (let turns = 0; turns < i % 5; turns++) await turn();
          connection.reset();
          await connection.closed;
        }
        await ends.told(begun);
        await until(() => streams === 0);
        for (let i = 0; i < 5; i++) await turn();
        if (!ends.isUnknown) assert.equal(ends.said.length, begun);
        reports.push(...reported);
      });
      assert.equal(new Set(reports.map(String)).size, reports.length);
    });
  }

  test("adapter says that an exchange is over when the client leaves a silent stream", async (trial) => {
    const ends = new Ends();
    await trial.withServer((_, info) => {
      ends.watch(info);
      return new Response(silentStream());
    }, async ({ client }) => {
      const connection = client().get("/");
      await connection.receive("first");
      ends.equal([]);
      connection.leave();
      await ends.told();
      ends.equal([false]);
    });
  });

  test("adapter does not say that a stream is over while its client does not read it", async (trial) => {
    const ends = new Ends();
    let made = 0;
    await trial.withServer((_, info) => {
      ends.watch(info);
      return new Response(streamOf(CHUNKS, undefined, CHUNK_BYTES, () => made++));
    }, async ({ client }) => {
      const connection = await client().connected();
      connection.pause().get("/");
      await until(() => made > 0);
      for (let before = -1; before !== made;) {
        before = made;
        for (let i = 0; i < 20; i++) await turn();
      }
      ends.equal([]);
      connection.resume();
      const { body } = await connection.response();
      assert.equal(body.length, CHUNKS * CHUNK_BYTES);
      await ends.told();
      ends.equal([true]);
    });
  });

  test("adapter says that an exchange is over when the server is stopped", async (trial) => {
    const ends = new Ends();
    await trial.withServer((_, info) => {
      ends.watch(info);
      return new Response(silentStream());
    }, async ({ client, server }) => {
      await client().get("/").receive("first");
      await server.stop({ graceMs: 0 });
      await ends.told();
      ends.equal([false]);
    });
  });
}

/** A stream of which nothing comes after "first". */
function silentStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(encoder.encode("first")) });
}

/** A stream of `chunks`, which then ends, or fails; `over` is called then, or when it is let go. */
function streamOf(
  chunks: number,
  error?: Error,
  bytes = 5,
  made = (): void => {},
  over = (): void => {},
): ReadableStream<Uint8Array> {
  let left = chunks;
  let isOver = false;
  const end = (): void => {
    if (!isOver) over();
    isOver = true;
  };
  return new ReadableStream({
    async pull(controller) {
      await turn();
      if (left-- > 0) {
        made();
        controller.enqueue(new Uint8Array(bytes));
        return;
      }
      end();
      if (error !== undefined) throw error;
      controller.close();
    },
    cancel: end,
  }, { highWaterMark: 0 });
}
