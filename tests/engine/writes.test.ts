/**
 * What a write means (queue, body, deadline, commit), one example for each statement. The same
 * under random interleavings is in `promises.test.ts`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AlcedoError, HttpError } from "../../runtime/errors.ts";
import { COMMIT_BYTES_MAX } from "../../runtime/limits.ts";
import { eventsOf } from "../support/flaky_log.ts";
import { ask, run, watch, words } from "../support/running.ts";

/** Saves the path; waits as many milliseconds as the query says. */
const saving = words("pure", async (request, model, { saveEvent }) => {
  const { pathname, searchParams } = new URL(request.url);
  if (!saveEvent) return new Response(model.join(" "));
  const ms = Number(searchParams.get("ms"));
  if (ms > 0) await sleep.sleep(ms);
  saveEvent(pathname.slice(1));
  return new Response(`saved ${pathname.slice(1)}`);
});

/** The clock of the test that runs; tests of a file run one after the other. */
let sleep: { sleep(ms: number): Promise<void> };

async function runSaving(options: Parameters<typeof run>[1] = {}) {
  const running = await run(saving, options);
  sleep = running.clock;
  return running;
}

test("engine answers a write when its commit is durable, and a read shows it", async () => {
  const running = await runSaving();
  running.faults.appendMs = 10;
  const write = ask(running, "POST", "/a");
  const early = ask(running, "GET", "/");
  await running.clock.advance(9);
  assert.equal(write.isSettled, false);
  assert.equal(early.value?.text, "", "a read does not wait, and sees nothing of it");
  await running.clock.advance(1);
  assert.equal(write.value?.text, "saved a");
  const late = ask(running, "GET", "/");
  await running.clock.settle();
  assert.equal(late.value?.text, "a");
});

test("engine flushes commits together that arrive while the disk is busy", async () => {
  const running = await runSaving();
  running.faults.appendMs = 10;
  const first = ask(running, "POST", "/0");
  await running.clock.settle();
  const others = Array.from({ length: 20 }, (_, i) => ask(running, "POST", `/${i + 1}`));
  await running.clock.advance(20);
  assert.ok([first, ...others].every(({ value }) => value?.status === 200));
  assert.equal(running.engine.health().flushes, 2);
});

test("engine answers two thousand queued writes in the order of their arrival", async () => {
  const running = await runSaving();
  const order: string[] = [];
  const blocking = ask(running, "POST", "/first?ms=50");
  const names = Array.from({ length: 2000 }, (_, i) => String(i));
  for (const name of names) {
    running.engine.write((_model, { saveEvent }) => saveEvent(name))
      .then(() => order.push(name));
  }
  assert.equal(running.engine.health().writesWaiting, 2000);
  await running.clock.advance(50);
  assert.ok(blocking.isSettled);
  assert.deepEqual(order, names);
  assert.deepEqual(await eventsOf(running.log), ["first", ...names].map((n) => JSON.stringify(n)));
});

test("engine answers 503 with Retry-After when the queue is full", async () => {
  const running = await runSaving({ writeQueueMax: 2 });
  const writes = ["/a?ms=50", "/b", "/c", "/d"].map((path) => ask(running, "POST", path));
  await running.clock.advance(50);
  assert.deepEqual(writes.map(({ value }) => value?.status), [200, 200, 200, 503]);
  assert.equal(writes[3]?.value?.headers.get("retry-after"), "1");
  assert.deepEqual(running.reported, [], "overload is no fault of the application");
});

test("engine drops a write whose client leaves while it waits, and frees its place", async () => {
  const running = await runSaving({ writeQueueMax: 1 });
  const client = new AbortController();
  const first = ask(running, "POST", "/a?ms=50");
  const left = ask(running, "POST", "/b", { signal: client.signal });
  await running.clock.advance(10);
  client.abort();
  await running.clock.settle();
  assert.ok(left.isSettled);
  const third = ask(running, "POST", "/c");
  await running.clock.advance(50);
  assert.deepEqual([first.value?.status, third.value?.status], [200, 200]);
  assert.deepEqual(await eventsOf(running.log), ['"a"', '"c"']);
});

