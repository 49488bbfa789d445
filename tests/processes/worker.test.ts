/** `serveWorker`, in a process of its own, with packets as a pool would send them, and as none would. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeRequest,
  encodeRequest,
  HEALTH_CHECK,
  type HttpRequest,
  SIZE_BYTES,
} from "../../runtime/processes/packets.ts";
import { holds } from "../support/property.ts";
import { RUN } from "../support/server_process.ts";
import { requestOf, withWorker, WorkerProcess } from "../support/worker_process.ts";

const WORKER = [...RUN, "tests/processes/worker_app.ts"];

const utf8 = (text: string) => Uint8Array.from(Buffer.from(text));
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const to = (path: string, parts: Partial<HttpRequest> = {}) =>
  requestOf({ uri: `http://localhost${path}`, ...parts });

test("worker answers what its handler answers, and what it throws with a page", async () => {
  await withWorker(WORKER, async (worker) => {
    const get = async (path: string, parts: Partial<HttpRequest> = {}) => {
      const { status, body } = await worker.ask(to(path, parts));
      return [status, textOf(body)];
    };
    const echo = async (parts: Partial<HttpRequest>) =>
      JSON.parse(textOf((await worker.ask(to("/echo", parts))).body));

    assert.equal((await worker.ask(HEALTH_CHECK)).body.length, 0);

    const headers = new Map([["Host", "localhost"], ["Cookie", "a=1; b=2"], ["X-Text", "café"]]);
    const body = utf8("Grüße");
    assert.deepEqual(await echo({ method: "POST", headers, body }), {
      method: "POST",
      url: "http://localhost/echo",
      headers: { host: "localhost", cookie: "a=1; b=2", "x-text": "caf\u00c3\u00a9" },
      body: "Grüße",
    });
    const uri = "http://localhost/echo/../echo?q=%C3%BC%2F";
    const normal = await echo({ uri: uri.replace("/echo/..", ""), method: "PATCH" });
    assert.deepEqual([normal.url, normal.body], ["http://localhost/echo?q=%C3%BC%2F", ""]);
    assert.equal((await echo({ body })).body, "", "a GET has no body on the Web");

    const info = { remoteAddress: "127.0.0.1:40518", aborted: false, header: "function" };
    assert.deepEqual(await get("/info"), [200, JSON.stringify(info)]);
    assert.deepEqual(await get("/header?HOST"), [200, "localhost"]);
    assert.deepEqual(await get("/header?accept"), [200, "none"]);
    assert.deepEqual(await get("/empty"), [204, ""]);
    assert.deepEqual(await get("/cookies", { method: "HEAD" }), [201, "cookies"]);
    assert.deepEqual(
      (await worker.ask(to("/cookies"))).headers,
      new Map([
        ["Content-Type", ["text/plain"]],
        ["Set-Cookie", ["a=1", "b=2"]],
        ["X-Text", ["café"]],
      ]),
    );

    for (const length of [70_000, 3_000_000]) {
      assert.deepEqual(await get(`/large?${length}`), [200, "x".repeat(length)]);
      const { body } = await echo({ method: "PUT", body: utf8("y".repeat(length)) });
      assert.equal(body, "y".repeat(length));
    }

    assert.deepEqual(await get("/print"), [200, "printed"]);
    await worker.until(() => worker.stdout !== "" && worker.stderr !== "");
    assert.equal(worker.stdout, "printed to standard output\n");
    assert.equal(worker.stderr, "printed to standard error\n");

    const refused = await worker.ask(to("/refuse"));
    assert.deepEqual([refused.status, textOf(refused.body)], [404, "404 Not Found\n"]);
    assert.deepEqual(refused.headers.get("X-Why"), ["gone"]);
    assert.deepEqual(await get("/", { uri: "no URL" }), [400, "400 Bad Request\n"]);
    assert.deepEqual(await get("/", { method: "TRACE" }), [501, "501 Not Implemented\n"]);
    assert.equal(worker.stderr, "printed to standard error\n", "these are no faults");

    const page = [500, "500 Internal Server Error\n"];
    for (const path of ["/throw", "/nothing", "/broken"]) assert.deepEqual(await get(path), page);
    const reported = /thrown by the handler[^]*must return a Response[^]*broken body/;
    await worker.until(() => reported.test(worker.stderr));
    assert.match(worker.stderr, reported);

    // A byte at a time, and two at once: the stream has no other ends than those of packets.
    for (const byte of encodeRequest(to("/header?host"))) worker.write(Uint8Array.of(byte));
    assert.equal(textOf((await worker.answer()).body), "localhost");
    for (const path of ["/header?a", "/large?3000000", "/header?host"]) worker.send(to(path));
    assert.equal(textOf((await worker.answer()).body), "none");
    assert.equal((await worker.answer()).body.length, 3_000_000);
    // What has come before standard input is closed is answered.
    assert.deepEqual(await worker.close(), { code: 0, signal: null });
    assert.equal(textOf((await worker.answer()).body), "localhost");
    assert.equal(worker.surplus, 0);
  });
});

test("worker answers the request in hand when it is told to stop, and then ends with 0", async () => {
  await withWorker(WORKER, async (worker) => {
    worker.send(to("/late"));
    await worker.until(() => worker.stderr.includes("at work"));
    worker.send(to("/header?host")); // Nobody has this one in hand.
    worker.signal("SIGTERM");
    assert.equal(textOf((await worker.answer()).body), "late, but here");
    assert.deepEqual(await worker.ended, { code: 0, signal: null });
    assert.equal(worker.surplus, 0);
  });
});

test("worker that has nothing in hand ends when it is told to stop", async () => {
  await withWorker(WORKER, async (worker) => {
    await worker.ask(HEALTH_CHECK);
    worker.signal("SIGTERM");
    assert.deepEqual(await worker.ended, { code: 0, signal: null });
  });
});

test("worker does other things while nobody takes its answer, and loses nothing of it", async () => {
  await withWorker(WORKER, async (worker) => {
    worker.pause();
    worker.send(to("/tick"));
    await worker.until(() => worker.stderr === "tick\ntick\ntick\n");
    assert.equal(worker.surplus, 0);
    worker.resume();
    assert.equal((await worker.answer()).body.length, 16 * 1024 * 1024);
    assert.deepEqual(await worker.close(), { code: 0, signal: null });
  });
});

test("worker ends when its pool is gone, and nobody takes the answer", async () => {
  await withWorker(WORKER, async (worker) => {
    await worker.ask(HEALTH_CHECK);
    worker.dropAnswers();
    worker.send(to("/large?3000000"));
    await worker.until(() => false);
    assert.deepEqual([(await worker.ended).code, worker.stderr], [0, ""]);
  });
});

for (
  const [what, bytes, why] of [
    ["a size that is none", [255, 255, 255, 255], /its size is -1/],
    ["a message that is none", [1, 0, 0, 0, 9], /tag 9 is reserved/],
    ["a part of a message", [9, 0, 0, 0, 0], /in the middle of a request/],
  ] as const
) {
  test(`worker ends with 1 and says why when it is sent ${what}`, async () => {
    await withWorker(WORKER, async (worker) => {
      worker.write(Uint8Array.from(bytes));
      assert.deepEqual(await worker.close(), { code: 1, signal: null });
      assert.match(worker.stderr, /^alcedo: .*\n$/);
      assert.match(worker.stderr, why);
    });
  });
}

test("worker that no pool has started says so, and ends with 2", async () => {
  const worker = new WorkerProcess(WORKER, { answers: "ignore" });
  assert.deepEqual(await worker.ended, { code: 2, signal: null });
  assert.match(worker.stderr, /^alcedo: .*no pipe at file descriptor 3.*alcedo pool -- COMMAND\n$/);
});

test("worker answers whatever is a request, however little sense it makes", async () => {
  const bases = [
    to("/echo", { method: "POST", headers: new Map([["A", "b"]]), body: utf8("body") }),
    to("/info"),
  ];
  const byte = fc.oneof(fc.nat(255), fc.integer({ min: 0x20, max: 0x7e }));
  const changes = fc.array(fc.tuple(fc.nat(), byte), { minLength: 1, maxLength: 3 });
  let asked = 0;
  await withWorker(WORKER, async (worker) => {
    await holds(300, fc.tuple(fc.constantFrom(...bases), changes), async ([base, changes]) => {
      const packet = encodeRequest(base);
      const message = packet.subarray(SIZE_BYTES);
      for (const [at, byte] of changes) message[at % message.length] = byte;
      try {
        decodeRequest(message);
      } catch {
        return; // No request: the worker would end.
      }
      asked++;
      worker.write(packet);
      assert.ok([200, 400, 404, 500, 501].includes((await worker.answer()).status));
    });
    assert.ok(asked > 30, `${asked} were requests`);
    assert.deepEqual(await worker.close(), { code: 0, signal: null });
    assert.equal(worker.surplus, 0);
  });
});
