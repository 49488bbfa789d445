/**
 * The counter: a million keys in one map that is never copied, and a server that keeps its counts.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import counter, { type Added } from "../../examples/counter/main.ts";
import { checkApp, memoryLog, openEngine, testApp } from "../../mod.ts";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

const KEYS = 1_000_000;
const BATCH = 100_000;

test("counter counts a million keys in the one map that it began with", async () => {
  await using engine = await openEngine(counter, { log: memoryLog() });
  const began = await engine.read((counts) => counts);
  for (let from = 0; from < KEYS; from += BATCH) {
    const keys = Array.from({ length: BATCH }, (_, i) => `key ${from + i}`);
    const written = await engine.write((_counts, { saveEvent }) => {
      saveEvent({ keys, add: 1 });
      return (counts) => counts.size;
    });
    assert.equal(written.result, from + BATCH);
  }
  const path = `http://counter/${encodeURIComponent("key 777777")}`;
  const added = await engine.fetch(new Request(path, { method: "POST", body: "41" }));
  assert.equal(await added.text(), "42\n");
  assert.equal(await (await engine.fetch(new Request(path))).text(), "42\n");
  assert.equal(await (await engine.fetch(new Request("http://counter/"))).text(), `${KEYS}\n`);
  assert.equal(await engine.read((counts) => counts), began, "it is the same map");
  assert.equal(engine.health().rebuilds, 0);
});

const sample: Added[] = [
  { keys: ["a"], add: 1 },
  { keys: ["b", "a", "b"], add: 1 },
  { keys: [], add: 1 },
  { keys: ["a"], add: -7 },
  { keys: ["__proto__", "c"], add: 2 ** 53 - 1 },
];

test("counter does nothing that an application must not do", async () => {
  assert.deepEqual(checkApp(counter, sample), []);
  await using tested = await testApp(counter, { given: sample });
  assert.deepEqual([...tested.model], [["a", -5], ["b", 2], ["__proto__", 2 ** 53 - 1], [
    "c",
    2 ** 53 - 1,
  ]]);
  await tested.request("/a", { method: "POST" });
  await tested.restart();
});

test("counter adds what is sent, to one key or to many, and refuses what is no whole number", async () => {
  await using tested = await testApp(counter, { given: sample });
  const post = async (path: string, body: string) => {
    const { response, events } = await tested.request(path, { method: "POST", body });
    return [response.status, await response.text(), events];
  };
  assert.deepEqual(await post("/", "a\n\nd\nd\n"), [
    200,
    "5\n",
    [{ keys: ["a", "d", "d"], add: 1 }],
  ]);
  assert.deepEqual(await post("/a", ""), [200, "-3\n", [{ keys: ["a"], add: 1 }]]);
  assert.deepEqual(await post("/a", "5"), [200, "2\n", [{ keys: ["a"], add: 5 }]]);
  for (const [path, body] of [["/a", "1.5"], ["/a", "x"], ["/c", "1"], ["/", "a\nc"]] as const) {
    const [status, text, events] = await post(path, body);
    assert.deepEqual([status, events], [422, []], `${path} ${body}`);
    assert.equal(text, "a count is a whole number, and no larger than is exact\n");
  }
  const put = await tested.request("/a", { method: "PUT" });
  assert.deepEqual([put.response.status, put.response.headers.get("allow")], [405, "GET, POST"]);
  assert.equal((await tested.request("/%ff")).response.status, 400);
  assert.equal(await (await tested.request("/nobody")).response.text(), "0\n");
});

test("counter has its counts over a socket, and after a restart", async () => {
  await withFolder(async (folder) => {
    const args = ["--addr", "localhost:0", "--events-file", join(folder, "counter.events")];
    const serving = async (body: (url: string) => Promise<void>) => {
      const server = start("examples/counter/main.ts", args);
      try {
        await body(await listening(server));
      } finally {
        signal(server, "SIGTERM");
        await server.ended;
      }
    };
    const ask = async (url: string, init?: RequestInit) => await (await fetch(url, init)).text();
    await serving(async (url) => {
      assert.equal(await ask(url, { method: "POST", body: "a\nb\nc\n" }), "3\n");
      assert.equal(await ask(`${url}/b`, { method: "POST", body: "9" }), "10\n");
    });
    await serving(async (url) => {
      assert.equal(await ask(url), "3\n");
      assert.equal(await ask(`${url}/b`), "10\n");
    });
  });
});
