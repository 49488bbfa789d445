/**
 * Sizes in logs, against the standard library's reader and writer of the same numbers.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeVarint, encodeVarint } from "#std/encoding/varint";
import fc from "fast-check";
import {
  CUT_SHORT,
  OVERLONG,
  readUvarint,
  uvarintEnd,
  uvarintLength,
  writeUvarint,
} from "../../runtime/log/uvarint.ts";
import { holds } from "../support/property.ts";

/** Numbers of every length. */
const numbers = fc.integer({ min: 0, max: 53 }).chain((bits) =>
  fc.maxSafeNat().map((value) => Math.floor(value / 2 ** (53 - bits)))
);

test("writeUvarint writes what the standard library writes, and readUvarint reads it", async () => {
  await holds(500, numbers, (value) => {
    const [expected] = encodeVarint(value);
    const bytes = new Uint8Array(12).fill(0xff);
    const end = writeUvarint(bytes, 1, value);
    assert.deepEqual(bytes.subarray(1, end), new Uint8Array(expected));
    assert.equal(uvarintLength(value), expected.length);
    assert.equal(readUvarint(bytes, 1, end), value);
    assert.equal(uvarintEnd(bytes, 1), end);
  });
});

test("readUvarint reads any bytes as the standard library does, or says why not", async () => {
  await holds(1000, fc.uint8Array({ maxLength: 12 }), (bytes) => {
    const read = readUvarint(bytes, 0, bytes.length);
    const isCut = bytes.length < 10 && bytes.every((byte) => byte > 0x7f);
    if (isCut && read !== OVERLONG) {
      assert.equal(read, CUT_SHORT);
      return;
    }
    let expected: bigint;
    try {
      [expected] = decodeVarint(bytes);
    } catch {
      assert.equal(read, OVERLONG); // Above 64 bits, or longer than any number.
      return;
    }
    if (expected > BigInt(Number.MAX_SAFE_INTEGER)) assert.equal(read, OVERLONG);
    else assert.equal(read, Number(expected));
  });
});

test("readUvarint does not look beyond its end", () => {
  const bytes = new Uint8Array([0x80, 0x01]);
  assert.equal(readUvarint(bytes, 0, 2), 128);
  assert.equal(readUvarint(bytes, 0, 1), CUT_SHORT);
  assert.equal(readUvarint(bytes, 2, 2), CUT_SHORT);
});

test("readUvarint takes longer forms than the shortest, up to ten bytes", () => {
  assert.equal(readUvarint(new Uint8Array([0x81, 0x00]), 0, 2), 1);
  assert.equal(readUvarint(new Uint8Array([...Array(9).fill(0x80), 0x00]), 0, 10), 0);
  assert.equal(readUvarint(new Uint8Array([...Array(10).fill(0x80), 0x00]), 0, 11), OVERLONG);
});
