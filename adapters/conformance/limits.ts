/**
 * Limits, each far below its default: bytes, times, counts. What a server refuses gets the handler's
 * page; a client that is slow, or leaves a connection lying, is not held on to.
 */

import assert from "node:assert/strict";
import type { ServerLimits } from "../../runtime/http/fetch_handler.ts";
import { type RawClient, valuesOf } from "./raw_client.ts";
import { type AddCase, deferred, turn, until, within } from "./trial.ts";

const GET = "GET / HTTP/1.1\r\nhost: h\r\n";
const POST = "POST / HTTP/1.1\r\nhost: h\r\n";

/** What a limit of time is set to. */
const LIMIT_MS = 150;
/** When what such a limit ends has to be over: a platform may look only now and then. */
const SOON_MS = 1500;
/** The same where a platform counts in seconds, and looks every four. */
const LATER_MS = 5000;

const MIB = 1024 * 1024;

/** Adds the cases of this file. */
export function limitCases(test: AddCase): void {
  sizeCases(test);
  largeHeaderCases(test);
  headerCases(test);
  slowBodyCases(test);
  countCases(test);
  refusalCases(test);
}

function sizeCases(test: AddCase): void {
  const sizes: readonly (readonly [string, number, ServerLimits, (bytes: number) => string])[] = [
    [
      "a URL",
      414,
      { urlBytesMax: 300 },
      (bytes) => `GET /${"a".repeat(bytes)} HTTP/1.1\r\nhost: h\r\n\r\n`,
    ],
    [
      "a query",
      414,
      { urlBytesMax: 300 },
      (bytes) => `GET /?${"a".repeat(bytes)} HTTP/1.1\r\nhost: h\r\n\r\n`,
    ],
    ["a field", 431, { headerBytesMax: 400 }, (bytes) => `${GET}x-a: ${"a".repeat(bytes)}\r\n\r\n`],
    [
      "fields",
      431,
      { headerBytesMax: 400 },
      (bytes) => `${GET}${`x-a: ${"b".repeat(33)}\r\n`.repeat(bytes / 40)}\r\n`,
    ],
  ];
  for (const [what, status, limits, request] of sizes) {
    test(`adapter answers ${status} and asks no handler for ${what} beyond the limit, and takes less`, (trial) => {
      let calls = 0;
      return trial.withServer(
        () => new Response(`call ${++calls}`),
        async ({ client, reports }) => {
          assert.equal((await client().send(request(240)).response()).body.toString(), "call 1");
          assert.equal((await client().send(request(1600)).response()).status, status);
          assert.deepEqual([calls, reports], [1, []]);
          assert.equal((await client().get("/").response()).body.toString(), "call 2");
        },
        limits,
      );
    });
  }
}

function largeHeaderCases(test: AddCase): void {
  test("adapter takes a URL and a header that are larger than usual, where the limits are", (trial) =>
    trial.withServer(
      ({ url, headers }) => new Response(`${url.length} ${headers.get("x-a")?.length}`),
      async ({ client }) => {
        const fields = `host: h\r\nx-a: ${"a".repeat(16_000)}\r\n`;
        const length = 12_000 - `${trial.scheme}://h/`.length;
        const response = await client().get(`/${"a".repeat(length)}`, fields).response();
        assert.equal(response.body.toString(), "12000 16000");
      },
      { urlBytesMax: 12_000, headerBytesMax: 30_000 },
    ));
}

function headerCases(test: AddCase): void {
  test("adapter answers 408 to a header that does not arrive in time, however it trickles in", (trial) => {
    let calls = 0;
    return trial.withServer(() => new Response(`call ${++calls}`), async ({ client }) => {
      const connection = client().send("GET / HTTP/1.1\r\nhost: h\r\nx-a: ");
      const ended = trickle(connection);
      assert.equal((await within(SOON_MS, connection.response())).status, 408);
      await within(SOON_MS, ended);
      assert.equal((await client().get("/").response()).body.toString(), "call 1");
    }, { headerTimeoutMs: LIMIT_MS });
  });

  test("adapter closes a new connection on which nothing comes, without a word", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const silent = await client().connected();
      await within(SOON_MS, silent.closed);
      assert.equal(silent.received, "");
    }, { headerTimeoutMs: LIMIT_MS }));

  test("adapter closes a connection that is idle after an answer, at once or later", (trial) =>
    trial.withServer(
      ({ url }) =>
        url.endsWith("/") ? new Response("text") : turn().then(() => new Response("text")),
      async ({ client }) => {
        const connections = [client().get("/"), client().get("/later"), client().get("/")];
        await Promise.all(connections.map((connection) => connection.response()));
        await connections[2]?.get("/").response();
        await within(LATER_MS, Promise.all(connections.map(({ closed }) => closed)));
      },
      { idleTimeoutMs: LIMIT_MS },
    ));
}

