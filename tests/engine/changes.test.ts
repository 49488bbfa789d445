/**
 * Following the log, one example for each statement: where it begins and ends, what it waits
 * for, what happens to who is slow, and what becomes of errors. Random runs are in
 * `changes_promises.test.ts`, many who follow in `many_changes.test.ts`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../../runtime/app.ts";
import type { Change } from "../../runtime/change_block.ts";
import { json } from "../../runtime/codec.ts";
import { openEngine } from "../../runtime/engine.ts";
import { AlcedoError } from "../../runtime/errors.ts";
import {
  CHANGES_PER_TURN_MAX,
  CONSUMER_STALL_MS,
  LIVE_CHANGES_BYTES,
} from "../../runtime/limits.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { countingLog } from "../support/counting_log.ts";
import { run, watch, words } from "../support/running.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { codeOf, takeAll, texts, write, writeEach } from "../support/taken_changes.ts";
import { openTestLog } from "../support/test_log.ts";

const app = words("pure", () => new Response());

test("changes begin with the first commit, or after a position, and go on with new ones", async () => {
  const running = await run(app);
  const { engine, clock } = running;
  const start = engine.health().position;
  const written = watch(engine.write((_model, { saveEvent }) => {
    saveEvent("a");
    saveEvent("b");
  }));
  await clock.settle();
  const position = written.value?.position;
  await writeEach(running, "c");
  const all = await takeAll(engine.changes(), clock);
  assert.deepEqual(all.map(({ sequence, events }) => [sequence, events]), [
    [1, ["a", "b"]],
    [2, ["c"]],
  ]);
  assert.ok(position !== undefined && all[0]?.position === position);
  assert.deepEqual(await takeAll(engine.changes(start), clock), all);
  assert.deepEqual(texts(await takeAll(engine.changes(position), clock)), ["c"]);
  const fromEnd = engine.changes(engine.health().position);
  const next = watch(fromEnd.next());
  await writeEach(running, "d");
  await clock.settle();
  assert.equal(next.value?.value?.events[0], "d");
  await engine.close();
});

test("changes have their own objects, which all who follow share", async () => {
  let decoded = 0;
  const codec = {
    encode: (event: string) => json.encode(event),
    decode: (bytes: Uint8Array): string => {
      decoded++;
      return json.decode(bytes);
    },
  };
  const running = await run(words("pure", () => new Response(), { codec }));
  await writeEach(running, "a", "b");
  const { engine, clock } = running;
  decoded = 0;
  const followers = await Promise.all([1, 2, 3].map(() => takeAll(engine.changes(), clock)));
  assert.equal(decoded, 2);
  assert.equal(followers[0]?.[1], followers[2]?.[1]);
  await engine.close();
});

test("changes from a position that is none, unknown, or beyond the end are refused", async () => {
  const running = await run(app);
  await writeEach(running, "a");
  const { engine } = running;
  const { history } = running.log;
  const refused = (from: unknown, code: string, message: RegExp) =>
    assert.throws(() => engine.changes(from as string), codeOf(code, message), String(from));
  for (
    const from of ["", "1", `${history}.`, `${history}.-1`, `${history}.01`, `${history}.1e3`, null]
  ) {
    refused(from, "bad_position", /it is not a position/);
  }
  refused(`${history}.9007199254740993`, "bad_position", /it is not a position/);
  refused("0123.1", "unknown_position", /of another history.*; read the model anew/);
  refused(`${history}.2`, "unknown_position", /beyond the newest durable position, "\w+\.1"; read/);
  await engine.close();
});

test("changes show nothing that is not durable, nor what was lost", async () => {
  const running = await run(app);
  const { engine, clock, faults, log } = running;
  const next = watch(engine.changes().next());
  faults.appendMs = 10;
  write(engine, "a").catch(() => {});
  await clock.advance(9);
  assert.equal(next.isSettled, false);
  await clock.advance(1);
  assert.equal(next.value?.value?.events[0], "a");
  assert.throws(() => engine.changes(`${log.history}.2`), codeOf("unknown_position", /beyond/));

  const following = engine.changes(`${log.history}.1`);
  const second = watch(following.next());
  faults.nextAppends = "full";
  write(engine, "lost").catch(() => {});
  await clock.advance(2000);
  faults.nextAppends = "ok";
  await clock.advance(2000);
  assert.equal(second.isSettled, false);
  write(engine, "b").catch(() => {});
  await clock.advance(10);
  assert.equal(second.value?.value?.events[0], "b");

  const third = watch(following.next());
  faults.nextAppends = "failed";
  write(engine, "c").catch(() => {});
  await clock.advance(1000);
  assert.equal(third.isSettled, false);
  await engine.close();
  assert.equal(third.value?.done, true);
});

test("changes that are just durable cost no look at the log", async () => {
  const { log, counts } = countingLog(memoryLog());
  const running = await run(app, { log });
  const { engine, clock } = running;
  await writeEach(running, "a");
  const followers = Array.from({ length: 100 }, () => engine.changes(engine.health().position));
  const taken = followers.map(() => [] as string[]);
  for (const [i, follower] of followers.entries()) {
    (async () => {
      for await (const { events } of follower) taken[i]?.push(...events);
    })();
  }
  for (const word of ["b", "c", "d"]) await writeEach(running, word, `${word}2`);
  await clock.settle();
  for (const words of taken) assert.deepEqual(words, ["b", "b2", "c", "c2", "d", "d2"]);
  assert.equal(counts.calls, 0);
  await engine.close();
});

test("changes that go by before somebody's turn are read from the log", async () => {
  const { log, counts } = countingLog(memoryLog());
  const { engine, clock } = await run(app, { log });
  const following = engine.changes();
  const first = watch(following.next());
  const large = "x".repeat(LIVE_CHANGES_BYTES / 4);
  await Promise.all([write(engine, ...Array<string>(12).fill(large)), clock.settle()]);
  await clock.settle();
  assert.equal(first.value?.value?.sequence, 1);
  assert.ok(counts.calls > 0);
  assert.equal((await takeAll(following, clock)).at(-1)?.sequence, 12);
  await engine.close();
});

test("changes of a block are for those who come next, too, though they ask for no more", async () => {
  const { engine, clock } = await run(app);
  const large = "x".repeat(40_000);
  await Promise.all([write(engine, ...Array<string>(20).fill(large)), clock.settle()]);
  const [history] = engine.health().position.split(".");
  // Both are in one lane; who comes first stops after its first commit.
  const late = watch(engine.changes(`${history}.10`).next());
  const early = watch(engine.changes(`${history}.1`).next());
  await clock.settle();
  assert.equal(early.value?.value?.sequence, 2);
  assert.equal(late.value?.value?.sequence, 11);
  await engine.close();
});

test("next that is called again before it has answered gets the commit after", async () => {
  const running = await run(app);
  const { engine, clock } = running;
  const following = engine.changes();
  const asked = [1, 2, 3, 4].map(() => watch(following.next()));
  await writeEach(running, "a", "b", "c");
  await clock.settle();
  await following.return();
  await clock.settle();
  assert.deepEqual(asked.map(({ value }) => value?.value?.events[0]), ["a", "b", "c", undefined]);
  assert.equal(asked[3]?.value?.done, true);
  await engine.close();
});

test("consumer that leaves a commit lying is ended, and told from where to go on", async () => {
  const running = await run(app);
  const { engine, clock } = running;
  await writeEach(running, "a", "b", "c");
  const following = engine.changes();
  const taken = await Promise.all([following.next(), following.next(), clock.settle()]);
  const position = taken[1].value?.position ?? "";
  await clock.advance(CONSUMER_STALL_MS - 1);
  const other = engine.changes();
  watch(other.next());
  await clock.settle();
  await clock.advance(1);
  await assert.rejects(
    () => following.next(),
    codeOf(
      "consumer_slow",
      new RegExp(`in 60 s though there is more; follow again from "${position}"`),
    ),
  );
  assert.equal((await following.next()).done, true);
  assert.deepEqual(texts(await takeAll(engine.changes(position), clock)), ["c"]);
  // The other one began later.
  await clock.advance(CONSUMER_STALL_MS - 2);
  assert.deepEqual(texts(await takeAll(other, clock)), ["b", "c"]);
  await engine.close();
});

test("consumer that waits, or has all that there is, is never slow", async () => {
  const running = await run(app);
  const { engine, clock } = running;
  const waiting = engine.changes();
  const next = watch(waiting.next());
  await clock.advance(10 * CONSUMER_STALL_MS);
  await writeEach(running, "a");
  await clock.settle();
  assert.equal(next.value?.value?.sequence, 1);
  // It works on the newest commit, for as long as there is no other.
  await clock.advance(10 * CONSUMER_STALL_MS);
  await writeEach(running, "b");
  await clock.advance(CONSUMER_STALL_MS - 1);
  const second = watch(waiting.next());
  await clock.settle();
  assert.equal(second.value?.value?.sequence, 2);
  await writeEach(running, "c");
  await clock.advance(CONSUMER_STALL_MS);
  await assert.rejects(() => waiting.next(), codeOf("consumer_slow", /follow again/));
  await engine.close();
});

test("changes end when they are left, or aborted, also for who waits", async () => {
  const running = await run(app);
  const { engine, clock } = running;
  const returned = engine.changes();
  const waiting = watch(returned.next());
  assert.equal((await returned.return()).done, true);
  await clock.settle();
  assert.equal(waiting.value?.done, true);

  const abort = new AbortController();
  const aborted = engine.changes(undefined, { signal: abort.signal });
  const alsoWaiting = watch(aborted.next());
  await clock.settle();
  abort.abort();
  await clock.settle();
  assert.equal(alsoWaiting.value?.done, true);
  assert.equal((await aborted.next()).done, true);
  assert.equal((await engine.changes(undefined, { signal: abort.signal }).next()).done, true);

  await writeEach(running, "a", "b");
  const seen: string[] = [];
  const loop = (async () => {
    for await (const { events } of engine.changes()) {
      seen.push(...events);
      break;
    }
  })();
  await clock.settle();
  await loop;
  assert.deepEqual(seen, ["a"]);
  {
    await using disposed = engine.changes();
    watch(disposed.next());
  }
  await engine.close();
});

test("engine that closes ends all who follow, and those to come", async () => {
  const running = await run(app);
  const { engine, clock } = running;
  await writeEach(running, "a", "b");
  const waiting = watch(engine.changes(engine.health().position).next());
  const reading = watch(engine.changes().next());
  const late = engine.changes();
  const halfway = engine.changes();
  const half = watch(halfway.next());
  await clock.settle();
  assert.equal(half.value?.value?.sequence, 1);
  assert.equal(reading.value?.value?.sequence, 1);
  await engine.close();
  await clock.settle();
  assert.equal(waiting.value?.done, true);
  assert.equal((await late.next()).done, true);
  assert.equal((await halfway.next()).done, true);
  assert.throws(() => engine.changes(), codeOf("engine_closed", /it is closed/));
});

test("engine closes though a write follows the log in the background", async () => {
  const running = await run(words("pure", (_request, _model, { waitUntil }) => {
    waitUntil((async () => {
      for await (const _change of engine.changes()) { /* and waits for more */ }
    })());
    return new Response();
  }));
  const { engine } = running;
  await engine.fetch(new Request("http://test/"));
  await engine.close();
  assert.deepEqual(running.reported, []);
});

