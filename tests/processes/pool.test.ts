/**
 * The pool on simulated workers and a simulated clock: what it does in each case, and what holds in
 * all of them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Pool } from "../../runtime/processes/pool.ts";
import type { PoolOptions } from "../../runtime/processes/pool_options.ts";
import type { PoolRefusal } from "../../runtime/processes/pool_task.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import {
  type Character,
  checkPacket,
  type Deed,
  GOOD,
  isCheckAnswer,
  numberOf,
  requestPacket,
  SimulatedCommand,
} from "../support/simulated_workers.ts";

/** What a request comes to; the last two are never right. */
type Outcome = "answered" | PoolRefusal | "answered as another" | "answered twice";

/** A pool with all that comes of it. */
class Run {
  readonly clock = new SimulatedClock();
  readonly command: SimulatedCommand;
  readonly pool: Pool;
  readonly warnings: string[] = [];
  readonly givenUp: string[] = [];
  /** By number of the request: how it ended, and after how many milliseconds. */
  readonly outcomes = new Map<number, Outcome>();
  readonly took = new Map<number, number>();
  #asked = 0;

  /** With empty answers, those to requests look like those to health checks. */
  constructor(
    options: PoolOptions = {},
    characters: readonly Character[] = [GOOD],
    hasEmptyAnswers = false,
  ) {
    this.command = new SimulatedCommand(this.clock, characters);
    this.pool = new Pool({
      spawn: this.command.spawn,
      clock: this.clock,
      healthCheck: checkPacket,
      isEmptyAnswer: (message) => isCheckAnswer(message) || (numberOf(message), hasEmptyAnswers),
      warn: (message) => void this.warnings.push(message),
      gaveUp: (why) => void this.givenUp.push(why),
    }, options);
  }

  /** Asks, and returns the number of the request. */
  ask(isRepeatable = true, hasLeft: () => boolean = () => false): number {
    const number = this.#asked++;
    const askedAt = this.clock.now();
    // Nothing is thrown here: the pool would take it for what is wrong with the answer.
    const settle = (outcome: Outcome) => {
      this.outcomes.set(number, this.outcomes.has(number) ? "answered twice" : outcome);
      this.took.set(number, this.clock.now() - askedAt);
    };
    this.pool.ask({
      packet: requestPacket(number),
      isRepeatable,
      hasLeft,
      accept(message) {
        const outcome = numberOf(message) === number ? "answered" : "answered as another";
        return () => settle(outcome);
      },
      refuse: settle,
    });
    return number;
  }

  async askAndWait(isRepeatable = true, ms = 100): Promise<Outcome | undefined> {
    const number = this.ask(isRepeatable);
    await this.clock.advance(ms);
    return this.outcomes.get(number);
  }
}

function doing(...deeds: Deed[]): Character {
  return { ...GOOD, deed: (number) => deeds[Math.min(number, deeds.length - 1)] ?? "answers" };
}

test("pool answers requests in order of arrival, with as many workers as it may have at least", async () => {
  for (const sizeMin of [1, 2]) {
    const run = new Run({ sizeMin });
    const numbers = Array.from({ length: 20 }, () => run.ask());
    await run.clock.advance(1000);
    assert.deepEqual(
      run.command.all.flatMap(({ taken }) => taken).toSorted((a, b) => a - b),
      numbers,
    );
    if (sizeMin === 1) assert.deepEqual([...run.outcomes.keys()], numbers);
    assert.deepEqual(new Set(run.outcomes.values()), new Set(["answered"]));
    assert.equal(run.command.all.length, sizeMin);
  }
});

test("pool gives a request whose worker died to another once, and refuses with 502 then", async () => {
  const run = new Run({ sizeMin: 2, sizeMax: 2, restartDelayMs: 10 }, [doing("dies"), GOOD]);
  assert.equal(await run.askAndWait(), "answered");
  const doomed = new Run({ sizeMin: 2, restartDelayMs: 10 }, [doing("dies")]);
  assert.equal(await doomed.askAndWait(), 502);
  assert.equal(doomed.pool.stats.retried, 1);
});

test("pool refuses what may not be repeated with 502 when its worker dies", async () => {
  const run = new Run({ sizeMin: 2 }, [GOOD, doing("dies")]);
  assert.equal(await run.askAndWait(false), 502);
  assert.equal(await run.askAndWait(false), "answered");
});