/** How a handler can read a body. */
const READERS: Record<string, (request: Request) => Promise<unknown>> = {
  "as text": (request) => request.text(),
  "as bytes": (request) => request.arrayBuffer(),
  "as a stream": async ({ body }) => {
    for await (const _ of body ?? []);
  },
  "of a clone": (request) => request.clone().text(),
};

function slowBodyCases(test: AddCase): void {
  for (const [how, read] of Object.entries(READERS)) {
    for (
      const [what, head] of [["", "content-length: 9999"], [
        " in chunks",
        "transfer-encoding: chunked",
      ]]
    ) {
      test(`adapter answers 408 to a body${what} that does not arrive in time, read ${how}`, (trial) =>
        trial.withServer(async (request) => {
          if (request.method === "POST") await read(request);
          return new Response("alive");
        }, async ({ client, reports }) => {
          const connection = client().send(`${POST}${head}\r\n\r\n1\r\na\r\n`);
          void trickle(connection, "1\r\na\r\n");
          const { status, body } = await within(SOON_MS, connection.response());
          assert.deepEqual([status, body.toString()], [408, "408 Request Timeout\n"]);
          assert.equal((await client().get("/").response()).body.toString(), "alive");
          assert.deepEqual(reports, []);
        }, { bodyTimeoutMs: LIMIT_MS }));
    }
  }

  test("adapter closes the connection of a late body, whatever its handler answers", (trial) =>
    trial.withServer(async (request) => {
      void request.text().catch(() => {});
      await pause(2 * LIMIT_MS);
      return new Response("never mind");
    }, async ({ client }) => {
      const connection = client().send(`${POST}content-length: 9\r\n\r\nbody`);
      assert.equal((await within(SOON_MS, connection.response())).body.toString(), "never mind");
      await within(SOON_MS, connection.closed);
    }, { bodyTimeoutMs: LIMIT_MS }));

  test("adapter does not count the time in which its handler does not read", (trial) =>
    trial.withServer(async ({ body }) => {
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of body ?? []) {
        text += decoder.decode(chunk);
        await pause(2 * LIMIT_MS);
      }
      return new Response(text);
    }, async ({ client }) => {
      const response = await client().send(`${POST}content-length: 4\r\n\r\nbody`).response();
      assert.deepEqual([response.status, response.body.toString()], [200, "body"]);
    }, { bodyTimeoutMs: LIMIT_MS }));

  for (const how of ["as bytes", "as a stream"] as const) {
    test(`adapter gives each MiB of a body its time, read ${how}`, (trial) => {
      const limitMs = 1000;
      return trial.withServer(async (request) => {
        await READERS[how]?.(request);
        return new Response("all");
      }, async ({ client }) => {
        const connection = client().send(`${POST}content-length: ${2 * MIB + 1}\r\n\r\n`);
        for (const bytes of [MIB, MIB]) {
          await pause(0.6 * limitMs);
          connection.send(new Uint8Array(bytes));
        }
        assert.equal((await connection.send("a").response()).body.toString(), "all");
      }, { bodyTimeoutMs: limitMs });
    });
  }

  test("adapter sends its answer while a body that nobody reads still comes, and ends that", (trial) =>
    trial.withServer(() => new Response("no, thanks", { status: 413 }), async ({ client }) => {
      const connection = client().send(`${POST}content-length: 99999999\r\n\r\n`);
      const ended = trickle(connection);
      const response = await within(SOON_MS, connection.response());
      assert.deepEqual([response.isWhole, response.body.toString()], [true, "no, thanks"]);
      await within(LATER_MS, ended);
    }, { idleTimeoutMs: LIMIT_MS, bodyTimeoutMs: LIMIT_MS }));
}

