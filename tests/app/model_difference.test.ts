/**
 * `firstDifference` finds a difference where there is one, names the way to it, and finds none
 * between a model and a copy of it.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { equal } from "#std/assert/equal";
import { modelCodec } from "../../runtime/model_codec.ts";
import { firstDifference } from "../../runtime/model_difference.ts";
import { holds } from "../support/property.ts";

const model = fc.anything({
  maxDepth: 4,
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withNullPrototype: true,
  withUnicodeString: true,
});

test("firstDifference finds none between a model and copies of it", async () => {
  await holds(200, model, (model) => {
    assert.equal(firstDifference(model, structuredClone(model)), undefined);
    assert.equal(firstDifference(model, modelCodec.decode(modelCodec.encode(model))), undefined);
  });
});

test("firstDifference finds one just where the models are not equal", async () => {
  // Keys that are objects may be equal in another order: these models have none.
  const plain = fc.anything({ maxDepth: 3, withDate: true, withBigInt: true, maxKeys: 3 });
  const some = fc.letrec((tie) => ({
    model: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      plain,
      fc.array(fc.tuple(fc.string({ maxLength: 2 }), tie("model")), { maxLength: 3 })
        .map((entries) => new Map(entries)),
      fc.array(fc.string({ maxLength: 2 }), { maxLength: 3 }).map((words) => new Set(words)),
      fc.array(tie("model"), { maxLength: 3 }),
    ),
  })).model;
  const pairs = fc.oneof(
    fc.tuple(some, some),
    // Two that are equal but for one thing, and in another order.
    fc.tuple(fc.array(fc.tuple(fc.string({ maxLength: 3 }), some)), some, fc.nat()).map(
      ([entries, other, at]) => {
        const changed = structuredClone(entries).reverse();
        const entry = changed[at % Math.max(1, changed.length)];
        if (entry !== undefined && at % 2 === 0) entry[1] = other;
        // Of those with the same key the last one counts: in reverse it is another.
        return [new Map(entries), new Map(changed)];
      },
    ),
  );
  await holds(300, pairs, ([left, right]) => {
    const difference = firstDifference(left, right);
    assert.equal(difference === undefined, equal(left, right), JSON.stringify(difference));
    assert.equal(firstDifference(right, left) === undefined, difference === undefined);
  });
});

class Money {
  amount: number;

  constructor(amount: number) {
    this.amount = amount;
  }
}

class Purse extends Money {
  isEmpty(): boolean {
    return this.amount === 0;
  }
}

test("firstDifference names the way, and what is on both sides", () => {
  const cases: readonly [unknown, unknown, string, string, string][] = [
    [1, 2, "model", "1", "2"],
    [{ a: [1, 2] }, { a: [1, 3] }, "model.a[1]", "2", "3"],
    [{ a: [1, 2] }, { a: [1] }, "model.a", "an array of 2", "an array of 1"],
    [{ a: undefined }, {}, "model", 'with "a"', 'without "a"'],
    [{}, { a: 1 }, "model", 'without "a"', 'with "a"'],
    [new Map([["x", { y: 1n }]]), new Map([["x", { y: 2n }]]), 'model.get("x").y', "1n", "2n"],
    [{ m: new Map([[1, 2]]) }, { m: new Map([[2, 2]]) }, "model.m", "with 1", "without 1"],
    [new Map([[1, 2]]), new Map([[1, 2], [3, 4]]), "model", "without 3", "with 3"],
    [new Set(["a"]), new Set(["a", "b"]), "model", 'without "b"', 'with "b"'],
    [new Set([{ a: 1 }]), new Set([{ a: 2 }]), "[...model][0].a", "1", "2"],
    [new Set([{}]), new Set([{}, {}]), "model", "without an object", "with an object"],
    [new Map([[{ a: 1 }, 1]]), new Map([[{ a: 1 }, 2]]), "[...model.values()][0]", "1", "2"],
    [new Date(0), new Date(1), "model", "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.001Z"],
    [/a/g, /a/, "model", "/a/g", "/a/"],
    [new Uint8Array(3), new Uint8Array(4), "model", "3 bytes", "4 bytes"],
    [new Uint8Array([1]), new Uint8Array([2]), "model", "1 bytes", "1 bytes"],
    [new Error("a"), new Error("b"), "model", "an instance of Error", "an instance of Error"],
    [new Purse(1), new Money(1), "model", "an instance of Purse", "an instance of Money"],
    // deno-lint-ignore no-sparse-arrays -- a hole is what this is about
    [[, 1], [undefined, 1], "model", "without 0", "with 0"],
    [{ a: "x".repeat(99) }, { a: null }, "model.a", `"${"x".repeat(60)}…"`, "null"],
  ];
  for (const [a, b, path, left, right] of cases) {
    assert.deepEqual(firstDifference(a, b), { path, left, right });
  }
});

test("firstDifference takes as the same what a codec cannot tell apart, and functions", () => {
  assert.equal(firstDifference(new Money(1), { amount: 1 }), undefined);
  assert.equal(firstDifference({ f: () => 1 }, { f: () => 2 }), undefined);
  assert.equal(firstDifference([0, NaN], [-0, NaN]), undefined);
});

test("firstDifference walks chains of any length, circles, and parts in several places", () => {
  interface Chain {
    next: Chain | undefined;
    value: number;
  }
  const chain = (last: number): Chain => {
    let first: Chain = { next: undefined, value: last };
    for (let i = 0; i < 100_000; i++) first = { next: first, value: i };
    return first;
  };
  assert.equal(firstDifference(chain(1), chain(1)), undefined);
  assert.match(firstDifference(chain(1), chain(2))?.path ?? "", /^model\.next.* … .*\.value$/);
  const circle = (value: number) => {
    const first: Chain = { next: undefined, value };
    first.next = { next: first, value: 2 };
    return first;
  };
  assert.equal(firstDifference(circle(1), circle(1)), undefined);
  assert.equal(firstDifference(circle(1), circle(3))?.path, "model.value");
  let shared: unknown[] = [1];
  for (let i = 0; i < 100; i++) shared = [shared, shared];
  assert.equal(firstDifference(shared, structuredClone(shared)), undefined);
});