test("damage ends those who come to it, is reported once, and leaves the others alone", async () => {
  const counting = countingLog(memoryLog());
  const running = await run(app, { log: counting.log });
  const { engine, clock, reported } = running;
  const large = "x".repeat(70_000);
  await Promise.all([write(engine, ...Array<string>(9).fill(large)), clock.settle()]);
  const { history } = running.log;
  const error = new AlcedoError("log_unreadable", "Cannot open log: damaged at commit 5");
  counting.damage = { sequence: 5, error };
  const asked = [2, 4, 4, 7].map((after) => watch(engine.changes(`${history}.${after}`).next()));
  await clock.settle();
  assert.deepEqual(asked.map(({ value }) => value?.value?.sequence), [3, undefined, undefined, 8]);
  assert.equal(asked[1]?.error, error);
  assert.equal(asked[2]?.error, error);
  assert.deepEqual(reported, [error]);
  await engine.close();
});

/** Words of which one cannot be decoded any more, once it is gone. */
function withOldWord(): { app: App<string[], string>; old: { isGone: boolean } } {
  const old = { isGone: false };
  const codec = {
    encode: (event: string) => json.encode(event),
    decode: (bytes: Uint8Array): string => {
      const event: string = json.decode(bytes);
      if (event === "old" && old.isGone) throw new Error("no such event");
      return event;
    },
  };
  return { app: words("pure", () => new Response(), { codec }), old };
}

