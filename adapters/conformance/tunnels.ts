/** CONNECT, which no handler is asked about: what came before it is answered, and nothing is left. */

import assert from "node:assert/strict";
import { aborted, type AddCase, deferred, turn, until } from "./trial.ts";

const CONNECT = "CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n\r\n";
const GET = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";

/** More than the kernel and any server buffer for one client. */
const CHUNK_BYTES = 256 * 1024;
const CHUNKS = 64;

/** Clients that leave at once: whether a server's answer meets one that has gone is up to chance. */
const CLIENTS = 50;

/** Adds the cases of this file. */
export function tunnelCases(test: AddCase): void {
  test("adapter goes on when clients ask for tunnels and leave", (trial) =>
    trial.withServer(() => new Response("alive"), async ({ client, reports }) => {
      for (let i = 0; i < CLIENTS; i++) {
        const connection = await client().connected();
        connection.send(CONNECT).reset();
        await connection.closed;
      }
      assert.equal((await client().get("/").response()).body.toString(), "alive");
      assert.deepEqual(reports, []);
    }));

  test("adapter answers what came before a CONNECT", (trial) =>
    trial.withServer(async () => {
      await turn();
      return new Response(chunks());
    }, async ({ client }) => {
      const connection = client().send(GET + GET + CONNECT);
      for (let i = 0; i < 2; i++) {
        const { body, isWhole } = await connection.response();
        assert.deepEqual([body.length, isWhole], [CHUNKS * CHUNK_BYTES, true]);
      }
      assert.equal((await connection.response({ isHead: true })).status, 501);
    }));

  test("adapter says that exchanges are over when the client leaves behind a CONNECT", (trial) => {
    const ends: boolean[] = [];
    const begun = deferred();
    let exchanges = 0;
    let isUnknown = false;
    return trial.withServer(async (_, info) => {
      exchanges++;
      begun.resolve();
      isUnknown = info.onOver === undefined;
      info.onOver?.((isComplete) => ends.push(isComplete));
      await aborted(info.signal);
      return new Response("too late");
    }, async ({ client }) => {
      const connection = client().send(GET + GET + CONNECT);
      await begun.promise;
      connection.leave();
      await until(() => isUnknown || ends.length === exchanges);
      assert.ok(!ends.includes(true));
    });
  });

  test("server cuts off what is in flight before a CONNECT at the deadline", (trial) => {
    const begun = deferred();
    return trial.withServer(() => {
      begun.resolve();
      return new Promise(() => {});
    }, async ({ client, server }) => {
      const connection = client().send(GET + CONNECT);
      await begun.promise;
      await server.stop({ graceMs: 50 });
      await connection.closed;
    });
  });
}

function chunks(): ReadableStream<Uint8Array> {
  let left = CHUNKS;
  return new ReadableStream({
    pull(controller): void {
      if (left-- > 0) controller.enqueue(new Uint8Array(CHUNK_BYTES));
      else controller.close();
    },
  });
}
