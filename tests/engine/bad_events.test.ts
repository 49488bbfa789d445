/**
 * Events that cannot be decoded or applied: what stops the start names them and shows them, and
 * what leaves them out leaves nothing of their commits in the model, in any style, on any log.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { App } from "../../runtime/app.ts";
import { excerptOf } from "../../runtime/bad_event.ts";
import { REPLAY_PASSES_MAX, SKIPPED_COMMITS_MAX } from "../../runtime/limits.ts";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { replay } from "../../runtime/replay.ts";
import { holds } from "../support/property.ts";
import { ask, run } from "../support/running.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";

/** `mixed` returns a new model here and there, and changes it in place otherwise. */
const STYLES = ["pure", "in place", "mixed"] as const;
type Style = typeof STYLES[number];

const KINDS = ["memory", "plain", "checked"] as const;
type Kind = typeof KINDS[number];

/**
 * What stands in the log: a number; `{`, which is no JSON; what `updateModel` throws on, or
 * returns nothing for; what it throws on if the model was spoiled before.
 */
type Written = number | "undecodable" | "throws" | "returns nothing" | "wants none by half";

function bytesOf(written: Written): Uint8Array {
  const text = written === "undecodable" ? "{" : JSON.stringify(written);
  return new TextEncoder().encode(text);
}

interface Harmed {
  readonly log: EventLog;
  /** The file, unless it is in memory. */
  readonly content: Uint8Array | undefined;
}

/** A log with these commits. */
async function logOf(kind: Kind, commits: readonly (readonly Written[])[]): Promise<Harmed> {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  const log = kind === "memory" ? memoryLog() : await openTestLog({ disk, format: kind });
  await log.append(commits.map((commit) => {
    const events = commit.map(bytesOf);
    return { events, bytes: events.reduce((sum, event) => sum + sizeInCommit(event), 0) };
  }));
  return { log, content: kind === "memory" ? undefined : disk.contentOf(LOG_PATH) };
}

/**
 * Lists numbers. What it throws on, it has applied by half; and it takes nothing more once it has,
 * but in mixed style, in which no list would be seen to change then.
 */
function listApp(style: Style): App<number[], Written> {
  return {
    initModel: () => [],
    updateModel(model, events) {
      const isNew = style !== "in place" &&
        (style === "pure" || events.some((event) => typeof event === "number" && event % 3 === 0));
      const next = style === "pure" ? [...model] : model;
      for (const event of events) {
        if (style !== "mixed" && next.at(-1) === HALF) throw new Error("the model is spoiled");
        if (typeof event === "number") next.push(event);
        else if (event === "wants none by half") {
          if (next.includes(HALF)) throw new Error("the model is spoiled");
        } else {
          next.push(HALF);
          if (event === "returns nothing") return undefined as never; // As JavaScript can.
          throw new Error(`cannot take "${event}"`);
        }
      }
      return isNew ? [...next] : next;
    },
    handleRequest: () => new Response(),
  };
}

/** In the list: an event that was applied by half. */
const HALF = -1;

/** What the log shows without its bad commits, or events, and how many of these there are. */
function expected(kind: Kind, commits: readonly (readonly Written[])[]) {
  const units = kind === "plain" ? commits.flat().map((event) => [event]) : commits;
  const good = units.filter((unit) => unit.every((event) => typeof event === "number"));
  return { model: good.flat(), skipped: units.length - good.length };
}

const written: fc.Arbitrary<Written> = fc.oneof(
  { weight: 60, arbitrary: fc.nat(1000) },
  { weight: 1, arbitrary: fc.constantFrom("undecodable", "throws", "returns nothing") },
);
/** So many events that they come in several batches, and one of them may be bad. */
const manyEvents = fc.tuple(fc.integer({ min: 1500, max: 5000 }), fc.nat(), fc.nat(6)).map(
  ([count, at, kind]): Written[] => {
    const events: Written[] = Array.from({ length: count }, (_, i) => i);
    const bad = (["undecodable", "throws"] as const)[kind];
    if (bad !== undefined) events[at % count] = bad;
    return events;
  },
);
const commits = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.array(written, { maxLength: 6 }) },
    { weight: 1, arbitrary: manyEvents },
  ),
  { minLength: 1, maxLength: 40 },
);