test("engine goes on with a write whose client leaves once it runs", async () => {
  const running = await runSaving();
  const client = new AbortController();
  ask(running, "POST", "/a?ms=50", { signal: client.signal });
  await running.clock.advance(10);
  client.abort();
  await running.clock.advance(50);
  assert.deepEqual(await eventsOf(running.log), ['"a"']);
});

test("engine answers 504 when a write handler takes too long, and the next one runs", async () => {
  let late: unknown;
  let signal: AbortSignal | undefined;
  const running = await run(
    words("pure", async (_request, _model, context) => {
      if (!context.saveEvent) return new Response();
      if (signal === undefined) {
        signal = context.signal;
        context.saveEvent("early");
        await running.clock.sleep(200);
        try {
          context.saveEvent("late");
        } catch (error) {
          late = error;
        }
      } else context.saveEvent("next");
      return new Response("done");
    }),
    { requestTimeoutMs: 100 },
  );
  const slow = ask(running, "POST", "/slow");
  const next = ask(running, "POST", "/next");
  await running.clock.advance(99);
  assert.equal(slow.isSettled, false);
  await running.clock.advance(1);
  assert.equal(slow.value?.status, 504);
  assert.equal(signal?.aborted, true);
  assert.equal(next.value?.status, 200);
  await running.clock.advance(100);
  assert.ok(late instanceof AlcedoError && late.code === "write_ended");
  assert.deepEqual(await eventsOf(running.log), ['"next"']);
});

test("saveEvent throws after the handler has answered", async () => {
  let save: ((event: string) => void) | undefined;
  const running = await run(words("pure", (_request, _model, { saveEvent }) => {
    save = saveEvent;
    saveEvent?.("a");
    return new Response("done");
  }));
  const write = ask(running, "POST", "/");
  await running.clock.settle();
  assert.equal(write.value?.status, 200);
  assert.throws(() => save?.("b"), { code: "write_ended" });
  assert.deepEqual(await eventsOf(running.log), ['"a"']);
});

test("engine discards the events of a handler that throws after saveEvent", async () => {
  const running = await run(words("pure", (_request, _model, { saveEvent }) => {
    saveEvent?.("a");
    throw new HttpError(409, "taken");
  }));
  const write = ask(running, "POST", "/");
  await running.clock.settle();
  assert.equal(write.value?.status, 409);
  assert.equal(running.engine.health().applied, 0);
  assert.deepEqual(await eventsOf(running.log), []);
});

test("engine keeps the events of a handler that answers with an error status", async () => {
  const running = await run(words("pure", (_request, _model, { saveEvent }) => {
    saveEvent?.("attempt");
    return new Response("no", { status: 403 });
  }));
  const write = ask(running, "POST", "/");
  await running.clock.settle();
  assert.equal(write.value?.status, 403);
  assert.deepEqual(await eventsOf(running.log), ['"attempt"']);
});

test("engine reads a body before it takes the writer: a slow upload holds up nobody", async () => {
  const running = await runSaving();
  let upload: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (upload = controller),
  });
  const slow = ask(running, "POST", "/slow", { body });
  upload?.enqueue(new Uint8Array(10));
  const fast = ask(running, "POST", "/fast", { body: "short" });
  await running.clock.settle();
  assert.equal(fast.value?.status, 200);
  assert.equal(slow.isSettled, false);
  upload?.close();
  await running.clock.runUntil(() => slow.isSettled);
  assert.equal(slow.value?.status, 200);
  assert.deepEqual(await eventsOf(running.log), ['"fast"', '"slow"']);
});

test("engine hands the body to the handler as it came", async () => {
  const running = await run(
    words("pure", async (request) => new Response(await request.text())),
  );
  const write = ask(running, "POST", "/", { body: "žluťoučký" });
  await running.clock.runUntil(() => write.isSettled);
  assert.equal(write.value?.text, "žluťoučký");
});

