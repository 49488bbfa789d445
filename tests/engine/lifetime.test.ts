/**
 * How an engine ends: what is in flight is finished, what comes later is refused, and the log is
 * closed last.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { eventsOf } from "../support/flaky_log.ts";
import { ask, run, watch, words } from "../support/running.ts";

function closing(): { log: EventLog; closed: () => number } {
  const inner = memoryLog();
  let times = 0;
  const log: EventLog = {
    name: inner.name,
    counts: inner.counts,
    history: inner.history,
    get durable() {
      return inner.durable;
    },
    get durableBytes() {
      return inner.durableBytes;
    },
    read: (until, after) => inner.read(until, after),
    readCommits: (after, bytesMax) => inner.readCommits(after, bytesMax),
    append: (commits) => inner.append(commits),
    close() {
      times++;
      return inner.close();
    },
  };
  return { log, closed: () => times };
}

const slow = words("pure", () => new Response());

test("close waits for the writes that run and wait, and for the disk", async () => {
  const { log, closed } = closing();
  const running = await run(slow, { log });
  running.faults.appendMs = 10;
  const writes = ["a", "b", "c"].map((word) =>
    watch(running.engine.write(async (_model, { saveEvent }) => {
      await running.clock.sleep(10);
      saveEvent(word);
    }))
  );
  const close = watch(running.engine.close());
  await running.clock.advance(39);
  assert.equal(close.isSettled, false);
  assert.equal(closed(), 0);
  await running.clock.advance(1);
  assert.ok(close.isSettled);
  assert.equal(closed(), 1);
  assert.ok(writes.every(({ error, isSettled }) => isSettled && error === undefined));
  assert.deepEqual(await eventsOf(log), ['"a"', '"b"', '"c"']);
});

test("a closed engine refuses what comes, and says so", async () => {
  const running = await run(slow);
  const { engine } = running;
  await engine.close();
  const read = ask(running, "GET", "/");
  const write = ask(running, "POST", "/");
  await running.clock.settle();
  assert.deepEqual([read.value?.status, write.value?.status], [503, 503]);
  await assert.rejects(engine.read(() => 0), { code: "engine_closed" });
  await assert.rejects(engine.write(() => 0), { code: "engine_closed" });
  assert.equal(engine.health().state, "closed");
});

test("close closes the log once, however often it is called", async () => {
  const { log, closed } = closing();
  const { engine } = await run(slow, { log });
  await Promise.all([engine.close(), engine.close(), engine[Symbol.asyncDispose]()]);
  assert.equal(closed(), 1);
});

test("close waits for what waitUntil was given, and a rejection of it is reported", async () => {
  const failed = new Error("in the background");
  const running = await run(words("pure", (_request, _model, { waitUntil }) => {
    waitUntil(running.clock.sleep(50).then(() => Promise.reject(failed)));
    return new Response();
  }));
  ask(running, "GET", "/");
  await running.clock.settle();
  const close = watch(running.engine.close());
  await running.clock.advance(49);
  assert.equal(close.isSettled, false);
  await running.clock.advance(1);
  assert.ok(close.isSettled);
  assert.deepEqual(running.reported, [failed]);
});

test("close answers the upload that ends after it with 503", async () => {
  const running = await run(slow);
  let upload: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (upload = controller),
  });
  const write = ask(running, "POST", "/", { body });
  await running.clock.settle();
  await running.engine.close();
  upload?.close();
  await running.clock.runUntil(() => write.isSettled);
  assert.equal(write.value?.status, 503);
});

test("engine opens on what another engine wrote", async () => {
  const log = memoryLog();
  const first = await run(slow, { log });
  const write = watch(first.engine.write((_model, { saveEvent }) => saveEvent("a")));
  await first.clock.settle();
  assert.ok(write.isSettled);
  await first.engine.close();
  const second = await run(slow, { log });
  assert.deepEqual(await second.engine.read((model) => [...model]), ["a"]);
});
