/**
 * Many who follow the log from old positions at once: together they read it about once, and who
 * has little to catch up with does not wait for who has much.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, defineApp, type Engine, memoryLog, openEngine } from "../../mod.ts";
import { CHANGE_HELD_BYTES } from "../../runtime/limits.ts";
import { type CountingLog, countingLog } from "../support/counting_log.ts";
import { Random } from "../support/random.ts";

/** Much more than is kept in memory, in few commits. */
const COMMITS = 160;
const COMMIT_BYTES = 62_000;

const ALIKE: readonly number[] = Array<number>(COMMITS).fill(COMMIT_BYTES);

interface Filled extends CountingLog {
  readonly engine: Engine<number, Uint8Array>;
}

/** A log in memory with commits of such sizes. */
async function filled(sizes = ALIKE): Promise<Filled> {
  const counting = countingLog(memoryLog());
  const app = defineApp<number, Uint8Array>({
    initModel: () => 0,
    updateModel: (count, events) => count + events.length,
    handleRequest: () => new Response(),
    codec: bytes,
  });
  const engine = await openEngine(app, { log: counting.log });
  const writes = sizes.map((size) =>
    engine.write((_model, { saveEvent }) => {
      saveEvent(new Uint8Array(size));
    })
  );
  await Promise.all(writes);
  return { ...counting, engine };
}

/** Follows from a commit on to the last; says how far it is. */
async function follow(
  { engine, log }: Filled,
  after: number,
  onChange: (sequence: number) => void = () => {},
): Promise<number> {
  let taken = 0;
  if (after === COMMITS) return taken;
  for await (const { sequence } of engine.changes(`${log.history}.${after}`)) {
    assert.equal(sequence, after + ++taken);
    onChange(sequence);
    if (sequence === COMMITS) break;
  }
  return taken;
}

test("ten thousand who follow from old positions cost about one pass over the log", async () => {
  const log = await filled();
  const random = new Random(1);
  const starts = Array.from({ length: 10_000 }, () => random.upTo(COMMITS));
  const taken = await Promise.all(starts.map((after) => follow(log, after)));
  assert.deepEqual(taken, starts.map((after) => COMMITS - after));
  const passes = log.counts.commits / COMMITS;
  assert.ok(passes < 1.3, `${passes} passes, in ${log.counts.calls} reads`);
  await log.engine.close();
});

test("who has little to catch up with does not wait for those who have much", async () => {
  const log = await filled();
  let furthest = 0;
  const others = Array.from({ length: 100 }, () =>
    follow(log, 0, (sequence) => {
      furthest = Math.max(furthest, sequence);
    }));
  await follow(log, COMMITS - 2);
  assert.ok(furthest < COMMITS / 10, `the others are at ${furthest} of ${COMMITS}`);
  await Promise.all(others);
  assert.ok(log.counts.commits < 1.3 * COMMITS, `${log.counts.commits} commits were read`);
  await log.engine.close();
});

test("a hundred who take their time share what they read, too", async () => {
  const log = await filled();
  const random = new Random(2);
  let given = 0;
  const followers = Array.from({ length: 100 }, async () => {
    const after = random.upTo(COMMITS / 2);
    for await (const { sequence } of log.engine.changes(`${log.log.history}.${after}`)) {
      given++;
      // As if each commit had to be sent somewhere.
      for (let turns = random.upTo(3); turns > 0; turns--) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (sequence === COMMITS) break;
    }
  });
  await Promise.all(followers);
  assert.ok(log.counts.commits < given / 4, `${log.counts.commits} read for ${given}`);
  await log.engine.close();
});

test("those who take their time hold on to a bounded part of the log", async () => {
  // Each block begins with a small commit, upon which a large one follows.
  const pairs = Math.ceil(1.5 * CHANGE_HELD_BYTES / 1e6);
  const log = await filled(Array.from({ length: 2 * pairs }, (_, i) => i % 2 === 0 ? 1 : 1e6));
  const followers = Array.from(
    { length: pairs },
    (_, i) => log.engine.changes(`${log.log.history}.${2 * i}`),
  );
  const take = () => Promise.all(followers.map((follower) => follower.next()));
  assert.deepEqual((await take()).map(({ value }) => value?.sequence), odd(pairs, 1));
  const { calls } = log.counts;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual((await take()).map(({ value }) => value?.sequence), odd(pairs, 2));
  // Some have kept theirs, the others got it anew.
  const again = log.counts.calls - calls;
  assert.ok(again > pairs / 5 && again < pairs / 2, `${again} of ${pairs} blocks were read again`);
  await log.engine.close();
});

function odd(count: number, from: number): number[] {
  return Array.from({ length: count }, (_, i) => from + 2 * i);
}
