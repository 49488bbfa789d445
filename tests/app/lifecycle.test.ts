/**
 * The lifecycle of an application: its steps around each exchange, over real sockets and without
 * a server, and at its start and its stop.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { listen } from "../../adapters/listen.ts";
import { openEngine } from "../../adapters/open_engine.ts";
import { type App, defineApp, type LifecycleStep } from "../../runtime/app.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { deferred, Trial, turn, until } from "../../adapters/conformance/trial.ts";
import {
  appOf,
  expectationOf,
  logOf,
  type Plan,
  plans,
  type Trace,
} from "../support/lifecycle_plans.ts";
import { holds } from "../support/property.ts";
import { ask, run, watch, words } from "../support/running.ts";

/** How long a handler may take that hangs; the others have all the time they need. */
const HANG_MS = 5;

/** An engine in real time, with what it reports. */
async function open<Model, Event>(
  app: App<Model, Event>,
  options: { log?: EventLog; requestTimeoutMs?: number; bodyBytesMax?: number } = {},
) {
  const reported: unknown[] = [];
  const report = (error: unknown) => void reported.push(error);
  const engine = await openEngine(app, { log: memoryLog(), report, ...options });
  return { engine, reported };
}

/** Compares what has happened with what the plan says must happen. */
function check(plan: Plan, trace: Trace, events: number, reports: number): void {
  const expected = expectationOf(plan);
  assert.equal(trace.isHandled, expected.isHandled);
  if (plan.method === "POST" && trace.isHandled) assert.equal(trace.body, expected.body);
  assert.deepEqual(
    trace.finishes,
    expected.finished.map((index) => ({
      index,
      isSameRequest: true,
      isSameContext: true,
      status: expected.status,
      isComplete: expected.isComplete,
      hasLocals: true,
    })),
  );
  const streamEnd = trace.entries.indexOf("end of the stream");
  const firstFinish = trace.entries.findIndex((entry) => entry.startsWith("finish"));
  assert.ok(streamEnd === -1 || firstFinish === -1 || streamEnd < firstFinish);
  assert.equal(events, expected.events);
  assert.equal(reports, expected.reports);
}

test("lifecycle finishes each exchange once, in reverse order, after its last byte, however it ends", () =>
  holds(60, plans, async (plan) => {
    const { app, trace } = appOf(plan);
    const requestTimeoutMs = plan.handler === "hang" ? HANG_MS : 60_000;
    const log = logOf(plan);
    const { engine, reported } = await open(app, { log, requestTimeoutMs });
    const expected = expectationOf(plan);
    await new Trial(listen).withServer(engine.fetch, async ({ client }) => {
      const connection = client();
      const fields = "host: test\r\n";
      if (plan.method === "POST") {
        connection.send(`POST / HTTP/1.1\r\n${fields}content-length: 4\r\n\r\nbody`);
      } else connection.get("/", fields, plan.method);
      if (expected.isHandled && plan.handler === "wait until the client has left") {
        await until(() => trace.isHandled);
        connection.leave();
      } else if (
        expected.isHandled && expected.status === 200 && !expected.isComplete &&
        plan.handler === "stream that is left"
      ) {
        await connection.receive("chunk");
        connection.leave();
      } else {
        const response = await connection.response({ isHead: plan.method === "HEAD" })
          .catch(() => undefined); // Of a stream that fails, not even a head may come.
        if (response !== undefined) assert.equal(response.status, expected.status);
      }
      await until(() => trace.finishes.length >= expected.finished.length);
    });
    await engine.close();
    check(plan, trace, log.durable, reported.length);
  }));