test("pool kills a worker that says anything but one answer, and only that one", async () => {
  const faults: Deed[] = ["answers nonsense", "answers with less", "writes no packet"];
  for (const deed of faults) {
    const run = new Run({ sizeMin: 2 }, [GOOD, doing(deed)]);
    assert.equal(await run.askAndWait(), "answered", deed);
    assert.equal(run.command.all[1]?.hasEnded, true, deed);
    assert.equal(run.command.all[0]?.hasEnded, false, deed);
  }
});

test("pool gives an answer too many to nobody", async () => {
  for (const deed of ["answers twice", "answers twice at once"] as const) {
    const run = new Run({ restartDelayMs: 10 }, [doing(deed), GOOD]);
    const numbers = [run.ask(), run.ask(), run.ask()];
    await run.clock.advance(200);
    assert.deepEqual(numbers.map((number) => run.outcomes.get(number)), [
      "answered",
      "answered",
      "answered",
    ]);
    assert.equal(run.command.all[0]?.hasEnded, true);
    assert.match(run.warnings[0] ?? "", /without being asked/);
  }
});

test("pool kills a worker that takes too long, and refuses its request with 504, once", async () => {
  const run = new Run({ requestTimeoutMs: 500, restartDelayMs: 10 }, [doing("hangs"), GOOD]);
  const number = run.ask();
  await run.clock.advance(499);
  assert.equal(run.outcomes.get(number), undefined);
  await run.clock.advance(2);
  assert.equal(run.outcomes.get(number), 504);
  assert.equal(await run.askAndWait(), "answered");
});

test("pool refuses with 503 when no worker is free in time, and when too many wait", async () => {
  const run = new Run({ rendezvousTimeoutMs: 300, backlogMax: 2 }, [doing("hangs")]);
  const numbers = [run.ask(), run.ask(), run.ask(), run.ask()];
  assert.equal(run.outcomes.get(numbers[3] ?? -1), 503);
  await run.clock.advance(301);
  assert.deepEqual(numbers.map((number) => run.outcomes.get(number)), [undefined, 503, 503, 503]);
});

test("pool drops a request whose client has left before a worker is free", async () => {
  const run = new Run({ backlogMax: 1 });
  let isThere = true;
  run.ask();
  const dropped = run.ask(true, () => !isThere);
  isThere = false;
  const next = run.ask();
  assert.equal(run.outcomes.get(dropped), 503, "it made room for the next one");
  await run.clock.advance(100);
  assert.equal(run.outcomes.get(next), "answered");
  assert.ok(!run.command.all[0]?.taken.includes(dropped));
  assert.equal(run.pool.stats.dropped, 1);
});

test("pool starts one more worker each time a request has waited, up to the maximum", async () => {
  const run = new Run({ sizeMax: 3, spawnTimeoutMs: 50 }, [{ ...GOOD, workMs: 1000 }]);
  for (let i = 0; i < 10; i++) run.ask();
  await run.clock.advance(500);
  assert.deepEqual(run.command.startedAt, [0, 50, 100]);
});

test("pool does not grow for requests that do not wait long", async () => {
  const run = new Run({ sizeMax: 3, spawnTimeoutMs: 50 });
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 5; j++) run.ask();
    await run.clock.advance(30);
  }
  assert.equal(run.command.all.length, 1);
});

test("pool grows while the place of a dead worker is still empty", async () => {
  const run = new Run({ sizeMax: 2, spawnTimeoutMs: 50, restartDelayMs: 10_000 });
  await run.clock.advance(10);
  run.command.all[0]?.die();
  await run.clock.advance(1);
  assert.equal(await run.askAndWait(), "answered");
  assert.equal(run.pool.stats.workers, 1);
});

test("pool waits longer after each death, up to a bound, and no longer once a worker answers", async () => {
  const bad = { ...GOOD, bootMs: 20_000, boots: false };
  const run = new Run({ restartDelayMs: 1000 }, [...Array(8).fill(bad), GOOD]);
  await run.clock.advance(600_000);
  const pauses = run.command.startedAt.map((at, i) =>
    at - (run.command.startedAt[i - 1] ?? 0) - 20e3
  );
  assert.deepEqual(pauses.slice(1), [1e3, 2e3, 4e3, 8e3, 16e3, 30e3, 30e3, 30e3]);
  assert.equal(await run.askAndWait(), "answered");
  run.command.all.at(-1)?.die();
  await run.clock.advance(1001);
  assert.equal(run.command.alive.length, 1);
});

