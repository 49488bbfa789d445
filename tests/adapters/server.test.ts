/** Details of the adapter of the runtime that the tests run on, beside the conformance suite. */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { Trial } from "../../adapters/conformance/trial.ts";
import { listen, runtimeName } from "../../adapters/listen.ts";
import { start } from "../support/server_process.ts";
import { RUNTIME } from "../support/runtime.ts";

test("adapter is that of the runtime that the tests run on", () => {
  assert.equal(runtimeName(), RUNTIME);
});

test("adapter knows text, JSON and nothing for static bodies, whatever else they carry", () =>
  new Trial(listen).withServer((_, info) => {
    const init = { status: 404, headers: { "x-a": "b" } };
    const bodies = [
      new Response("text"),
      new Response("text", init),
      Response.json({ a: 1 }),
      new Response(new Uint8Array(4)),
      new Response(null, init),
    ];
    return Response.json(bodies.map((response) => info.hasStaticBody?.(response)));
  }, async ({ client }) => {
    const { body } = await client().get("/").response();
    assert.deepEqual(JSON.parse(body.toString()), [true, true, true, true, true]);
  }));

test("adapter prints nothing, whatever handlers and clients do", async () => {
  const quiet = start("tests/adapters/quiet_server.ts", []);
  const { code } = await quiet.ended;
  assert.deepEqual([quiet.stderr(), quiet.stdout(), code], ["", "reports: 5\n", 0]);
});

test("adapter answers 414 or 431 to a URL beyond what the platform takes, or as Deno does 400", () =>
  new Trial(listen).withServer(() => new Response("text"), async ({ client }) => {
    const { status } = await client().get(`/${"a".repeat(70_000)}`).response();
    assert.equal(status, { node: 414, bun: 431, deno: 400 }[RUNTIME]);
  }));

// Bun looks every four seconds, and would cut both off at the second look.
const LARGE_BYTES = 16 * 1024 * 1024;
const SILENCE_MS = RUNTIME === "bun" || process.env["ALCEDO_LONG"] ? 9_000 : 1_000;

test(
  "adapter lets a handler, a silent stream and a slow reader take longer than a connection may be idle",
  { timeout: 30_000 },
  () =>
    new Trial(listen).withServer(async (request) => {
      const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
      if (request.url.endsWith("/handler")) {
        await wait();
        return new Response("text");
      }
      if (request.url.endsWith("/large")) return new Response("x".repeat(LARGE_BYTES));
      let pulls = 0;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            if (pulls++ === 0) return controller.enqueue(new TextEncoder().encode("te"));
            await wait();
            controller.enqueue(new TextEncoder().encode("xt"));
            controller.close();
          },
        }),
      );
    }, async ({ client }) => {
      const reader = (await client().connected()).get("/large").pause();
      const clients = [client().get("/handler"), client().get("/stream")];
      const responses = await Promise.all(clients.map((connection) => connection.response()));
      assert.deepEqual(responses.map(({ body }) => body.toString()), ["text", "text"]);
      const { body, isWhole } = await reader.resume().response();
      assert.deepEqual([body.length, isWhole], [LARGE_BYTES, true]);
    }, { idleTimeoutMs: 200 }),
);
