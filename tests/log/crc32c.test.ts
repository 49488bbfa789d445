/**
 * CRC-32C: the published vectors, and a bitwise reference for everything else.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../runtime/log/crc32c.ts";
import { holds } from "../support/property.ts";

/** The definition, bit by bit. */
function reference(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** Bytes that stand anywhere in their buffer; some are long enough to be read in words. */
const placed = fc.record({
  size: fc.oneof(fc.nat(200), fc.integer({ min: 400, max: 3000 })),
  offset: fc.nat(40),
  seed: fc.integer(),
}).map(({ size, offset, seed }) => {
  const bytes = new Uint8Array(new ArrayBuffer(offset + size + 9), offset, size);
  let state = seed | 1;
  for (let i = 0; i < size; i++) {
    state = Math.imul(state, 1664525) + 1013904223;
    bytes[i] = state >>> 24;
  }
  return bytes;
});

test("crc32c gives the values of RFC 3720 and of the common check", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
  const read = "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 " +
    "00000000 02000000 00000000";
  const command = Uint8Array.from(read.replaceAll(" ", "").match(/../g) ?? [], (it) => {
    return parseInt(it, 16);
  });
  assert.equal(crc32c(command), 0xd9963a56);
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test("crc32c equals the definition wherever the bytes stand", async () => {
  await holds(300, fc.tuple(placed, fc.nat(), fc.nat()), ([bytes, a, b]) => {
    const from = a % (bytes.length + 1);
    const to = from + b % (bytes.length - from + 1);
    assert.equal(crc32c(bytes, from, to), reference(bytes.subarray(from, to)));
    assert.equal(crc32c(bytes, from), reference(bytes.subarray(from)));
    assert.equal(crc32c(bytes), reference(bytes));
  });
});

test("crc32c goes on from the CRC of what comes before", async () => {
  await holds(300, fc.tuple(placed, fc.nat()), ([bytes, cut]) => {
    const middle = cut % (bytes.length + 1);
    const before = crc32c(bytes, 0, middle);
    assert.equal(crc32c(bytes, middle, bytes.length, before), reference(bytes));
    assert.equal(crc32c(bytes, middle, middle, before), before);
  });
});

test("crc32c notices every bit", () => {
  const bytes = Uint8Array.from({ length: 1100 }, (_, i) => i * 7);
  const whole = crc32c(bytes);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const at = bit >> 3;
    bytes[at] = (bytes[at] ?? 0) ^ 1 << (bit & 7);
    assert.notEqual(crc32c(bytes), whole);
    bytes[at] = (bytes[at] ?? 0) ^ 1 << (bit & 7);
  }
});