test("event that cannot be decoded ends those who come to it, and names the commit", async () => {
  const { app, old } = withOldWord();
  const running = await run(app);
  const { engine, clock } = running;
  await writeEach(running, "a", "old", "c");
  old.isGone = true;
  const following = engine.changes();
  const asked = [1, 2, 3].map(() => watch(following.next()));
  await clock.settle();
  assert.equal(asked[0]?.value?.value?.sequence, 1);
  const message =
    /Cannot decode event 1 of 1 with sequence 2 of log "memory": no such event; mend the codec/;
  codeOf("bad_event", message)(asked[1]?.error);
  assert.equal(asked[2]?.value?.done, true);
  assert.deepEqual(texts(await takeAll(engine.changes(`${running.log.history}.2`), clock)), ["c"]);
  await engine.close();
});

test("event that cannot be decoded leaves a commit without events where the model skips it", async () => {
  const { app, old } = withOldWord();
  const running = await run(app, { onBadEvent: "skip" });
  await writeEach(running, "a", "old", "c");
  old.isGone = true;
  const changes = await takeAll(running.engine.changes(), running.clock);
  assert.deepEqual(changes.map(({ sequence, events }) => [sequence, events]), [
    [1, ["a"]],
    [2, []],
    [3, ["c"]],
  ]);
  await running.engine.close();
});

