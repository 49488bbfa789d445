/**
 * Random runs of an engine that is written to, followed, slowed, stopped, killed and started
 * again, as planned: whoever follows must see exactly what is in the log, each commit once and
 * in order, and nothing that a crash can undo.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type App, defineApp } from "../../runtime/app.ts";
import type { Changes } from "../../runtime/change_consumer.ts";
import { type Engine, openEngine } from "../../runtime/engine.ts";
import { AlcedoError } from "../../runtime/errors.ts";
import { CONSUMER_STALL_MS } from "../../runtime/limits.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { parsePosition } from "../../runtime/log/position.ts";
import { SimulatedClock } from "./simulated_clock.ts";

/** Something that happens in a run. */
export type Step =
  | { readonly kind: "write"; readonly commits: number; readonly padBytes: number }
  /** Begins to follow at some part of the log; the others are about one who follows. */
  | { readonly kind: "follow"; readonly at: number }
  | { readonly kind: "take"; readonly who: number; readonly count: number }
  | { readonly kind: "leave"; readonly who: number; readonly how: "return" | "abort" }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "fault"; readonly fault: FollowFault }
  | { readonly kind: "restart"; readonly how: FollowEnd };

export type FollowFault = "slow" | "fast" | "no room" | "room" | "failing";
export type FollowEnd = "close" | "kill" | "nothing" | "everything" | "prefix" | "pages";

/** What is followed. */
export interface FollowedStorage {
  open(): Promise<EventLog>;
  set(fault: FollowFault): void;
  /** Ends a life: what is opened next is what is left. */
  end(how: FollowEnd): void;
  /** Whether a position may be of an unknown history in the next life. */
  readonly mayForget: boolean;
}

export interface FollowOptions {
  readonly faults: readonly FollowFault[];
  readonly ends: readonly FollowEnd[];
}

/** Random steps. */
export function followSteps(options: FollowOptions): fc.Arbitrary<Step[]> {
  const who = fc.nat({ max: 7 });
  const steps: fc.WeightedArbitrary<Step>[] = [
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("write"),
        commits: fc.integer({ min: 1, max: 20 }),
        padBytes: fc.constantFrom(0, 0, 20, 500, 7000),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("follow"), at: fc.nat({ max: 100 }) }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("take"),
        who,
        count: fc.constantFrom(1, 2, 10, 1000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("leave"),
        who,
        how: fc.constantFrom("return", "abort"),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("wait"),
        ms: fc.constantFrom(0, 1, 10, 50, CONSUMER_STALL_MS + 1),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("fault"),
        fault: fc.constantFrom(...options.faults),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("restart"),
        how: fc.constantFrom(...options.ends),
      }),
    },
  ];
  return fc.array(fc.oneof(...steps), { minLength: 10, maxLength: 60 });
}

interface Entry {
  readonly id: number;
  readonly pad: string;
}

function app(): App<number, Entry> {
  return defineApp<number, Entry>({
    initModel: () => 0,
    updateModel: (count, events) => count + events.length,
    handleRequest: () => new Response(),
  });
}

/** One who follows, over all lives. */
class Follower {
  /** The position of the last commit that it got. */
  position: string | undefined;
  next: number;
  isBusy = false;
  /** What it waits for when it is busy, and nothing has come. */
  #changes: Changes<Entry> | undefined;
  #abort = new AbortController();
  readonly #run: Run;

  constructor(run: Run, position: string | undefined, next: number) {
    this.#run = run;
    this.position = position;
    this.next = next;
  }

  begin(engine: Engine<number, Entry>): void {
    this.#abort = new AbortController();
    this.#changes = engine.changes(this.position, { signal: this.#abort.signal });
    this.isBusy = false;
  }

  /** Takes commits, one after the other, until it has so many, or follows anew. */
  async take(count: number): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    const changes = this.#changes;
    const { life } = this.#run;
    const isOver = () => changes !== this.#changes || life !== this.#run.life;
    try {
      for (let i = 0; i < count; i++) {
        const step = await changes?.next();
        // What came too late comes again.
        if (isOver() || step === undefined || step.done) return;
        const { sequence, position, events } = step.value;
        assert.equal(sequence, this.next, "each commit comes once, in order");
        this.#run.saw(sequence, events.map(({ id }) => id));
        this.position = position;
        this.next++;
      }
    } catch (error) {
      if (isOver()) return;
      if (!(error instanceof AlcedoError && error.code === "consumer_slow")) throw error;
      const { history } = this.#run.log;
      const position = this.position ?? `${history}.0`;
      assert.ok(error.message.includes(`"${position}"`), "it is told from where to go on");
      this.begin(this.#run.engine);
    } finally {
      if (!isOver()) this.isBusy = false;
    }
  }

  /** Ends, and begins again where it was. */
  async leave(how: "return" | "abort"): Promise<void> {
    const changes = this.#changes;
    const returned = how === "return" ? changes?.return() : this.#abort.abort();
    this.begin(this.#run.engine);
    if (how === "return") assert.equal((await returned)?.done, true);
    assert.equal((await changes?.next())?.done, true, "there is no more");
  }
}

/** One run: several lives on one storage. */
class Run {
  /** Counts the lives: what is left of an old one means nothing. */
  life = 0;
  readonly #clock: SimulatedClock;
  readonly #storage: FollowedStorage;
  #engine: Engine<number, Entry> | undefined;
  #log: EventLog | undefined;
  readonly #followers: Follower[] = [];
  #history: string | undefined;
  /** What was seen of this history under each sequence. */
  #seen: number[][] = [];
  #failure: { error: unknown } | undefined;
  #ids = 0;
  taken = 0;