for (const style of STYLES) {
  for (const kind of KINDS) {
    test(`replay that skips bad events gives the model without them, ${style}, ${kind} log`, async () => {
      await holds(40, commits, async (commits) => {
        const { log } = await logOf(kind, commits);
        const warnings: string[] = [];
        const options = {
          warn: (message: string) => void warnings.push(message),
          onBadEvent: "skip",
        } as const;
        const replayed = await replay(listApp(style), log, log.durable, options);
        const { model, skipped } = expected(kind, commits);
        assert.deepEqual(replayed.model, model);
        assert.equal(replayed.skipped.size, skipped);
        assert.equal(warnings.length, skipped === 0 ? 0 : 1, warnings.join());
        if (skipped > 0) assert.match(warnings[0] ?? "", new RegExp(`^${skipped} (event|commit)`));
        // Another one that knows them leaves out the same in one pass, and has nothing to say.
        let passes = 0;
        const read = log.read.bind(log);
        log.read = (until, after) => {
          passes++;
          return read(until, after);
        };
        const again = await replay(listApp(style), log, log.durable, {
          warn: assert.fail,
          onBadEvent: "skip",
          skipped: replayed.skipped,
        });
        assert.deepEqual(again.model, model);
        assert.deepEqual(again.skipped, replayed.skipped);
        assert.equal(passes, 1);
      });
    });
  }

  test(`replay that stops shows where the bad event is, and its bytes, ${style}`, async () => {
    const big: Written[] = Array.from({ length: 5000 }, (_, i) => i);
    for (const bad of ["undecodable", "throws", "returns nothing"] as const) {
      // In the third batch of the second commit.
      const { log, content } = await logOf("checked", [[1, 2], [...big, bad, 3], [4]]);
      const error = await failure(replay(listApp(style), log, log.durable, { warn: assert.fail }));
      const bytes = bytesOf(bad);
      const found =
        /^Cannot (decode|apply) event 5001 of commit 2 of log "db\.events" \((\d+) bytes, at offset (\d+)\): /
          .exec(error.message);
      assert.ok(found, error.message);
      assert.equal(found[1], bad === "undecodable" ? "decode" : "apply");
      assert.equal(Number(found[2]), bytes.length);
      const offset = Number(found[3]);
      assert.deepEqual(content?.slice(offset, offset + bytes.length), bytes);
      assert.ok(error.message.includes(`its bytes are ${excerptOf(bytes)}; mend `));
      assert.match(
        error.message,
        /or start with --on-bad-event skip, which leaves its whole commit out$/,
      );
    }
  });
}

