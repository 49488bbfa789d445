/**
 * The linearizability checker on histories whose verdict is known: small ones by hand, each with
 * one thing wrong, and random ones, which a search by the definition judges too.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { holds } from "../support/property.ts";
import type { Register } from "../support/register_app.ts";
import { isLinearizable } from "./brute_force.ts";
import { check } from "./checker.ts";
import type { Operation } from "./history.ts";
import { ABSENT, type Input, type Output, register } from "./register.ts";
import { simulatedHistories, staleReads } from "./simulated_register.ts";

type Op = Operation<Input, Output>;

const put = (value: string): Input => ({ kind: "put", value });
const get: Input = { kind: "get" };
const increment: Input = { kind: "increment", by: 1 };
const compareAndSet = (expected: string | null, value: string): Input => ({
  kind: "compare and set",
  expected,
  value,
});

const DONE: Output = { done: true };
const NOT_DONE: Output = { done: false };
const saw = (seen: Partial<Register>): Output => ({ done: true, seen });

/** An operation from `calledAt` to `endedAt`; without an output, its outcome is unknown. */
function op(calledAt: number, endedAt: number, input: Input, output?: Output): Op {
  return { client: calledAt, key: "k", input, output, calledAt, endedAt };
}

interface Example {
  readonly what: string;
  readonly history: readonly Op[];
}

const ACCEPTED: readonly Example[] = [
  { what: "nothing", history: [] },
  {
    what: "a read that sees either value while a write runs",
    history: [
      op(0, 1, put("a"), DONE),
      op(2, 9, put("b"), DONE),
      op(3, 4, get, saw({ value: "a" })),
      op(5, 6, get, saw({ value: "b" })),
    ],
  },
  {
    what: "writes that overlap, in the order that reads see",
    history: [
      op(0, 5, put("a"), DONE),
      op(1, 4, put("b"), DONE),
      op(6, 7, get, saw({ value: "a" })),
    ],
  },
  {
    what: "an unknown write that never happened",
    history: [op(0, 2, put("a")), op(3, 4, get, saw(ABSENT))],
  },
  {
    what: "an unknown write that has happened",
    history: [op(0, 2, put("a")), op(3, 4, get, saw({ value: "a", version: 1 }))],
  },
  {
    what: "an unknown write that happens late, if nothing says that it cannot",
    history: [
      op(0, Infinity, put("a")),
      op(1, 2, get, saw(ABSENT)),
      op(3, 4, get, saw({ value: "a" })),
    ],
  },
  {
    what: "a compare-and-set that fails because of an unknown write",
    history: [op(0, 3, put("a")), op(1, 2, compareAndSet(null, "b"), NOT_DONE)],
  },
];

const REJECTED: readonly Example[] = [
  {
    what: "a stale read",
    history: [
      op(0, 1, put("a"), DONE),
      op(2, 3, put("b"), DONE),
      op(4, 5, get, saw({ value: "a" })),
    ],
  },
  {
    what: "a read that goes back while a write runs",
    history: [
      op(0, 1, put("a"), DONE),
      op(2, 9, put("b"), DONE),
      op(3, 4, get, saw({ value: "b" })),
      op(5, 6, get, saw({ value: "a" })),
    ],
  },
  {
    what: "a lost write",
    history: [op(0, 1, put("a"), DONE), op(2, 3, get, saw(ABSENT))],
  },
  {
    what: "a lost update: two increments of the same number",
    history: [
      op(0, 2, increment, saw({ count: 1 })),
      op(1, 3, increment, saw({ count: 1 })),
    ],
  },
  {
    what: "an increment applied twice",
    history: [op(0, 1, increment, saw({ count: 1 })), op(2, 3, get, saw({ count: 2 }))],
  },
  {
    what: "an unknown increment applied twice",
    history: [op(0, 1, increment), op(2, 3, get, saw({ count: 2 }))],
  },
  {
    what: "a value that comes back after an unknown write was read as absent",
    history: [
      op(0, 2, put("a")), // The server's end is its last moment.
      op(3, 4, get, saw(ABSENT)),
      op(5, 6, get, saw({ value: "a" })),
    ],
  },
  {
    what: "a value that is gone again after an unknown write was read",
    history: [
      op(0, Infinity, put("a")),
      op(1, 2, get, saw({ value: "a" })),
      op(3, 4, get, saw(ABSENT)),
    ],
  },
  {
    what: "a value that nobody wrote, or that was refused",
    history: [op(0, 1, put("a"), DONE), op(2, 3, get, saw({ value: "b" }))],
  },
  {
    what: "a value that is read before it is written",
    history: [op(0, 1, get, saw({ value: "a" })), op(2, 3, put("a"), DONE)],
  },
  {
    what: "two compare-and-sets that both found the same value",
    history: [
      op(0, 1, put("a"), DONE),
      op(2, 4, compareAndSet("a", "b"), DONE),
      op(3, 5, compareAndSet("a", "c"), DONE),
    ],
  },
  {
    what: "a compare-and-set that did not find what was there",
    history: [op(0, 1, put("a"), DONE), op(2, 3, compareAndSet("a", "b"), NOT_DONE)],
  },
  {
    what: "a compare-and-set that failed and has left its value",
    history: [
      op(0, 1, put("a"), DONE),
      op(2, 3, compareAndSet(null, "b"), NOT_DONE),
      op(4, 5, get, saw({ value: "b" })),
    ],
  },
];