test("lifecycle finishes each exchange of an engine without a server, when its body was read", () =>
  // Without a server nobody knows that a client has left.
  holds(
    60,
    plans.filter(({ handler }) => handler !== "wait until the client has left"),
    async (plan) => {
      const { app, trace } = appOf(plan);
      const requestTimeoutMs = plan.handler === "hang" ? HANG_MS : 60_000;
      const log = logOf(plan);
      const { engine, reported } = await open(app, { log, requestTimeoutMs });
      const { method } = plan;
      const body = method === "POST" ? { body: "body" } : {};
      // The deadline of a handler that hangs keeps no process alive.
      const alive = setTimeout(() => {}, 60_000);
      const response = await engine.fetch(new Request("http://test/", { method, ...body }));
      clearTimeout(alive);
      if (method !== "HEAD") {
        const reader = response.body?.getReader();
        for (let chunks = 0; reader !== undefined; chunks++) {
          const isLeft = chunks === 2 && plan.handler === "stream that is left";
          if (isLeft) await reader.cancel();
          const { done } = await reader.read().catch(() => ({ done: true }));
          if (done) break;
        }
      }
      await until(() => trace.finishes.length >= expectationOf(plan).finished.length);
      await engine.close();
      check(plan, trace, log.durable, reported.length);
    },
  ));

const greeting: App<string[], string> = words("pure", () => new Response("hello"));

/** An application with these steps that answers each request with a word, and saves it. */
function withSteps(...lifecycle: LifecycleStep<string[], string>[]): App<string[], string> {
  return words("pure", async (request, _words, { saveEvent }) => {
    const text = await request.text();
    saveEvent?.(text);
    return new Response(`${request.method} ${new URL(request.url).pathname} ${text}`);
  }, { lifecycle });
}

test("a step may read a body that is larger than a write's, and hand on a small one", async () => {
  let size = 0;
  const { engine } = await open(
    withSteps({
      async request(request) {
        for await (const chunk of request.body ?? []) size += chunk.length;
        const { url, method, headers } = request;
        return new Request(url, { method, headers, body: `${size}` });
      },
    }),
    { bodyBytesMax: 10 },
  );
  await new Trial(listen).withServer(engine.fetch, async ({ origin }) => {
    const body = new Uint8Array(300_000);
    const response = await fetch(origin, { method: "PUT", body });
    assert.equal(await response.text(), "PUT / 300000");
  });
  assert.equal(size, 300_000);
  await engine.close();
});

test("a body that a step hands on is bounded as any other, whatever length it says", async () => {
  const { engine } = await open(
    withSteps({
      request: ({ url, method }) =>
        new Request(url, { method, body: "eleven byte", headers: { "content-length": "1" } }),
    }),
    { bodyBytesMax: 10 },
  );
  const response = await engine.fetch(new Request("http://test/", { method: "POST" }));
  assert.equal(response.status, 413);
  await engine.close();
});

test("a step that reads the body and hands on nothing else is a fault, and says so", async () => {
  const { engine, reported } = await open(withSteps({
    async request(request) {
      await request.text();
    },
  }));
  await new Trial(listen).withServer(engine.fetch, async ({ origin }) => {
    const response = await fetch(origin, { method: "POST", body: "body" });
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "500 Internal Server Error\n");
  });
  assert.match(String(reported), /a lifecycle step has read its body/);
  await engine.close();
});

test("a step cannot make a write of a request that is none", async () => {
  const { engine, reported } = await open(withSteps({
    request: ({ url }) => new Request(url, { method: "POST", body: "word" }),
  }));
  assert.equal((await engine.fetch(new Request("http://test/"))).status, 500);
  assert.match(String(reported), /made a POST of a GET/);
  assert.equal(engine.health().durable, 0);
  await engine.close();
});

test("a step may make another write of a write", async () => {
  const { engine } = await open(withSteps({
    request: (request) =>
      new Request("http://test/other", { method: "DELETE", headers: request.headers }),
  }));
  const response = await engine.fetch(
    new Request("http://test/", { method: "POST", body: "word" }),
  );
  assert.equal(await response.text(), "DELETE /other ");
  await engine.close();
});