/** What a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof Error);
  return error;
}

test("replay finds out that what it took for pure changes its model in place", async () => {
  const threes: Written[][] = Array.from({ length: 2048 }, () => [3]);
  const cases: readonly (readonly Written[][])[] = [
    // It shows only after a good event that throws because of what the bad one has left.
    [["throws"], ["wants none by half"], [1], [1]],
    // It never shows.
    [[3], [3, "throws"], [3], [3]],
  ];
  for (const rest of cases) {
    const commits = [...threes, ...rest];
    const { log } = await logOf("checked", commits);
    const options = { warn: () => {}, onBadEvent: "skip" } as const;
    const { model, skipped } = await replay(listApp("mixed"), log, log.durable, options);
    assert.equal(skipped.size, 1);
    const good = commits.filter((commit) => !commit.includes("throws")).flat();
    assert.deepEqual(model, good.filter((event) => typeof event === "number"));
  }
});

test("replay leaves out a commit of many batches before it goes on", async () => {
  // What comes after the commit is good only without its first half.
  interface Held {
    isHeld: boolean;
    count: number;
  }
  const app = (isPure: boolean): App<Held, Written> => ({
    initModel: () => ({ isHeld: false, count: 0 }),
    updateModel(model, events) {
      const next = isPure ? { ...model } : model;
      for (const event of events) {
        if (event === "throws" || event === 5 && next.isHeld) throw new Error("no");
        if (event === 0) next.isHeld = true;
        next.count++;
      }
      return next;
    },
    handleRequest: () => new Response(),
  });
  const many: Written[] = Array.from({ length: 3000 }, () => 1);
  for (const bad of ["throws", "undecodable"] as const) {
    for (const isPure of [true, false]) {
      const { log } = await logOf("checked", [[2, 2], [0, ...many, bad, ...many], [5], [2]]);
      const options = { warn: () => {}, onBadEvent: "skip" } as const;
      const { model, skipped } = await replay(app(isPure), log, log.durable, options);
      assert.deepEqual(model, { isHeld: false, count: 4 });
      assert.deepEqual([...skipped], [2]);
    }
  }
});

test("an excerpt is hex and text, and never longer than 64 bytes", () => {
  assert.equal(
    excerptOf(new TextEncoder().encode('{"ä":1}\n')),
    '7b 22 c3 a4 22 3a 31 7d 0a  |{"..":1}.|',
  );
  assert.equal(excerptOf(new Uint8Array(0)), "nothing");
  const long = excerptOf(new Uint8Array(1000).fill(0x41));
  assert.equal(long, `${"41 ".repeat(64)}…  |${"A".repeat(64)}|…`);
  assert.equal(excerptOf(new Uint8Array(64).fill(0x1b)), `${"1b ".repeat(64)} |${".".repeat(64)}|`);
});

test("the warning about skipped commits names the first three and counts the others", async () => {
  const bad: Written[][] = Array.from({ length: 9 }, (_, i) => [i, "throws"]);
  const { log } = await logOf("checked", [[1], ...bad, [2]]);
  const warnings: string[] = [];
  await replay(listApp("in place"), log, log.durable, {
    warn: (message) => void warnings.push(message),
    onBadEvent: "skip",
  });
  assert.match(
    warnings.join("\n"),
    /^9 commits of log "db\.events" were left out of the model, because an event of each could not be decoded or applied: event 2 of commit 2 \(at offset \d+: cannot take "throws"\), event 2 of commit 3 .*, event 2 of commit 4 .*, and 6 more\. They stay in the log: mend /,
  );
  const one = await logOf("plain", [[1, "throws", 2]]);
  await replay(listApp("pure"), one.log, one.log.durable, {
    warn: (message) => void warnings.push(message),
    onBadEvent: "skip",
  });
  assert.match(
    warnings[1] ?? "",
    /^1 event of log .* was left out .* because it could not .*: event 2 \(/,
  );
});

test("a replay in place gives up when too many events spoil the model", async () => {
  const commits: Written[][] = Array.from({ length: REPLAY_PASSES_MAX }, () => ["throws"]);
  const { log } = await logOf("memory", commits);
  const options = { warn: () => {}, onBadEvent: "skip" } as const;
  await assert.rejects(replay(listApp("in place"), log, log.durable, options), {
    code: "bad_event",
    message: /after 100 passes over it, and \d+ bad events, there are more; mend updateModel/,
  });
  // In pure style, which shows with the first good event, they cost one.
  const pure = await logOf("memory", [[1], ...commits]);
  const { skipped } = await replay(listApp("pure"), pure.log, pure.log.durable, options);
  assert.equal(skipped.size, REPLAY_PASSES_MAX);
});

test("a replay that would skip everything says that the log may be another's", async () => {
  const commits: Written[][] = Array.from(
    { length: SKIPPED_COMMITS_MAX + 1 },
    () => ["undecodable"],
  );
  const { log } = await logOf("memory", commits);
  await assert.rejects(
    replay(listApp("pure"), log, log.durable, { warn: assert.fail, onBadEvent: "skip" }),
    { code: "bad_event", message: /more than 100000 commits would have to be left out/ },
  );
});

test("an engine that skips bad events says how many, and a rebuild skips them again", async () => {
  const { log } = await logOf("memory", [[1], [2, "throws"], [3], ["undecodable"]]);
  const app = listApp("in place");
  const running = await run({
    ...app,
    handleRequest(request, model, { saveEvent }) {
      if (saveEvent === undefined) return Response.json(model);
      const event = new URL(request.url).pathname.slice(1);
      saveEvent(event === "throws" ? event : Number(event));
      return new Response("saved");
    },
  }, { log, onBadEvent: "skip" });
  const { engine, clock, warnings } = running;
  assert.equal(engine.health().badEvents, 2);
  assert.equal(engine.health().applied, 4);
  assert.equal(warnings.length, 1);
  ask(running, "POST", "/5");
  const refused = ask(running, "POST", "/throws");
  await clock.settle();
  assert.equal(refused.value?.status, 500);
  assert.equal(engine.health().rebuilds, 1);
  const read = ask(running, "GET", "/");
  await clock.settle();
  assert.equal(read.value?.text, "[1,3,5]");
  assert.equal(engine.health().badEvents, 2);
  assert.equal(warnings.length, 2, "one about the bad events, one about the rebuild");
});

test("an engine that is to stop does not open on a bad event, and lets go of the log", async () => {
  const { log } = await logOf("plain", [[1, "throws"]]);
  let isClosed = false;
  const watched: EventLog = {
    ...log,
    durable: log.durable,
    durableBytes: log.durableBytes,
    name: log.name,
    read: (until, after) => log.read(until, after),
    close: () => {
      isClosed = true;
      return log.close();
    },
  };
  await assert.rejects(run(listApp("pure"), { log: watched }), { code: "bad_event" });
  assert.ok(isClosed);
});