test("engine answers 413 to a body that is too large, and calls no handler", async () => {
  let calls = 0;
  const running = await run(
    words("pure", () => {
      calls++;
      return new Response();
    }),
    { bodyBytesMax: 10 },
  );
  const write = ask(running, "POST", "/", { body: "more than ten" });
  const exact = ask(running, "POST", "/", { body: "0123456789" });
  await running.clock.runUntil(() => write.isSettled && exact.isSettled);
  assert.deepEqual([write.value?.status, exact.value?.status], [413, 200]);
  assert.equal(calls, 1);
});

test("saveEvent throws 413 when the events are larger than a commit may be", async () => {
  const running = await run(words("pure", (_request, _model, { saveEvent }) => {
    for (let i = 0; i < 5; i++) saveEvent?.("x".repeat(COMMIT_BYTES_MAX / 4));
    return new Response();
  }));
  const write = ask(running, "POST", "/");
  await running.clock.settle();
  assert.equal(write.value?.status, 413);
  assert.deepEqual(await eventsOf(running.log), []);
});

test("engine answers with a function of the model that the write produced", async () => {
  const running = await run(words("pure", (_request, before, { saveEvent }) => {
    saveEvent?.("a");
    return (after) => new Response(`${before.length} ${after.length}`);
  }));
  const write = ask(running, "POST", "/");
  await running.clock.settle();
  assert.equal(write.value?.text, "0 1");
});

test("engine runs a write that a response function begins after the one in hand", async () => {
  const running = await run(words("pure", () => new Response()));
  const { engine } = running;
  const inner: Promise<unknown>[] = [];
  await engineWrite(running, "a", () => {
    inner.push(engine.write((_model, { saveEvent }) => saveEvent("b")));
  });
  await running.clock.settle();
  await Promise.all(inner);
  assert.deepEqual(await engine.read((model) => [...model]), ["a", "b"]);
  assert.deepEqual(await eventsOf(running.log), ['"a"', '"b"']);
});

async function engineWrite(
  running: Awaited<ReturnType<typeof run<string[], string>>>,
  word: string,
  respond: () => void,
): Promise<void> {
  const write = watch(running.engine.write((_model, { saveEvent }) => {
    saveEvent(word);
    return () => respond();
  }));
  await running.clock.settle();
  assert.equal(write.error, undefined);
  assert.ok(write.isSettled);
}

test("engine.write resolves with the result and the position after it", async () => {
  const running = await run(words("pure", () => new Response()));
  const write = watch(running.engine.write((model, { saveEvent }) => {
    saveEvent("a");
    saveEvent("b");
    return model.length;
  }));
  await running.clock.settle();
  assert.equal(write.value?.result, 0);
  assert.equal(write.value?.position, `${running.log.history}.1`);
});

test("engine.write passes on what its function throws, and reports nothing", async () => {
  const running = await run(words("pure", () => new Response()));
  const write = watch(running.engine.write((_model, { saveEvent }) => {
    saveEvent("a");
    throw new RangeError("no");
  }));
  await running.clock.settle();
  assert.ok(write.error instanceof RangeError);
  assert.deepEqual(running.reported, []);
  assert.deepEqual(await eventsOf(running.log), []);
});

test("updateModel gets what the codec decoded, not what was saved", async () => {
  const running = await run({
    ...words("pure", (_request, model) => new Response(JSON.stringify(model))),
    codec: {
      encode: (event: string) => new TextEncoder().encode(event),
      decode: (bytes) => new TextDecoder().decode(bytes).toUpperCase(),
    },
  });
  const write = watch(running.engine.write((_model, { saveEvent }) => saveEvent("a")));
  await running.clock.settle();
  assert.ok(write.isSettled);
  assert.deepEqual(await running.engine.read((model) => [...model]), ["A"]);
});