test("pool gives up when the workers of a command that never answered end at once", async () => {
  const run = new Run({}, [{ ...GOOD, boots: false }]);
  const number = run.ask(false);
  await run.clock.advance(100_000);
  assert.equal(run.givenUp.length, 1);
  assert.equal(run.command.all.length, 5);
  assert.equal(run.outcomes.get(number), 502);
  assert.equal(await run.askAndWait(), 503);
});

test("pool lets idle workers go, down to the minimum", async () => {
  const run = new Run({ sizeMin: 1, sizeMax: 4, attritionDelayMs: 1000 });
  run.pool.add(9);
  assert.equal(run.pool.stats.workers, 4);
  for (let i = 0; i < 10; i++) assert.equal(await run.askAndWait(), "answered");
  await run.clock.advance(1100);
  assert.equal(run.pool.stats.workers, 1);
  await run.clock.advance(10_000);
  assert.equal(run.command.alive.length, 1);
});

test("pool removes workers down to the minimum, and lets those finish that are at work", async () => {
  const run = new Run({ sizeMin: 1, sizeMax: 3 });
  run.pool.add(2);
  const numbers = [run.ask(), run.ask(), run.ask()];
  assert.equal(run.pool.remove(5), 2);
  await run.clock.advance(100);
  assert.deepEqual(numbers.map((number) => run.outcomes.get(number)), Array(3).fill("answered"));
  assert.equal(run.command.alive.length, 1);
});

test("pool replaces a worker that does not survive its health check, or leaves it unanswered once it can answer", async () => {
  for (const atCheck of ["dies", "hangs"] as const) {
    const run = new Run(
      { healthCheckIntervalMs: 1000, restartDelayMs: 10 },
      [{ ...GOOD, atCheck }, GOOD],
    );
    const other = new Run(
      { healthCheckIntervalMs: 1000, restartDelayMs: 10, sizeMin: 2 },
      [GOOD, { ...GOOD, atCheck }, GOOD],
    );
    await run.clock.advance(8000);
    assert.equal(run.command.all[0]?.hasEnded, atCheck === "dies");
    await other.clock.advance(9000);
    assert.equal(other.command.all[1]?.hasEnded, true, atCheck);
    assert.equal(other.command.all[0]?.hasEnded, false);
    assert.equal(await other.askAndWait(), "answered");
  }
});

test("pool takes the answers to health checks, and does without", async () => {
  for (const atCheck of ["answers", "is silent"] as const) {
    const run = new Run({ healthCheckIntervalMs: 100 }, [{ ...GOOD, atCheck }]);
    for (let i = 0; i < 20; i++) {
      await run.clock.advance(Math.trunc(1100 / (i + 1)));
      assert.equal(await run.askAndWait(), "answered");
    }
    assert.equal(run.command.all.length, 1, atCheck);
    assert.ok((run.command.all[0]?.taken.length ?? 0) > 21, "there were health checks");
  }
});

test("pool takes no late answer to a health check for that to a request", async () => {
  // One sleeps through its check, the other is still about to start when it is adopted.
  const kinds = [false, true].flatMap((
    hasEmptyAnswers,
  ): [options: PoolOptions, successor: Character, ms: number, hasEmptyAnswers: boolean][] => [
    [{ healthCheckIntervalMs: 1000 }, GOOD, 2200, hasEmptyAnswers],
    [{}, { ...GOOD, bootMs: 5500 }, 5100, hasEmptyAnswers],
  ]);
  for (const [options, successor, ms, hasEmptyAnswers] of kinds) {
    const first: Character = { ...GOOD, atCheck: "answers late" };
    const run = new Run(options, [first, successor], hasEmptyAnswers);
    if (options.healthCheckIntervalMs === undefined) run.pool.restart();
    await run.clock.advance(ms);
    for (let i = 0; i < 20; i++) run.ask(false);
    await run.clock.advance(10_000);
    assert.deepEqual([...run.outcomes.values()], Array(20).fill("answered"));
    assert.equal(run.command.alive.length, 1);
    assert.deepEqual(run.warnings, []);
  }
});