for (const { what, history } of ACCEPTED) {
  test(`checker accepts ${what}`, () => {
    assert.deepEqual(check(history, register).kind, "linearizable");
    assert.ok(isLinearizable(history, register));
  });
}

for (const { what, history } of REJECTED) {
  test(`checker rejects ${what}`, () => {
    assert.equal(check(history, register).kind, "not linearizable");
    assert.ok(!isLinearizable(history, register));
  });
}

test("checker names the key, the state, and the operations that cannot follow", () => {
  const history = [
    { ...op(0, 1, put("a"), DONE), key: "good" },
    { ...op(2, 3, put("b"), DONE), key: "bad" },
    { ...op(4, 5, get, saw({ value: "a" })), key: "bad" },
    { ...op(6, 7, get, saw({ value: "a" })), key: "good" },
  ];
  const verdict = check(history, register);
  assert.equal(verdict.kind, "not linearizable");
  assert.equal(
    "why" in verdict && verdict.why,
    'key "bad": after 1 of 2 operations, the last of them\n' +
      '  [2, 3] client 2: {"kind":"put","value":"b"} => {"done":true}\n' +
      'the state is {"value":"b","count":0,"version":1}, and nothing of this can follow\n' +
      '  [4, 5] client 4: {"kind":"get"} => {"done":true,"seen":{"value":"a"}}',
  );
});

test("checker gives up, and says so, where there is too much to try", () => {
  // Any of these may have happened, in any order, and no sum of them is odd.
  const unknown = Array.from(
    { length: 40 },
    (_, i) => op(i, Infinity, { ...increment, by: 2 ** i * 2 }),
  );
  const history = [...unknown, op(50, 51, get, saw({ count: 2 ** 50 + 1 }))];
  const verdict = check(history, register, { stepsMax: 10_000 });
  assert.deepEqual(verdict, {
    kind: "gave up",
    steps: 10_000,
    why: 'key "k": undecided after 10000 steps',
  });
});

test("checker rejects what one key shows, though it gives up on another", () => {
  const unknown = Array.from(
    { length: 40 },
    (_, i) => op(i, Infinity, { ...increment, by: 2 ** i * 2 }),
  );
  const history = [
    ...unknown,
    op(50, 51, get, saw({ count: 2 ** 50 + 1 })),
    { ...op(52, 53, get, saw({ count: 1 })), key: "other" },
  ];
  assert.equal(check(history, register, { stepsMax: 10_000 }).kind, "not linearizable");
});

test("checker accepts all that a linearizable register answers", () =>
  holds(300, simulatedHistories({ stepsMax: 200, keys: 3 }), (history) => {
    const verdict = check(history, register);
    assert.equal(verdict.kind, "linearizable", "why" in verdict ? verdict.why : "");
  }));

test("checker rejects stale reads whenever no order explains them", async () => {
  const verdicts = { true: 0, false: 0 };
  await holds(500, staleReads({ stepsMax: 20 }), (history) => {
    const isExplained = isLinearizable(history, register);
    verdicts[`${isExplained}`]++;
    assert.equal(check(history, register).kind, isExplained ? "linearizable" : "not linearizable");
  });
  // Neither of them is rare.
  assert.ok(Math.min(verdicts.true, verdicts.false) > 25, JSON.stringify(verdicts));
});

test("checker judges any history as its definition does", async () => {
  const verdicts = { true: 0, false: 0 };
  await holds(1000, anyHistory(), (history) => {
    const isExplained = isLinearizable(history, register);
    verdicts[`${isExplained}`]++;
    assert.equal(check(history, register).kind, isExplained ? "linearizable" : "not linearizable");
  });
  assert.ok(Math.min(verdicts.true, verdicts.false) > 100, JSON.stringify(verdicts));
});

/** Operations at any times with any outputs, of few values, so that they often fit. */
function anyHistory(): fc.Arbitrary<Op[]> {
  const value = fc.constantFrom("a", "b");
  const input: fc.Arbitrary<Input> = fc.oneof(
    fc.constant(get),
    value.map(put),
    fc.tuple(fc.constantFrom(null, "a", "b"), value).map(([from, to]) => compareAndSet(from, to)),
    fc.constant(increment),
  );
  const seen: fc.Arbitrary<Partial<Register>> = fc.oneof(
    fc.record({ value: fc.constantFrom(null, "a", "b") }),
    fc.record({ count: fc.nat(2) }),
    fc.record({ version: fc.nat(3) }),
    fc.constant({}),
  );
  const operation = fc.record({
    input,
    seen,
    calledAt: fc.nat(12),
    takes: fc.nat(8),
    fate: fc.constantFrom("done", "done", "done", "not done", "unknown", "unknown for ever"),
  });
  return fc.array(operation, { maxLength: 6 }).map((operations) =>
    operations.map(({ input, seen, calledAt, takes, fate }) => {
      if (fate === "unknown for ever") return op(calledAt, Infinity, input);
      const endedAt = calledAt + takes;
      if (fate === "unknown") return op(calledAt, endedAt, input);
      const done = input.kind !== "compare and set" || fate === "done";
      return op(calledAt, endedAt, input, { done, seen });
    })
  );
}
