/**
 * `traceparent` as W3C Trace Context (level 1) has it: what is taken, what is refused, and what is
 * passed on.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  formatTraceparent,
  nextTraceparent,
  parseTraceparent,
} from "../../runtime/http/traceparent.ts";
import { holds } from "../support/property.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

const hex = (digits: number) =>
  fc.string({
    unit: fc.constantFrom(..."0123456789abcdef"),
    minLength: digits,
    maxLength: digits,
  });
const anId = (digits: number) => hex(digits).filter((id) => !/^0*$/.test(id));

test("traceparent is read as it was written, but for flags that nobody knows", async () => {
  const fields = fc.tuple(anId(32), anId(16), hex(2));
  await holds(200, fields, ([traceId, parentId, flags]) => {
    const read = parseTraceparent(`00-${traceId}-${parentId}-${flags}`);
    const isSampled = "13579bdf".includes(flags.charAt(1));
    assert.deepEqual(read, { traceId, parentId, isSampled });
    const written = `00-${traceId}-${parentId}-${isSampled ? "01" : "00"}`;
    assert.equal(formatTraceparent(read), written);
  });
});

test("traceparent of a later version is read as far as it is known", () => {
  const expected = { traceId: TRACE, parentId: PARENT, isSampled: true };
  for (const rest of ["", "-", "-what the future brings"]) {
    assert.deepEqual(parseTraceparent(`cc-${TRACE}-${PARENT}-01${rest}`), expected);
  }
});

test("traceparent that is none is refused", async () => {
  const refused = [
    "",
    `ff-${TRACE}-${PARENT}-01`,
    `00-${"0".repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    `00-${TRACE}-${PARENT}-01-`,
    `cc-${TRACE}-${PARENT}-01.more`,
    `00-${TRACE}-${PARENT}-0`,
    `00-${TRACE}-${PARENT}-0x`,
    `00-${TRACE}-${PARENT}`,
    ` 00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01\n`,
  ];
  for (const field of refused) assert.equal(parseTraceparent(field), undefined, field);
  // One place of a good one, changed to something that may not be there.
  const change = fc.tuple(fc.nat(54), fc.constantFrom(..." -_gG.\u0130\0"));
  const good = `00-${TRACE}-${PARENT}-01`;
  await holds(200, change, ([at, by]) => {
    const bad = good.slice(0, at) + by + good.slice(at + 1);
    if (bad !== good) assert.equal(parseTraceparent(bad), undefined, bad);
  });
});

test("traceparent is passed on in the client's trace, or in a new one, with an id of its own", () => {
  const client = { traceId: TRACE, parentId: PARENT, isSampled: true };
  const next = nextTraceparent(client);
  assert.deepEqual({ ...next, parentId: PARENT }, client);
  assert.notEqual(next.parentId, PARENT);
  const [one, other] = [nextTraceparent(undefined), nextTraceparent(undefined)];
  assert.notEqual(one.traceId, other.traceId);
  assert.equal(one.isSampled, false);
  for (const made of [next, one, other]) {
    assert.deepEqual(parseTraceparent(formatTraceparent(made)), made);
  }
});