test("pool gives an empty answer of a worker that answers no health checks to its request", async () => {
  const silent: Character = { ...GOOD, atCheck: "is silent" };
  const run = new Run({ healthCheckIntervalMs: 1000 }, [silent], true);
  await run.clock.advance(5000);
  assert.equal(await run.askAndWait(false, 5100), "answered");
  await run.clock.advance(5000);
  assert.equal(await run.askAndWait(false, 10), "answered", "it is known by now");
  assert.equal(run.command.all.length, 1);
  const hasty = new Run({ healthCheckIntervalMs: 1000, requestTimeoutMs: 500 }, [silent], true);
  await hasty.clock.advance(5000);
  assert.equal(await hasty.askAndWait(false, 600), "answered", "before its time is up");
});

test("pool replaces its workers one by one, and no request fails or waits for it", async () => {
  for (const atCheck of ["answers", "is silent"] as const) {
    const run = new Run({ sizeMin: 3, sizeMax: 3 }, [{ ...GOOD, atCheck, bootMs: 200 }]);
    await run.clock.advance(1000);
    let isOver = false;
    run.pool.restart().then(() => isOver = true);
    const numbers: number[] = [];
    while (!isOver) {
      numbers.push(run.ask(false));
      await run.clock.advance(10);
      assert.ok(run.command.alive.length <= 4);
    }
    await run.clock.advance(100);
    for (const number of numbers) assert.equal(run.outcomes.get(number), "answered");
    // A silent successor gets its first request when it has survived, and is up by then.
    for (const took of run.took.values()) assert.ok(took < 20, String(took));
    assert.deepEqual(run.command.alive.map(({ pid }) => pid), [103, 104, 105]);
  }
});

test("pool keeps a worker whose successor fails, and says why", async () => {
  const failing: Character[] = [
    { ...GOOD, boots: false },
    { ...GOOD, atCheck: "dies" },
    { ...GOOD, bootMs: 60_000 },
  ];
  for (const character of failing) {
    const run = new Run({ healthCheckIntervalMs: 100, sizeMin: 2 }, [GOOD, GOOD, character]);
    await run.clock.advance(1000);
    let why = "";
    run.pool.restart().catch((error) => why = error.message);
    await run.clock.advance(5100);
    assert.match(why, /^worker 102, the successor of worker 100, has failed: /);
    assert.deepEqual(run.command.alive.map(({ pid }) => pid), [100, 101]);
    assert.equal(await run.askAndWait(), "answered");
  }
});

test("pool without a worker says of a restart whether new ones are well", async () => {
  for (const boots of [false, true]) {
    const run = new Run({ restartDelayMs: 60_000 }, [GOOD, { ...GOOD, boots }]);
    assert.equal(await run.askAndWait(), "answered");
    run.command.all[0]?.die();
    await run.clock.advance(100);
    assert.equal(run.pool.stats.workers, 0);
    let end = "";
    run.pool.restart().then(() => end = "well", () => end = "failed");
    await run.clock.advance(6000);
    assert.equal(end, boots ? "well" : "failed");
    assert.equal(run.command.alive.length, boots ? 1 : 0);
  }
});

test("pool closes when its workers have answered what they were asked", async () => {
  const run = new Run({ sizeMin: 2 });
  const numbers = [run.ask(), run.ask(), run.ask()];
  let isClosed = false;
  run.pool.close().then(() => isClosed = true);
  assert.equal(run.outcomes.get(numbers[2] ?? -1), 503);
  await run.clock.advance(100);
  assert.ok(isClosed);
  assert.deepEqual(numbers.map((number) => run.outcomes.get(number)), [
    "answered",
    "answered",
    503,
  ]);
  assert.equal(await run.askAndWait(), 503);
  assert.ok(run.command.all.every(({ hasEnded }) => hasEnded));
});

const deeds = fc.constantFrom<Deed>(
  "answers",
  "answers in pieces",
  "answers twice at once",
  "answers twice",
  "answers nonsense",
  "answers with less",
  "writes no packet",
  "dies",
  "dies half-way",
  "answers and dies",
  "hangs",
);

const characters = fc.record({
  bootMs: fc.integer({ min: 0, max: 300 }),
  boots: fc.constant(true),
  atCheck: fc.constantFrom("answers", "is silent", "hangs", "dies"),
  workMs: fc.integer({ min: 0, max: 40 }),
  deed: fc.func(fc.oneof({ weight: 6, arbitrary: fc.constant<Deed>("answers") }, deeds)),
}) satisfies fc.Arbitrary<Character>;