test("changes come a bounded number at a time, so that requests come between", async () => {
  const clock = new SimulatedClock();
  let turns = 0;
  const counting = {
    now: () => clock.now(),
    after: (ms: number, callback: () => void) => clock.after(ms, callback),
    defer(callback: () => void) {
      clock.defer(() => {
        turns++;
        callback();
      });
    },
  };
  const engine = await openEngine(app, {
    log: memoryLog(),
    clock: counting,
    report: () => {},
    warn: () => {},
    writeQueueMax: 10_000,
  });
  const commits = 4 * CHANGES_PER_TURN_MAX;
  const many = Array.from({ length: commits }, (_, i) => String(i));
  await Promise.all([write(engine, ...many), clock.settle()]);
  const inTurn = new Map<number, number>();
  const followers = [1, 2, 3].map(async () => {
    let sequence = 0;
    for await (const change of engine.changes()) {
      assert.equal(change.sequence, ++sequence);
      inTurn.set(turns, (inTurn.get(turns) ?? 0) + 1);
      if (sequence === commits) break;
    }
  });
  await clock.settle();
  await Promise.all(followers);
  assert.equal([...inTurn.values()].reduce((sum, count) => sum + count), 3 * commits);
  assert.ok(Math.max(...inTurn.values()) <= CHANGES_PER_TURN_MAX, String([...inTurn.values()]));
  await engine.close();
});

for (const format of ["checked", "plain"] as const) {
  test(`changes of a ${format} log are the same from memory, from the disk, and after a restart`, async () => {
    const clock = new SimulatedClock();
    const disk = new SimulatedDisk({ clock, seed: 1 });
    const open = async (disk: SimulatedDisk) =>
      await run(app, {
        clock,
        log: await openTestLog({ disk, clock, format, timeOfDay: () => 1e12 + clock.now() }),
      });
    const { engine } = await open(disk);
    const live: Change<string>[] = [];
    (async () => {
      for await (const change of engine.changes()) live.push(change);
    })();
    for (let i = 0; i < 5; i++) {
      await clock.advance(10);
      await Promise.all([
        engine.write((_model, { saveEvent }) => {
          for (let k = 0; k <= i; k++) saveEvent(`${i}.${k}`);
        }),
        clock.settle(),
      ]);
      await clock.settle();
    }
    assert.equal(live.length, format === "checked" ? 5 : 15);
    if (format === "checked") assert.equal(live[4]?.time, 1e12 + 50);
    const { position } = engine.health();
    assert.equal(live.at(-1)?.position, position);
    assert.deepEqual(await takeAll(engine.changes(), clock), live);
    await engine.close();
    const again = await open(disk.restart());
    assert.deepEqual(await takeAll(again.engine.changes(), clock), live);
    await writeEach({ engine: again.engine, clock }, "new");
    assert.deepEqual(texts(await takeAll(again.engine.changes(position), clock)), ["new"]);
    await again.engine.close();
  });
}

for (const style of ["pure", "in place"] as const) {
  test(`read tells the position that its model shows, ${style}`, async () => {
    const { engine, clock, faults } = await run(words(style, () => new Response()));
    await Promise.all([write(engine, "a", "b"), clock.settle()]);
    faults.appendMs = 10;
    write(engine, "c").catch(() => {});
    const read = watch(engine.read((model, { position }) => ({ words: [...model], position })));
    await clock.advance(10);
    const { words: seen = [], position = "" } = read.value ?? {};
    assert.deepEqual(seen, style === "pure" ? ["a", "b"] : ["a", "b", "c"]);
    const rest = texts(await takeAll(engine.changes(position), clock));
    assert.deepEqual([...seen, ...rest], ["a", "b", "c"]);
    await engine.close();
  });
}
