/**
 * What the engine does when the log is full or has failed, and that no answer shows what is not
 * durable. Examples on the memory log and on the simulated disk; the properties are in
 * `promises.test.ts`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpError } from "../../runtime/errors.ts";
import { eventsOf } from "../support/flaky_log.ts";
import { ask, run, watch, words } from "../support/running.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { openPlainLog } from "../support/test_log.ts";

const STYLES = ["pure", "in place"] as const;

const taking = (style: "pure" | "in place") =>
  words(style, (request, model, { saveEvent }) => {
    if (!saveEvent) return new Response(model.join(" "));
    const name = new URL(request.url).pathname.slice(1);
    if (name === "") return new Response(`nothing saved, seen: ${model.join(" ")}`);
    if (model.includes(name)) throw new HttpError(409, `${name} is taken`);
    saveEvent(name);
    return new Response(`saved ${name}`);
  });

for (const style of STYLES) {
  test(`engine answers 507 when the disk is full, reads go on, and it heals by itself, ${style}`, async () => {
    const running = await run(taking(style));
    const { clock, faults, engine } = running;
    ask(running, "POST", "/a");
    await clock.settle();
    faults.nextAppends = "full";
    const refused = ask(running, "POST", "/b");
    await clock.settle();
    assert.equal(refused.value?.status, 507);
    assert.equal(refused.value?.headers.get("retry-after"), "1");
    assert.equal(engine.health().state, "disk full");
    const next = ask(running, "POST", "/c");
    const read = ask(running, "GET", "/");
    await clock.settle();
    assert.equal(next.value?.status, 507, "at once, without trying");
    assert.equal(read.value?.text, "a");
    assert.equal(engine.health().flushes, 2);
    faults.nextAppends = "ok";
    await clock.advance(1000);
    const healed = ask(running, "POST", "/d");
    await clock.settle();
    assert.equal(healed.value?.status, 200);
    assert.equal(engine.health().state, "ok");
    assert.deepEqual(await eventsOf(running.log), ['"a"', '"d"']);
  });

  test(`engine answers 503 when a sync fails, and takes no writes any more, ${style}`, async () => {
    const running = await run(taking(style));
    const { clock, faults, engine, reported } = running;
    ask(running, "POST", "/a");
    await clock.settle();
    faults.nextAppends = "failed";
    const unknown = ask(running, "POST", "/b");
    await clock.settle();
    assert.equal(unknown.value?.status, 503);
    assert.equal(unknown.value?.headers.get("retry-after"), null, "a second try is no use");
    assert.equal(engine.health().state, "read-only: sync failed");
    faults.nextAppends = "ok";
    await clock.advance(60_000);
    const next = ask(running, "POST", "/c");
    const read = ask(running, "GET", "/");
    await clock.settle();
    assert.equal(next.value?.status, 503);
    assert.equal(read.value?.text, "a");
    assert.equal(engine.health().flushes, 2, "it is never tried again");
    assert.equal(reported.length, 1, "the failure is reported once");
  });

  test(`engine discards a running write handler with 503 when the log fails, ${style}`, async () => {
    let signal: AbortSignal | undefined;
    const running = await run(words(style, async (request, _model, context) => {
      if (!context.saveEvent) return new Response();
      context.saveEvent(new URL(request.url).pathname);
      if (request.url.endsWith("slow")) {
        signal = context.signal;
        await running.clock.sleep(50);
      }
      return new Response("done");
    }));
    running.faults.appendMs = 10;
    running.faults.nextAppends = "full";
    const first = ask(running, "POST", "/first");
    await running.clock.settle();
    const slow = ask(running, "POST", "/slow");
    await running.clock.advance(10);
    assert.equal(first.value?.status, 507);
    assert.equal(slow.value?.status, 503);
    assert.equal(signal?.aborted, true);
    await running.clock.advance(50);
    assert.deepEqual(await eventsOf(running.log), []);
  });

  test(`a 409 for a name whose commit is not durable yet waits for it, ${style}`, async () => {
    const running = await run(taking(style));
    running.faults.appendMs = 10;
    ask(running, "POST", "/a");
    await running.clock.settle();
    const taken = ask(running, "POST", "/a");
    await running.clock.advance(9);
    assert.equal(taken.isSettled, false);
    await running.clock.advance(1);
    assert.equal(taken.value?.status, 409);
  });

  test(`a 409 for a name whose commit is lost becomes the loss, ${style}`, async () => {
    const running = await run(taking(style));
    Object.assign(running.faults, { appendMs: 10, nextAppends: "full" });
    ask(running, "POST", "/a");
    await running.clock.settle();
    const taken = ask(running, "POST", "/a");
    await running.clock.advance(10);
    assert.equal(taken.value?.status, 507, "the name is free after all");
  });

  test(`a POST that saves nothing waits for the commits that it has seen, ${style}`, async () => {
    const running = await run(taking(style));
    running.faults.appendMs = 10;
    ask(running, "POST", "/a");
    await running.clock.settle();
    const looking = ask(running, "POST", "/");
    await running.clock.advance(9);
    assert.equal(looking.isSettled, false);
    await running.clock.advance(1);
    assert.equal(looking.value?.text, "nothing saved, seen: a");
  });
}

test("engine gives room back to the log after ENOSPC and writes on, byte for byte", async () => {
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ clock, seed: 1 });
  const log = await openPlainLog({ disk, clock });
  const running = await run(taking("pure"), { log });
  ask(running, "POST", "/a");
  await running.clock.settle();
  disk.faults.roomBytes = 2;
  const full = ask(running, "POST", "/bbbbbb");
  await running.clock.settle();
  assert.equal(full.value?.status, 507);
  assert.deepEqual(disk.contentOf("db.events"), new TextEncoder().encode('\x03"a"'));
  await running.clock.advance(1000);
  const still = ask(running, "POST", "/cccccc");
  await running.clock.settle();
  assert.equal(still.value?.status, 507, "there is no room yet");
  disk.faults.roomBytes = 1000;
  await running.clock.advance(1000);
  const healed = ask(running, "POST", "/d");
  await running.clock.settle();
  assert.equal(healed.value?.status, 200);
  assert.deepEqual(disk.contentOf("db.events"), new TextEncoder().encode('\x03"a"\x03"d"'));
  assert.deepEqual(disk.paths, ["db.events", "db.events.mark"], "no look for room leaves anything");
});

test("a read of an in-place model waits for the commits that it shows", async () => {
  const running = await run(taking("in place"));
  running.faults.appendMs = 10;
  ask(running, "POST", "/a");
  await running.clock.settle();
  const fetched = ask(running, "GET", "/");
  const read = watch(running.engine.read((model) => [...model]));
  const thrown = watch(running.engine.read((model) => {
    throw new Error(`saw ${model}`);
  }));
  await running.clock.advance(9);
  assert.deepEqual([fetched.isSettled, read.isSettled, thrown.isSettled], [false, false, false]);
  await running.clock.advance(1);
  assert.equal(fetched.value?.text, "a");
  assert.deepEqual(read.value, ["a"]);
  assert.ok(thrown.error instanceof Error && thrown.error.message === "saw a");
});

test("each chunk of a body that is made from an in-place model waits for what it shows", async () => {
  const running = await run(words("in place", (_request, model, { saveEvent }) => {
    if (saveEvent) {
      saveEvent("a");
      return new Response();
    }
    let chunks = 0;
    return new Response(
      new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (chunks++ > 0) await running.clock.sleep(5);
          controller.enqueue(new TextEncoder().encode(`[${model.join()}]`));
          if (chunks === 2) controller.close();
        },
      }),
    );
  }));
  running.faults.appendMs = 10;
  const received: string[] = [];
  const response = await running.engine.fetch(new Request("http://test/"));
  const receiving = watch((async () => {
    for await (const chunk of response.body ?? []) received.push(new TextDecoder().decode(chunk));
  })());
  await running.clock.settle();
  assert.deepEqual(received, ["[]"]);
  ask(running, "POST", "/");
  await running.clock.advance(9);
  assert.deepEqual(received, ["[]"], "the second chunk was made, and shows the commit");
  await running.clock.advance(10);
  assert.deepEqual(received, ["[]", "[a]"]);
  assert.ok(receiving.isSettled);
});

test("a body is cut off when what its next chunk shows is lost", async () => {
  const running = await run(words("in place", (_request, model, { saveEvent }) => {
    if (saveEvent) {
      saveEvent("a");
      return new Response();
    }
    return new Response(
      new ReadableStream<Uint8Array>({
        async pull(controller) {
          await running.clock.sleep(5);
          controller.enqueue(new TextEncoder().encode(`[${model.join()}]`));
        },
      }),
    );
  }));
  Object.assign(running.faults, { appendMs: 10, nextAppends: "full" });
  const response = await running.engine.fetch(new Request("http://test/"));
  const body = watch(response.text());
  ask(running, "POST", "/");
  await running.clock.advance(20);
  assert.ok(body.error !== undefined);
  assert.equal(body.value, undefined);
});

test("engine rebuilds an in-place model after an event that updateModel throws on, and counts it", async () => {
  const running = await run(taking("in place"));
  const { engine, clock, faults, warnings, reported } = running;
  ask(running, "POST", "/a");
  await clock.settle();
  faults.appendMs = 10;
  const waiting = watch(engine.write((_model, { saveEvent }) => saveEvent("b")));
  const poisoned = ask(running, "POST", "/poison");
  await clock.advance(10);
  assert.equal(poisoned.value?.status, 500);
  assert.ok(waiting.value !== undefined, "a commit that waited for the disk is not lost");
  assert.equal(engine.health().rebuilds, 1);
  assert.equal(warnings.length, 1);
  assert.equal(reported.length, 1);
  const read = ask(running, "GET", "/");
  await clock.settle();
  assert.equal(read.value?.text, "a b");
});

test("engine leaves the old model when updateModel throws in pure style, and rebuilds nothing", async () => {
  const running = await run(taking("pure"));
  ask(running, "POST", "/a");
  ask(running, "POST", "/poison");
  const read = ask(running, "GET", "/");
  await running.clock.settle();
  assert.equal(running.engine.health().rebuilds, 0);
  const later = ask(running, "GET", "/");
  await running.clock.settle();
  assert.equal(read.value?.text, "");
  assert.equal(later.value?.text, "a");
});

test("engine discards the commit when a response function throws", async () => {
  for (const style of STYLES) {
    const running = await run(words(style, (_request, model, { saveEvent }) => {
      if (!saveEvent) return new Response(model.join());
      saveEvent("a");
      return () => {
        throw new HttpError(422);
      };
    }));
    const write = ask(running, "POST", "/");
    await running.clock.settle();
    const read = ask(running, "GET", "/");
    await running.clock.settle();
    assert.deepEqual([write.value?.status, read.value?.text], [422, ""]);
    assert.deepEqual(await eventsOf(running.log), []);
  }
});

test("engine holds reads while an in-place model is built again, and answers 503 after 10 s", async () => {
  const inner = (await run(taking("in place"))).log;
  let release: (() => void) | undefined;
  let isHeld = false;
  const running = await run(taking("in place"), {
    log: {
      ...inner,
      async *read(until, after) {
        if (isHeld) await new Promise<void>((resolve) => release = resolve);
        yield* inner.read(until, after);
      },
      append: (commits) => inner.append(commits),
      close: () => inner.close(),
    },
  });
  isHeld = true;
  ask(running, "POST", "/poison");
  await running.clock.settle();
  const early = ask(running, "GET", "/");
  const write = ask(running, "POST", "/a");
  await running.clock.advance(9_000);
  const late = ask(running, "GET", "/");
  await running.clock.advance(1_000);
  assert.equal(early.value?.status, 503);
  assert.equal(early.value?.headers.get("retry-after"), "1");
  assert.equal(late.isSettled, false);
  assert.equal(write.isSettled, false);
  release?.();
  await running.clock.settle();
  assert.equal(late.value?.status, 200);
  assert.equal(write.value?.status, 200);
});