  constructor(clock: SimulatedClock, storage: FollowedStorage) {
    this.#clock = clock;
    this.#storage = storage;
  }

  get engine(): Engine<number, Entry> {
    assert.ok(this.#engine !== undefined);
    return this.#engine;
  }

  get log(): EventLog {
    assert.ok(this.#log !== undefined);
    return this.#log;
  }

  saw(sequence: number, ids: number[]): void {
    assert.ok(sequence <= this.log.durable, "nothing is seen that is not durable");
    const before = this.#seen[sequence];
    if (before !== undefined) assert.deepEqual(ids, before, `commit ${sequence} has changed`);
    this.#seen[sequence] = ids;
    this.taken++;
  }

  async open(): Promise<void> {
    const log = await this.#storage.open();
    const { life } = this;
    this.#log = log;
    this.#engine = await openEngine(app(), {
      log,
      clock: this.#clock,
      report: (error) => {
        // A log may fail as planned.
        if (life === this.life && !(error instanceof AlcedoError)) this.#failure ??= { error };
      },
      warn: () => {},
      writeQueueMax: 10_000,
    });
    if (log.history !== this.#history) this.#seen = [];
    this.#history = log.history;
    await this.#checkSeen();
  }

  /** All that anybody has seen is in the log. */
  async #checkSeen(): Promise<void> {
    const stored: number[][] = [];
    for (let after = 0; after < this.log.durable;) {
      for (const { sequence, events } of await this.log.readCommits(after, 1e6)) {
        stored[sequence] = events.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)).id);
        after = sequence;
      }
    }
    for (const [sequence, ids] of this.#seen.entries()) {
      if (ids !== undefined) assert.deepEqual(stored[sequence], ids, `${sequence} is in the log`);
    }
  }

  async step(step: Step): Promise<void> {
    const follower = "who" in step
      ? this.#followers[step.who % Math.max(1, this.#followers.length)]
      : undefined;
    if (step.kind === "write") this.#write(step.commits, step.padBytes);
    else if (step.kind === "follow") this.#follow(step.at);
    else if (step.kind === "take") this.#watch(follower?.take(step.count));
    else if (step.kind === "leave") this.#watch(follower?.leave(step.how));
    else if (step.kind === "wait") await this.#clock.advance(step.ms);
    else if (step.kind === "fault") this.#storage.set(step.fault);
    else await this.#restart(step.how);
    // A microtask, to interleave with what goes on; some steps let it settle.
    await undefined;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #watch(promise: Promise<void> | undefined): void {
    promise?.catch((error) => this.#failure ??= { error });
  }

  #write(commits: number, padBytes: number): void {
    for (let i = 0; i < commits; i++) {
      const size = 1 + this.#ids % 3;
      this.engine.write((_model, { saveEvent }) => {
        for (let i = 0; i < size; i++) saveEvent({ id: this.#ids++, pad: "x".repeat(padBytes) });
      }).catch(() => {}); // The log says what has become of it.
    }
  }

  #follow(percent: number): void {
    const after = Math.floor(this.log.durable * percent / 100);
    const position = percent === 0 ? undefined : `${this.log.history}.${after}`;
    const follower = new Follower(this, position, after + 1);
    follower.begin(this.engine);
    this.#followers.push(follower);
  }

  async #restart(how: FollowEnd): Promise<void> {
    const { history, durable } = this.log;
    if (how === "close") {
      let isClosed = false;
      this.engine.close().then(() => isClosed = true, () => isClosed = true);
      assert.ok(await this.#clock.runUntil(() => isClosed), "the engine closes");
    }
    this.life++;
    this.#storage.end(how);
    await this.open();
    const mayForget = durable === 0 || this.#storage.mayForget;
    assert.ok(mayForget || this.log.history === history, "the history goes on");
    for (const follower of this.#followers) this.#resume(follower);
  }

  /** Goes on from its position, or from the start if that means nothing any more. */
  #resume(follower: Follower): void {
    try {
      follower.begin(this.engine);
    } catch (error) {
      assert.ok(error instanceof AlcedoError && error.code === "unknown_position");
      const { history } = parsePosition(follower.position ?? "") ?? {};
      assert.notEqual(history, this.log.history, "what was durable once is beyond the end now");
      follower.position = undefined;
      follower.next = 1;
      follower.begin(this.engine);
    }
  }

  /** In the end all who follow get all that there is, and then wait. */
  async end(): Promise<void> {
    for (const fault of ["fast", "room"] as const) this.#storage.set(fault);
    const { durable } = this.log;
    await this.#clock.advance(100);
    for (const follower of this.#followers) {
      // It may have been ended as a slow one before.
      for (let tries = 0; tries < 2 && follower.next <= this.log.durable; tries++) {
        this.#watch(follower.take(Infinity));
        await this.#clock.settle();
        for (let i = 0; i < 1000 && follower.isBusy && follower.next <= this.log.durable; i++) {
          await this.#clock.settle();
        }
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      assert.ok(follower.next > durable, `${follower.next} has not come, of ${durable}`);
    }
    await this.#checkSeen();
    await this.#restart("close");
  }
}

/** Runs all steps; returns how many commits were taken by those who follow. */
export async function runFollowing(
  steps: readonly Step[],
  storage: (clock: SimulatedClock) => FollowedStorage,
): Promise<number> {
  const clock = new SimulatedClock();
  const run = new Run(clock, storage(clock));
  await run.open();
  for (const step of steps) await run.step(step);
  await run.end();
  return run.taken;
}