function countCases(test: AddCase): void {
  test("adapter closes a connection beyond the limit, and takes others when there is room", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const [first, second] = [client().get("/"), client().get("/")];
      await Promise.all([first.response(), second.response()]);
      const third = client().get("/");
      await assert.rejects(third.response(), /connection ended/);
      assert.equal(third.received, "");
      assert.equal((await first.get("/").response()).body.toString(), "text");
      first.leave();
      await until(async () => {
        const next = client().get("/");
        await Promise.race([next.closed, next.receive("text").catch(() => {})]);
        return next.received !== "";
      });
    }, { connectionsMax: 2 }));

  test("adapter answers 503 at once to a request too many in flight, and others when there is room", async (trial) => {
    const finish = deferred();
    let calls = 0;
    await trial.withServer(async () => {
      calls++;
      await finish.promise;
      return new Response("text");
    }, async ({ client, reports }) => {
      const inFlight = [client().get("/"), client().get("/")];
      await until(() => calls === 2);
      const tooMany = client().get("/");
      const response = await within(SOON_MS, tooMany.response());
      assert.deepEqual([response.status, valuesOf(response, "retry-after")], [503, ["1"]]);
      finish.resolve();
      for (const connection of [...inFlight, tooMany.get("/")]) {
        assert.equal((await connection.response()).body.toString(), "text");
      }
      assert.deepEqual([calls, reports], [3, []]);
    }, { requestsMax: 2 });
  });

  test("adapter counts no request that was answered at once, and none that failed", (trial) =>
    trial.withServer(({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === "/reject") return Promise.reject(new Error("a fault"));
      if (pathname === "/throw") throw new Error("a fault");
      return new Response(new ReadableStream({ start: (controller) => controller.enqueue(PART) }));
    }, async ({ client }) => {
      for (const path of ["/reject", "/throw", "/reject", "/throw", "/stream", "/stream"]) {
        const connection = client().get(path);
        if (path === "/stream") await connection.receive("part");
        else assert.equal((await connection.response()).status, 500);
      }
    }, { requestsMax: 1 }));
}

const PART = new TextEncoder().encode("part");

/** Requests that are refused, and for what. */
const REFUSED: readonly (readonly [what: string, status: number, request: string])[] = [
  ["an invalid host", 400, "GET / HTTP/1.1\r\nhost: a b\r\n\r\n"],
  ["a method that is not served", 501, "TRACE / HTTP/1.1\r\nhost: h\r\nx-a: b\r\n\r\n"],
  ["a URL that is too long", 414, `GET /${"a".repeat(300)} HTTP/1.1\r\nhost: h\r\n\r\n`],
];

function refusalCases(test: AddCase): void {
  const refuse = (what: string, status: number, request: string): void =>
    test(`adapter sends the handler's page for ${what}`, (trial) => {
      let calls = 0;
      const handler = Object.assign(() => new Response(`call ${++calls}`), {
        refuse: (error: { status: number }, { url }: Request) =>
          turn().then(() => new Response(`${error.status} of ${new URL(url).protocol}`, error)),
      });
      return trial.withServer(handler, async ({ client, reports }) => {
        const response = await client().send(request).response();
        assert.deepEqual([response.status, response.body.toString()], [
          status,
          `${status} of ${trial.scheme}:`,
        ]);
        assert.deepEqual([calls, reports], [0, []]);
      }, { urlBytesMax: 200, headerTimeoutMs: LIMIT_MS });
    });

  for (const [what, status, request] of REFUSED) refuse(what, status, request);
  refuse("a request that cannot be read", 400, "GET / HTTP/1.1\r\nhost: h\r\nx y: z\r\n\r\n");

  for (const method of ["CONNECT", "TRACE"]) {
    test(`adapter serves on when the client leaves before the page for a refused ${method} is there`, async (trial) => {
      const [asked, finish] = [deferred(), deferred()];
      const refuse = async (): Promise<Response> => {
        asked.resolve();
        await finish.promise;
        return new Response("too late", { status: 501 });
      };
      const handler = Object.assign(() => new Response("alive"), { refuse });
      await trial.withServer(handler, async ({ client, reports }) => {
        const connection = client().get("h:1", "host: h:1\r\n", method);
        // Where the platform answers a target of this kind itself, nobody is asked.
        await Promise.race([asked.promise, connection.receive("HTTP/1.1 400")]);
        connection.reset();
        await connection.closed;
        finish.resolve();
        assert.equal((await client().get("/").response()).body.toString(), "alive");
        assert.deepEqual(reports, []);
      });
    });
  }

  test("adapter answers 500 and reports once when the page of a refusal fails", (trial) => {
    const refuse = (): Response => {
      throw new Error("a fault");
    };
    return trial.withServer(
      Object.assign(() => new Response("text"), { refuse }),
      async ({ client, reports }) => {
        const { status } = await client().get(`/${"a".repeat(300)}`).response();
        assert.deepEqual([status, reports.length], [500, 1]);
      },
      { urlBytesMax: 200 },
    );
  });
}

/** Sends `part` again and again, faster than any limit; resolves when the connection is closed. */
async function trickle(connection: RawClient, part = "a"): Promise<void> {
  let isClosed = false;
  const closed = connection.closed.then(() => isClosed = true);
  while (!isClosed) {
    await Promise.race([pause(LIMIT_MS / 5), closed]);
    if (!isClosed) connection.send(part);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