/** What may happen next. */
const steps = fc.oneof(
  { weight: 6, arbitrary: fc.record({ ask: fc.integer({ min: 1, max: 6 }), get: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 400 }) }) },
  { weight: 1, arbitrary: fc.record({ kill: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.constantFrom("restart", "add", "remove") },
);

const options = fc.record({
  sizeMin: fc.integer({ min: 1, max: 3 }),
  more: fc.integer({ min: 0, max: 3 }),
  restartDelayMs: fc.constantFrom(1, 100),
  requestTimeoutMs: fc.constant(500),
  rendezvousTimeoutMs: fc.constantFrom(200, 2000),
  attritionDelayMs: fc.constantFrom(100, 1000),
  healthCheckIntervalMs: fc.constantFrom(30, 1000),
  backlogMax: fc.constantFrom(3, 100),
});

test("pool answers every request once, with its own answer, in bounded time, whatever workers do", async () => {
  const plan = fc.tuple(options, fc.array(characters, { minLength: 1 }), fc.array(steps));
  await holds(100, plan, async ([{ more, ...chosen }, kinds, plan]) => {
    const sizeMax = chosen.sizeMin + more;
    const run = new Run({ ...chosen, sizeMax }, kinds);
    const within = () => {
      assert.ok(run.pool.stats.workers <= sizeMax);
      const staying = run.pool.workers.filter(({ state }) => state !== "leaving");
      assert.ok(staying.length <= sizeMax + 1, "and one successor");
    };
    for (const step of plan) {
      if (step === "restart") run.pool.restart().catch(() => {});
      else if (step === "add") run.pool.add(1);
      else if (step === "remove") run.pool.remove(1);
      else if ("kill" in step) run.command.alive[step.kill]?.die();
      else if ("ask" in step) { for (let i = 0; i < step.ask; i++) run.ask(step.get); }
      else await run.clock.advance(step.wait);
      within();
    }
    const { rendezvousTimeoutMs, requestTimeoutMs } = run.pool.options;
    const bound = 2 * (rendezvousTimeoutMs + requestTimeoutMs);
    await run.clock.advance(bound + 1);
    const asked = plan.reduce(
      (sum, step) => sum + (typeof step === "object" && "ask" in step ? step.ask : 0),
      0,
    );
    assert.equal(run.outcomes.size, asked, "all are answered");
    const mixedUp = [...run.outcomes.values()].filter((outcome) =>
      /^answered ./.test(`${outcome}`)
    );
    assert.deepEqual(mixedUp, []);
    for (const took of run.took.values()) assert.ok(took <= bound + 2, `${took} ms`);
    const { answered, refused, dropped } = run.pool.stats;
    assert.deepEqual([answered + refused, dropped], [asked, 0]);
    // With workers that do as they should, it is as it should be after a while.
    run.command.characters = [GOOD];
    for (const worker of run.command.alive) worker.die();
    await run.clock.advance(1);
    let isOver = false;
    run.pool.restart().catch(() => {}).finally(() => isOver = true);
    await run.clock.runUntil(() => isOver);
    await run.clock.advance(2 * chosen.attritionDelayMs);
    if (run.givenUp.length > 0) return;
    within();
    assert.equal(run.command.alive.length, chosen.sizeMin);
    assert.equal(await run.askAndWait(), "answered");
  });
});

test("pool answers what may be repeated whatever one worker dies of, and whenever", async () => {
  const plan = fc.tuple(
    fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 60 }),
    fc.nat(59),
    fc.nat(3),
    fc.constantFrom<Deed>("dies", "dies half-way", "answers and dies", "answers nonsense"),
    fc.integer({ min: 1, max: 3 }),
  );
  await holds(100, plan, async ([pauses, at, which, deed, sizeMin]) => {
    const bad = { ...GOOD, deed: (number: number) => number === at ? deed : "answers" as const };
    const kinds = Array.from({ length: sizeMin }, (_, i) => i === which ? bad : GOOD);
    const run = new Run({ sizeMin, restartDelayMs: 50 }, [...kinds, GOOD]);
    for (const [i, pause] of pauses.entries()) {
      run.ask();
      if (which === 3 && i === at) run.command.alive[0]?.die();
      await run.clock.advance(pause);
    }
    await run.clock.advance(1000);
    assert.deepEqual(new Set(run.outcomes.values()), new Set(["answered"]));
    assert.equal(run.outcomes.size, pauses.length);
  });
});
