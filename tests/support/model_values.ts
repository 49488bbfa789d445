/**
 * Values that a model may hold: arbitrary ones with parts in several places, and a comparison
 * that sees everything a program could see, such parts included.
 */

import assert from "node:assert/strict";
import fc from "fast-check";

const text = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("", "a", "__proto__", "constructor", "length", "0", "17", "01", "-1", "a,b"),
  fc.constantFrom(
    "\ud800",
    "\udc00x",
    "\ufeffbom",
    "x".repeat(127),
    "x".repeat(128),
    "é".repeat(300),
  ),
);

/** What is no object. */
const primitive = fc.oneof(
  text,
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.constantFrom(null, undefined, true, false, -0, NaN, Infinity, -(2 ** 31), 2 ** 32, 2 ** 63),
);

/** How to make an object of values that were made before, which `picks` chooses. */
const recipe = fc.record({
  make: fc.constantFrom<(values: readonly unknown[], picks: readonly number[]) => unknown>(
    (values) => [...values],
    (values, picks) =>
      values.reduce<unknown[]>((sparse, value, i) => {
        sparse[(picks[i] ?? 0) % 40] = value;
        return sparse;
      }, []),
    (values) => Object.assign([...values], { extra: values[0], "-1": 1 }),
    (values) => Object.fromEntries(values.map((value, i) => [`key${i}`, value])),
    (values) => Object.fromEntries(values.map((value) => [String(keyOf(value)), value])),
    (values) => new Map(values.map((value, i) => [value, values[values.length - 1 - i]])),
    (values) => new Set(values),
    (_, picks) => new Date(picks[0] === 0 ? NaN : picks[0] ?? 0),
    () => /a+[b-d]/giu,
    (values) => Object(keyOf(values[0])),
    (_, picks) => new Uint8Array(picks).buffer,
    (_, picks) => new Uint16Array(picks),
    (_, picks) => new Uint8Array(new Uint8Array([...picks, 1, 2, 3]).buffer, 1, 2),
    (values) => {
      const bytes = values.find((value) => value instanceof ArrayBuffer) ?? new ArrayBuffer(8);
      return [new DataView(bytes), new Uint8Array(bytes, 0, 0), new BigInt64Array(bytes, 0, 0)];
    },
    () => new RangeError("out of range"),
  ),
  values: fc.array(primitive, { maxLength: 4 }),
  picks: fc.array(fc.nat(200), { maxLength: 6 }),
});

/** Anything that can be the key of an object or a boxed value. */
function keyOf(value: unknown): string | number | boolean | bigint {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "bigint":
      return value;
    default:
      return "none";
  }
}

/** Models without cycles, many of whose parts are in several places. */
export const models: fc.Arbitrary<unknown> = fc.tuple(
  fc.array(recipe, { minLength: 1, maxLength: 12 }),
  primitive,
).map(([recipes, first]) => {
  const made: unknown[] = [first];
  for (const { make, values, picks } of recipes) {
    made.push(make([...values, ...picks.map((pick) => made[pick % made.length])], picks));
  }
  return made.at(-1);
});

/**
 * Asserts that both values are alike in all that can be seen: kinds, prototypes, order, `-0`,
 * holes, and which parts are the same object.
 */
export function assertSame(a: unknown, b: unknown): void {
  compare(a, b, new Map(), new Map());
}

function compare(a: unknown, b: unknown, toB: Map<object, unknown>, toA: Map<object, unknown>) {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
    assert.ok(Object.is(a, b), `${String(a)} is not ${String(b)}`);
    return;
  }
  if (toB.has(a) || toA.has(b)) {
    assert.equal(toB.get(a), b, "one object became two");
    assert.equal(toA.get(b), a, "two objects became one");
    return;
  }
  toB.set(a, b);
  toA.set(b, a);
  assert.equal(Object.getPrototypeOf(a), Object.getPrototypeOf(b), "another prototype");
  const [partsOfA, partsOfB] = [partsOf(a), partsOf(b)];
  assert.equal(partsOfA.length, partsOfB.length, "another number of parts");
  for (const [i, part] of partsOfA.entries()) compare(part, partsOfB[i], toB, toA);
}

/** All that an object consists of, in order. */
function partsOf(object: object): unknown[] {
  const keys = ArrayBuffer.isView(object) ? [] : Object.keys(object);
  const parts: unknown[] = [
    ...keys,
    ...keys.map((key) => (object as Record<string, unknown>)[key]),
  ];
  if (Array.isArray(object)) parts.push(object.length);
  if (object instanceof Map) { for (const [key, value] of object) parts.push(key, value); }
  if (object instanceof Set) parts.push(...object);
  if (object instanceof Date) parts.push(object.getTime());
  if (object instanceof RegExp) parts.push(object.source, object.flags, object.lastIndex);
  if (object instanceof Error) parts.push(object.message, object.stack, object.cause);
  if (object instanceof ArrayBuffer) parts.push(new Uint8Array(object).join());
  if (ArrayBuffer.isView(object)) {
    parts.push(object.byteOffset, object.byteLength, object.buffer);
  }
  if (/^(Number|String|Boolean|BigInt)$/.test(object.constructor?.name)) {
    parts.push((object as { valueOf(): unknown }).valueOf());
  }
  return parts;
}