test("a step that returns what is no answer and no request is a fault", async () => {
  for (const outcome of [null, 1, "text", {}, () => {}] as never[]) { // No type lets them through.
    const request = () => outcome;
    const { engine, reported } = await open(withSteps({ request }));
    assert.equal((await engine.fetch(new Request("http://test/"))).status, 500);
    assert.match(String(reported), /returned no Request and no Response/);
    await engine.close();
  }
});

test("a step sees no saveEvent, and the address of the client also when the exchange is over", async () => {
  const seen: unknown[] = [];
  const finished = deferred();
  const { engine } = await open(withSteps({
    request: (_request, context) => void seen.push("saveEvent" in context, context.remoteAddress),
    finish(_request, _response, context) {
      seen.push("saveEvent" in context, context.remoteAddress);
      finished.resolve();
    },
  }));
  await new Trial(listen).withServer(engine.fetch, async ({ client }) => {
    const connection = await client().connected();
    connection.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\na");
    await connection.response();
    await finished.promise;
    assert.deepEqual(seen, [false, connection.localAddress, false, connection.localAddress]);
  });
  await engine.close();
});

test("what a step throws makes the application's page for its status", async () => {
  const app = { ...greeting, errors: { 500: () => new Response("our page") } };
  const lifecycle = [{
    request: () => {
      throw new Error("the step's");
    },
  }];
  const { engine, reported } = await open(defineApp({ ...app, lifecycle }));
  const response = await engine.fetch(new Request("http://test/"));
  assert.deepEqual([response.status, await response.text()], [500, "our page"]);
  assert.match(String(reported), /the step's/);
  await engine.close();
});

test("steps are started in order before the engine is open, and stopped in reverse when it closes", async () => {
  const calls: string[] = [];
  const step = (name: string): LifecycleStep<string[], string> => ({
    async start(app) {
      const { result } = await app.write((words, { saveEvent }) => {
        saveEvent(name);
        return (after) => [words.length, after.length];
      });
      calls.push(`start ${name} ${result}`);
    },
    async stop(app) {
      calls.push(`stop ${name} ${await app.read((words) => words.length)}`);
      await app.write((_words, { saveEvent }) => saveEvent(`no more ${name}`));
    },
  });
  const log = memoryLog();
  const { engine } = await open(withSteps(step("a"), {}, step("b")), { log });
  assert.deepEqual(calls, ["start a 0,1", "start b 1,2"]);
  assert.equal((await engine.fetch(new Request("http://test/"))).status, 200);
  await Promise.all([engine.close(), engine.close()]);
  assert.deepEqual(calls.slice(2), ["stop b 2", "stop a 3"]);
  assert.equal(log.durable, 4);
  await assert.rejects(engine.read(() => {}), { code: "engine_closed" });
});

test("a start that fails stops what was started before, and says which it is", async () => {
  const calls: string[] = [];
  let closed = 0;
  const log = memoryLog();
  const counting = Object.assign(log, { close: () => Promise.resolve(void closed++) });
  const step = (name: string, error?: Error): LifecycleStep<string[], string> => ({
    start() {
      calls.push(`start ${name}`);
      if (error !== undefined) throw error;
    },
    stop: () => void calls.push(`stop ${name}`),
  });
  const cause = new Error("no such folder");
  const steps = [step("a"), step("b"), step("c", cause), step("d")];
  await assert.rejects(open(withSteps(...steps), { log: counting }), {
    code: "start_failed",
    message: "Cannot start the application: lifecycle[2].start has failed: no such folder",
    cause,
  });
  assert.deepEqual(calls, ["start a", "start b", "start c", "stop b", "stop a"]);
  assert.equal(closed, 1);
});

test("what a stop throws is reported, and the others are stopped all the same", async () => {
  const calls: string[] = [];
  const { engine, reported } = await open(withSteps(
    { stop: () => void calls.push("stopped") },
    { stop: () => Promise.reject(new Error("the stop's")) },
  ));
  await engine.close();
  assert.deepEqual(calls, ["stopped"]);
  assert.match(String(reported), /the stop's/);
});

test("an application that follows its own log from start ends when the engine closes", async () => {
  const seen: string[] = [];
  let followed: Promise<void> | undefined;
  const { engine } = await open(withSteps({
    start(app) {
      followed = (async () => {
        for await (const { events } of app.changes()) seen.push(...events);
      })();
    },
    stop: () => followed,
  }));
  await engine.write((_words, { saveEvent }) => saveEvent("a"));
  await until(() => seen.length > 0);
  await engine.close();
  assert.deepEqual(seen, ["a"]);
});

test("close lets a step that runs end, refuses new requests, and stops last", async () => {
  const calls: string[] = [];
  const called = deferred();
  const goOn = deferred();
  const { engine } = await open(withSteps({
    async request() {
      calls.push("request");
      called.resolve();
      await goOn.promise;
    },
    finish: (_request, { status }) => void calls.push(`finish ${status}`),
    stop: () => void calls.push("stop"),
  }));
  const request = () => new Request("http://test/", { method: "POST", body: "word" });
  const inFlight = Promise.resolve(engine.fetch(request())).then((response) => response.text());
  await called.promise;
  const closed = engine.close();
  assert.equal((await engine.fetch(request())).status, 503);
  goOn.resolve();
  assert.equal(await inFlight, "POST / word");
  await closed;
  assert.deepEqual(calls, ["request", "finish 200", "stop"]);
});

test("steps are stopped when all that waitUntil was given has settled", async () => {
  const calls: string[] = [];
  const goOn = deferred();
  const { engine } = await open(withSteps({
    request: (_request, { waitUntil }) =>
      waitUntil(goOn.promise.then(() => void calls.push("done"))),
    stop: () => void calls.push("stop"),
  }));
  await engine.fetch(new Request("http://test/"));
  const closed = engine.close();
  await turn();
  assert.deepEqual(calls, []);
  goOn.resolve();
  await closed;
  assert.deepEqual(calls, ["done", "stop"]);
});

test("close finishes an exchange whose answer nobody reads to its end", async () => {
  const finishes: boolean[] = [];
  const running = await run(withSteps({
    finish: (_request, _response, { isComplete }) => void finishes.push(isComplete),
  }));
  const response = await running.engine.fetch(new Request("http://test/"));
  const closed = watch(running.engine.close());
  assert.deepEqual(finishes, []);
  await running.clock.settle();
  assert.deepEqual([finishes, closed.isSettled], [[false], true]);
  await response.body?.cancel();
});

test("an application without steps for requests answers reads at once, without a promise", async () => {
  const { engine } = await open(defineApp({ ...greeting, lifecycle: [{ start: () => {} }] }));
  assert.ok(engine.fetch(new Request("http://test/")) instanceof Response);
  await engine.close();
});

test("locals are the exchange's own, with and without steps", async () => {
  const seen: unknown[] = [];
  const running = await run(words("pure", (_request, _words, context) => {
    const { locals } = context;
    seen.push(locals, context.locals === locals);
    return new Response();
  }));
  for (const method of ["GET", "POST"]) {
    ask(running, method, "/");
    await running.clock.settle();
  }
  assert.deepEqual(seen, [{}, true, {}, true]);
  assert.notEqual(seen[0], seen[2]);
  await running.engine.close();
});

test("defineApp refuses a lifecycle that is none", () => {
  const wrong: readonly (readonly [lifecycle: unknown, message: RegExp])[] = [
    [{}, /lifecycle is not an array of steps/],
    [[{}, null], /lifecycle\[1\] is not an object/],
    [[() => {}], /lifecycle\[0\] is not an object/],
    [[{ finish: true }], /lifecycle\[0\]\.finish is not a function/],
    [[{ start: "now" }], /lifecycle\[0\]\.start is not a function/],
  ];
  for (const [lifecycle, message] of wrong) {
    const steps = lifecycle as LifecycleStep<string[], string>[]; // No type lets it through.
    assert.throws(() => defineApp({ ...greeting, lifecycle: steps }), message);
  }
});
