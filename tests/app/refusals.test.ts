/**
 * What an application makes of requests that never reach its handler, or not in time: its pages, over
 * real sockets, with the access log and the metrics that see them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { clock } from "../../adapters/clock.ts";
import { deferred, Trial } from "../../adapters/conformance/trial.ts";
import { listen } from "../../adapters/listen.ts";
import { openEngine } from "../../adapters/open_engine.ts";
import { defineApp } from "../../runtime/app.ts";
import { accessLogged } from "../../runtime/http/access_log.ts";
import type { ServerLimits } from "../../runtime/http/fetch_handler.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";

const GET = "GET / HTTP/1.1\r\nhost: h\r\n";
const POST = "POST / HTTP/1.1\r\nhost: h\r\n";
const LIMITS: ServerLimits = { urlBytesMax: 100, headerBytesMax: 600, bodyTimeoutMs: 100 };
const BODY_BYTES_MAX = 1000;

/** Answers reads with what it has, slowly if it is asked to; and errors with that, too. */
function diary() {
  const [called, finish] = [deferred(), deferred()];
  const app = defineApp({
    initModel: () => "empty",
    updateModel: (text, events: readonly string[]) => events.at(-1) ?? text,
    handleRequest: async (request, text, { saveEvent }) => {
      if (request.url.endsWith("/slow")) {
        called.resolve();
        await finish.promise;
      }
      saveEvent?.(await request.text());
      return new Response(text);
    },
    errors: {
      default: ({ status }, { method, url }, text) =>
        new Response(`${status} ${method} ${new URL(url).pathname.length} ${text}`, { status }),
    },
  });
  return { app, called, finish };
}

/** Requests that are refused, with the pages that they get: status, method, length of the path. */
const REFUSED: readonly (readonly [what: string, request: string, page: string])[] = [
  ["an invalid host", "GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400 GET 1 empty"],
  [
    "a URL that is too long",
    `GET /${"a".repeat(199)} HTTP/1.1\r\nhost: h\r\n\r\n`,
    "414 GET 200 empty",
  ],
  ["a method that is not served", "TRACE / HTTP/1.1\r\nhost: h\r\n\r\n", "501 TRACE 1 empty"],
  ["a body that is announced too large", `${POST}content-length: 1001\r\n\r\n`, "413 POST 1 empty"],
  [
    "a body that gets too large",
    `${POST}transfer-encoding: chunked\r\n\r\n3e9\r\n${"a".repeat(1001)}`,
    "413 POST 1 empty",
  ],
  ["a body that is late", `${POST}content-length: 9\r\n\r\nbody`, "408 POST 1 empty"],
  ["chunks that are late", `${POST}transfer-encoding: chunked\r\n\r\n1\r\na`, "408 POST 1 empty"],
  ["a handler that takes too long", "GET /slow HTTP/1.1\r\nhost: h\r\n\r\n", "504 GET 5 empty"],
];

for (const [what, request, page] of REFUSED) {
  test(`application makes the page for ${what}, and log and metrics know of it`, async () => {
    const { app, finish } = diary();
    const faults: unknown[] = [];
    const engine = await openEngine(app, {
      log: memoryLog(),
      bodyBytesMax: BODY_BYTES_MAX,
      requestTimeoutMs: 100,
      report: (error) => void faults.push(error),
    });
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    const metrics = new RequestMetrics();
    const parts = { format: "json", write, clock, timeOfDay: Date.now } as const;
    const observed = metrics.counted(accessLogged(engine.fetch, parts), clock);
    await new Trial(listen).withServer(observed, async ({ client, reports }) => {
      const response = await client().send(request).response();
      assert.deepEqual([response.body.toString(), response.isWhole], [page, true]);
      const [status = "", method = ""] = page.split(" ");
      assert.equal(response.status, Number(status));
      const [{ status: logged, method: loggedMethod }] = lines.map((line) => JSON.parse(line));
      assert.deepEqual([lines.length, logged, loggedMethod], [1, Number(status), method]);
      const label = method === "TRACE" ? "other" : method;
      assert.deepEqual(metrics.counts(), [{ method: label, status: Number(status), count: 1 }]);
      assert.equal(metrics.inFlight, 0);
      assert.equal((await client().send(`${GET}\r\n`).response()).body.toString(), "empty");
      assert.deepEqual([faults, reports], [[], []]);
    }, LIMITS);
    finish.resolve();
    await engine.close();
  });
}

test("application makes the page for the late body of a request that a step has handed on", async () => {
  const { app } = diary();
  const engine = await openEngine({
    ...app,
    lifecycle: [{ request: (request) => new Request(request, { headers: { "x-a": "b" } }) }],
  }, { log: memoryLog() });
  await new Trial(listen).withServer(engine.fetch, async ({ client }) => {
    const response = await client().send(`${POST}content-length: 9\r\n\r\nbody`).response();
    assert.deepEqual([response.status, response.body.toString()], [408, "408 POST 1 empty"]);
    const answered = await client().send(`${POST}content-length: 4\r\n\r\nbody`).response();
    assert.equal(answered.body.toString(), "empty");
  }, LIMITS);
  await engine.close();
});

test("application makes the page for a request too many in flight, with Retry-After", async () => {
  const { app, called, finish } = diary();
  const engine = await openEngine(app, { log: memoryLog() });
  await new Trial(listen).withServer(engine.fetch, async ({ client }) => {
    const inFlight = client().get("/slow");
    await called.promise;
    await client().get("/slow").receive("503 GET 5 empty");
    const { fields } = await client().get("/").response();
    assert.deepEqual(fields.find(([name]) => name === "retry-after"), ["retry-after", "1"]);
    finish.resolve();
    assert.equal((await inFlight.response()).body.toString(), "empty");
  }, { requestsMax: 1 });
  await engine.close();
});

test("application's page leaves while a body that is too large still comes", async () => {
  const { app } = diary();
  const engine = await openEngine(app, { log: memoryLog(), bodyBytesMax: BODY_BYTES_MAX });
  await new Trial(listen).withServer(engine.fetch, async ({ client }) => {
    for (const bytes of [2000, 8 * 1024 * 1024]) {
      const connection = client().send(`${POST}content-length: ${bytes}\r\n\r\n`);
      const response = await connection.send(new Uint8Array(bytes)).response();
      assert.deepEqual([response.body.toString(), response.isWhole], ["413 POST 1 empty", true]);
    }
  });
  await engine.close();
});
