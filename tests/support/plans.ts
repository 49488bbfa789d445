/**
 * Random plans for `lives.ts`: requests that wait, save, throw and leave, faults of the storage,
 * and the ways in which a life can end.
 */

import fc from "fast-check";
import type { Ending, Plan } from "./ledger_app.ts";
import { type Life, type Scenario, TIMEOUT_MS } from "./lives.ts";
import type { Fault, FaultKind, LifeEnd } from "./storages.ts";

/** Which faults and ends a scenario may have. */
export interface PlanOptions {
  readonly faults?: readonly FaultKind[];
  readonly ends?: readonly LifeEnd["kind"][];
  readonly livesMax?: number;
}

const FAULTS: readonly FaultKind[] = [
  "no room",
  "room",
  "failing sync",
  "failing write",
  "failing cut",
  "slow",
  "fast",
];
const ENDS: readonly LifeEnd["kind"][] = ["close", "kill", "nothing", "everything", "prefix"];

const WRITE_ENDINGS: readonly Ending[] = [
  "answer",
  "answer",
  "answer",
  "answer",
  "answer",
  "answer",
  "respond",
  "respond throws",
  "stream",
  "throw",
  "conflict",
  "nonsense",
];
const READ_ENDINGS: readonly Ending[] = ["answer", "answer", "stream", "throw", "conflict"];

/** Nothing to wait for, a turn of the loop, some time, more than there is. */
const wait = fc.oneof(
  { weight: 16, arbitrary: fc.constant(undefined) },
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 20 }) },
  { weight: 1, arbitrary: fc.constant(2 * TIMEOUT_MS) },
);

function plan(writes: boolean): fc.Arbitrary<Omit<Plan, "key">> {
  return fc.record({
    via: fc.constantFrom("fetch", "fetch", "engine"),
    writes: fc.constant(writes),
    body: fc.boolean(),
    at: fc.integer({ min: 0, max: 60 }),
    waits: fc.tuple(wait, wait, wait),
    events: fc.integer({ min: 0, max: 3 }),
    padBytes: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 1500 }) },
    ),
    poison: fc.integer({ min: 0, max: 14 }).map((value) => value === 14),
    ending: fc.constantFrom(...(writes ? WRITE_ENDINGS : READ_ENDINGS)),
    leavesAfter: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined, freq: 8 }),
  });
}

function life(options: PlanOptions): fc.Arbitrary<Life> {
  const fault: fc.Arbitrary<Fault> = fc.record({
    at: fc.integer({ min: 0, max: 60 }),
    kind: fc.constantFrom(...(options.faults ?? FAULTS)),
    amount: fc.integer({ min: 0, max: 20 }),
  });
  // From the start, as a rule: only then is there much that is not durable yet.
  const slow: fc.Arbitrary<Fault> = fc.record({
    at: fc.constant(0),
    kind: fc.constant("slow"),
    amount: fc.integer({ min: 5, max: 40 }),
  });
  return fc.record({
    plans: fc.array(fc.oneof({ weight: 2, arbitrary: plan(true) }, plan(false)), {
      maxLength: 12,
    }).map((plans) => plans.map((plan, index) => ({ ...plan, key: String(index) }))),
    faults: fc.tuple(fc.array(slow, { maxLength: 1 }), fc.array(fault, { maxLength: 4 })).map(
      (faults) => faults.flat(),
    ),
    end: fc.record({
      kind: fc.constantFrom(...(options.ends ?? ENDS)),
      atStep: fc.integer({ min: 1, max: 60 }),
    }),
    hasPages: fc.boolean(),
    queueMax: fc.constantFrom(1, 3, 100),
  });
}

/** Random scenarios. */
export function scenarios(options: PlanOptions = {}): fc.Arbitrary<Scenario> {
  return fc.record({
    seed: fc.integer(),
    lives: fc.array(life(options), { minLength: 1, maxLength: options.livesMax ?? 3 }),
  });
}
