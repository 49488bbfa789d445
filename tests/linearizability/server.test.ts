/**
 * The histories that real servers make are linearizable, though they are killed under load again
 * and again; and a history with one answer altered is not.
 */

import assert from "node:assert/strict";
import { env } from "node:process";
import { test } from "node:test";
import { Random } from "../support/random.ts";
import { type CampaignOptions, record } from "./campaign.ts";
import { check } from "./checker.ts";
import type { Operation } from "./history.ts";
import { type Input, type Output, register } from "./register.ts";

type Op = Operation<Input, Output>;

/** Altered histories that are checked: one by one, on the key that is altered. */
const ALTERED = 200;

const SEED = Number(env.ALCEDO_SEED ?? Math.floor(Math.random() * 2 ** 31));

interface Setting extends Omit<CampaignOptions, "kills" | "seed"> {
  readonly what: string;
  /** As a rule, and with `ALCEDO_LONG`. */
  readonly kills: readonly [number, number];
}

const SETTINGS: readonly Setting[] = [
  { what: "pure", style: "pure", kills: [3, 100] },
  { what: "in place", style: "in place", kills: [3, 100] },
  {
    what: "in place, with a plain log",
    style: "in place",
    kills: [1, 50],
    args: ["--events-format=plain"],
  },
  {
    // What is written outlives the process, synced or not.
    what: "pure, when it syncs every second",
    style: "pure",
    kills: [1, 50],
    args: ["--durability=everysec"],
  },
  {
    what: "pure, on a disk that is full at times and fails",
    style: "pure",
    kills: [2, 50],
    log: "full and failing",
  },
  {
    what: "in place, on a disk that is full at times and fails",
    style: "in place",
    kills: [2, 50],
    log: "full and failing",
  },
];

for (const [i, { what, kills: [few, many], ...setting }] of SETTINGS.entries()) {
  const seed = SEED + i;
  const kills = env.ALCEDO_LONG ? many : few;
  test(`server is linearizable when it is killed under load, ${what}`, async (t) => {
    const started = performance.now();
    const { history, counts } = await record({ ...setting, kills, seed });
    const recorded = performance.now();
    const verdict = check(history, register);
    const figures = {
      seed,
      operations: history.length,
      ...counts,
      steps: verdict.steps,
      recordMs: Math.round(recorded - started),
      checkMs: Math.round(performance.now() - recorded),
    };
    t.diagnostic(JSON.stringify(figures));
    assert.equal(verdict.kind, "linearizable", `seed ${seed}: ${"why" in verdict && verdict.why}`);
    assert.ok(counts.answered + counts.failed > 5 * kills, "there was load");
    // By chance all that is in flight at one kill may be reads.
    assert.ok(counts.unknown >= Math.floor(kills / 4), "it was killed under load");
  });
}

test("checker rejects a recorded history when one answer is altered", async () => {
  const { history } = await record({ style: "pure", kills: 1, callsMin: 800, seed: SEED });
  assert.equal(check(history, register).kind, "linearizable");
  const random = new Random(SEED);
  const byKey = [...Map.groupBy(history, ({ key }) => key).values()];
  const rejected = { "stale read": 0, "lost write": 0 };
  for (let i = 0; i < ALTERED; i++) {
    const operations = byKey[random.upTo(byKey.length - 1)] ?? [];
    const how = random.chance(0.5) ? "stale read" : "lost write";
    const altered = how === "stale read"
      ? withStaleRead(operations, random)
      : withoutWrite(operations, random);
    if (altered === undefined) continue;
    assert.equal(check(altered, register).kind, "not linearizable", `seed ${SEED}: ${how} ${i}`);
    rejected[how]++;
  }
  assert.ok(Math.min(...Object.values(rejected)) > ALTERED / 10, JSON.stringify(rejected));
});

/** One read sees what was there before something that had ended when it was called. */
function withStaleRead(operations: readonly Op[], random: Random): Op[] | undefined {
  const reads = operations.filter(({ input, output }) => input.kind === "get" && output?.done);
  const read = reads[random.upTo(reads.length - 1)];
  if (read === undefined) return undefined;
  const before = operations.filter(({ endedAt }) => endedAt < read.calledAt);
  const newest = Math.max(...before.map(versionOf));
  const stale = before.filter((op) => op.output?.seen !== undefined && versionOf(op) < newest);
  const seen = stale[random.upTo(stale.length - 1)]?.output?.seen;
  if (seen === undefined) return undefined;
  return operations.map((op) => op === read ? { ...op, output: { done: true, seen } } : op);
}

/** One write was answered for, and others saw its value; but it is said to have left nothing. */
function withoutWrite(operations: readonly Op[], random: Random): Op[] | undefined {
  const writes = operations.filter(({ input, output }) => "value" in input && output?.done);
  const write = writes[random.upTo(writes.length - 1)];
  if (write === undefined) return undefined;
  const others = operations.filter((op) => op !== write);
  const value = write.output?.seen?.value;
  return others.some(({ output }) => output?.seen?.value === value) ? others : undefined;
}

function versionOf({ output }: Op): number {
  return output?.seen?.version ?? 0;
}
