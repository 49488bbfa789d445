/**
 * HTTP in front of a pool whose workers write whatever a generator makes of answers: what is none never
 * reaches a client, and the pool goes on.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import type { RequestInfo } from "../../runtime/http/fetch_handler.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  HEALTH_CHECK,
  type HttpResponse,
  isEmptyAnswer,
  SIZE_BYTES,
} from "../../runtime/processes/packets.ts";
import { Pool } from "../../runtime/processes/pool.ts";
import { PoolHandler } from "../../runtime/processes/pool_handler.ts";
import type { WorkerListener } from "../../runtime/processes/worker_process.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock, turn } from "../support/simulated_clock.ts";

const INFO: RequestInfo = {
  remoteAddress: "192.0.2.1:1234",
  signal: new AbortController().signal,
};

/** A pool of one worker that writes for a request what `write` says at that time. */
function poolOf(write: () => readonly Uint8Array<ArrayBuffer>[]) {
  const clock = new SimulatedClock();
  let workers = 0;
  const packets: Uint8Array[] = [];
  const pool = new Pool({
    clock,
    healthCheck: encodeRequest(HEALTH_CHECK),
    isEmptyAnswer,
    warn: () => {},
    gaveUp: () => assert.fail("it gave up"),
    spawn(listener: WorkerListener) {
      workers++;
      let isOver = false;
      const end = () => {
        if (isOver) return;
        isOver = true;
        listener.ended({ how: "SIGKILL", cannotRun: false, isExit: false });
      };
      return {
        pid: workers,
        send(packet) {
          packets.push(packet);
          const chunks = write();
          clock.after(1, () => chunks.forEach((chunk) => isOver || listener.received(chunk)));
        },
        stop: () => void clock.after(0, end),
        kill: () => void clock.after(0, end),
      };
    },
  }, { restartDelayMs: 1, requestTimeoutMs: 1000 });
  const handler = new PoolHandler(pool, { clock, report: (error) => assert.fail(String(error)) });
  const ask = async (method: string, path = "/") => {
    let answer: { status: number; headers: Headers; bytes: Uint8Array } | undefined;
    Promise.resolve(handler.fetch(new Request(`http://h${path}`, { method }), INFO)).then(
      async (response) => {
        const { status, headers } = response;
        answer = { status, headers, bytes: new Uint8Array(await response.arrayBuffer()) };
      },
    );
    await clock.advance(100_000);
    assert.ok(answer !== undefined, "it was answered");
    return answer;
  };
  return { ask, clock, handler, packets };
}

/** Header names and values that some answer could have. */
const names = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,12}$/);
const values = fc.string({ unit: "grapheme", maxLength: 20 });

const answers: fc.Arbitrary<HttpResponse> = fc.record({
  status: fc.integer({ min: 200, max: 599 }),
  headers: fc.dictionary(names, fc.array(values, { maxLength: 3 }), { maxKeys: 4 }).map((fields) =>
    new Map(Object.entries(fields))
  ),
  body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.from(bytes)),
});

/** What a broken worker makes of an answer. */
const mutations = fc.oneof(
  fc.record({ flip: fc.nat(), bit: fc.nat(7) }),
  fc.record({ cut: fc.nat() }),
  fc.record({ add: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
  fc.record({ insert: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }),
  fc.record({ replace: fc.uint8Array({ maxLength: 100 }) }),
);

function mutate(
  packet: Uint8Array<ArrayBuffer>,
  mutation: typeof mutations extends fc.Arbitrary<infer T> ? T : never,
): Uint8Array<ArrayBuffer> {
  const bytes = [...packet];
  if ("flip" in mutation) {
    const at = mutation.flip % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ 1 << mutation.bit;
  } else if ("cut" in mutation) bytes.length = mutation.cut % bytes.length;
  else if ("add" in mutation) bytes.push(...mutation.add);
  else if ("insert" in mutation) bytes.splice(mutation.insert % bytes.length, 0, ...mutation.bytes);
  else return Uint8Array.from(mutation.replace);
  return Uint8Array.from(bytes);
}

/** What stands first in `bytes`, if that is an answer. */
function firstAnswer(bytes: Uint8Array<ArrayBuffer>): HttpResponse | undefined {
  if (bytes.length < 4) return undefined;
  const size = new DataView(bytes.buffer).getInt32(0, true);
  if (size < 0 || bytes.length < 4 + size) return undefined;
  try {
    return decodeResponse(bytes.slice(4, 4 + size));
  } catch {
    return undefined;
  }
}

const GOOD: HttpResponse = { status: 200, headers: new Map(), body: Uint8Array.of(1, 2, 3) };

test("pool shows no client what is no answer, whatever its workers write", async () => {
  const cases = fc.tuple(
    answers,
    fc.array(mutations, { maxLength: 3 }),
    fc.integer({ min: 1, max: 50 }),
    fc.constantFrom("GET", "POST", "HEAD"),
  );
  await holds(150, cases, async ([answer, changes, size, method]) => {
    let bytes: Uint8Array<ArrayBuffer> = encodeResponse(answer);
    for (const change of changes) {
      if (bytes.length > 0) bytes = mutate(bytes, change);
    }
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
    const expected = firstAnswer(bytes);
    let isAnswered = false;
    const pool = poolOf(() => isAnswered ? [encodeResponse(GOOD)] : chunks);
    const got = await pool.ask(method);
    isAnswered = true;
    if (expected === undefined) {
      assert.ok(got.status === 502 || got.status === 504, String(got.status));
    } else {
      assert.equal(got.status, expected.status);
      const isSent = method !== "HEAD" && ![204, 205, 304].includes(got.status);
      assert.deepEqual([...got.bytes], isSent ? [...expected.body] : []);
    }
    const next = await pool.ask("GET");
    assert.deepEqual([next.status, ...next.bytes], [200, 1, 2, 3]);
  });
});

test("pool leaves out what a worker says of connections and sizes", async () => {
  const headers = new Map([
    ["Connection", ["X-Hop , close"]],
    ["x-hop", ["1"]],
    ["TE", ["trailers"]],
    ["Trailer", ["X"]],
    ["Content-Length", ["1", "2"]],
    ["X-Kept", ["a", "b"]],
    ["x-kept", ["c"]],
    ["X-None", []],
    ["constructor", ["d"]],
  ]);
  const pool = poolOf(() => [encodeResponse({ ...GOOD, headers })]);
  const { headers: got } = await pool.ask("GET");
  assert.deepEqual([...got].filter(([name]) => name !== "content-type"), [
    ["constructor", "d"],
    ["x-kept", "a, b, c"],
  ]);
});

test("pool leaves out what a client says of connections, and says the size of each body", async () => {
  const { clock, handler, packets } = poolOf(() => [encodeResponse(GOOD)]);
  const headersAsked = async (init: RequestInit, fields: Record<string, string>) => {
    const request = new Request("http://h/", init);
    Object.defineProperty(request, "headers", { value: new Headers(fields) });
    const before = packets.length;
    handler.fetch(request, INFO);
    while (packets.length === before) await turn();
    await clock.advance(100);
    const asked = decodeRequest(Uint8Array.from(packets.at(-1) ?? []).subarray(SIZE_BYTES));
    assert.ok(asked !== HEALTH_CHECK);
    return [...asked.headers].toSorted();
  };
  const post = await headersAsked({ method: "POST", body: "hello" }, {
    connection: "keep-alive, X-Hop",
    "x-hop": "1",
    "keep-alive": "timeout=5",
    te: "trailers",
    trailer: "X",
    upgrade: "h2c",
    "transfer-encoding": "chunked",
    "x-kept": "2",
  });
  assert.deepEqual(post, [["Content-Length", "5"], ["X-Kept", "2"]]);
  const get = await headersAsked({}, { "content-length": "5" });
  assert.deepEqual(get, [["Content-Length", "0"]], "on the Web it has no body");
});

test("pool asks workers byte for byte as the pools did that they were written for", async () => {
  const vector = (name: string) =>
    readFileSync(new URL(`../vectors/packets/${name}.request-packet`, import.meta.url));
  const { clock, handler, packets } = poolOf(() => [encodeResponse(GOOD)]);
  const asked: [name: string, port: number, path: string, init: RequestInit][] = [
    ["raw_get", 40518, "/hi?q=1", {}],
    ["raw_post", 40530, "/p", { method: "POST", body: "hello" }],
    ["raw_head", 40586, "/head", { method: "HEAD" }],
  ];
  for (const [name, port, path, init] of asked) {
    const request = new Request(`http://h${path}`, init);
    // As a server has them, which no script may set.
    const headers = new Headers({ host: "h", ...init.body ? { "content-length": "5" } : {} });
    Object.defineProperty(request, "headers", { value: headers });
    const before = packets.length;
    handler.fetch(request, { ...INFO, remoteAddress: `127.0.0.1:${port}` });
    // The body takes a few turns of the event loop.
    while (packets.length === before) await turn();
    await clock.advance(100);
    assert.deepEqual([...packets.at(-1) ?? []], [...vector(name)], name);
  }
});
