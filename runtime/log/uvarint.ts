/**
 * Unsigned LEB128, as Go's `binary.PutUvarint` writes it: the sizes in a log.
 *
 * Our own, because `@std/encoding/varint` works on bigints: reading sizes with it takes
 * several times as long as all the rest of reading a log. It is the oracle in the tests.
 */

/** How many bytes {@linkcode writeUvarint} writes for `value`. */
export function uvarintLength(value: number): number {
  let length = 1;
  while (value > 0x7f) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}

/** Writes `value`, a safe integer, in its shortest form at `at`; returns where it ends. */
export function writeUvarint(into: Uint8Array, at: number, value: number): number {
  while (value > 0x7f) {
    into[at++] = value % 128 + 0x80;
    value = Math.floor(value / 128);
  }
  into[at++] = value;
  return at;
}

/** What {@linkcode readUvarint} returns when the bytes end inside the number. */
export const CUT_SHORT = -1;
/** What {@linkcode readUvarint} returns when the number is longer than 10 bytes or unsafe. */
export const OVERLONG = -2;

/**
 * Reads the number at `at`, looking no further than `end`, and returns it, or
 * {@linkcode CUT_SHORT} or {@linkcode OVERLONG}. Where it ends follows from
 * {@linkcode uvarintEnd}: two calls cost less than an object.
 */
export function readUvarint(from: Uint8Array, at: number, end: number): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 10; i++) {
    const byte = at + i < end ? from[at + i] : undefined;
    if (byte === undefined) return CUT_SHORT;
    value += (byte & 0x7f) * scale;
    if (value > Number.MAX_SAFE_INTEGER) return OVERLONG;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  return OVERLONG;
}

/** Where the number at `at`, known to be whole, ends. */
export function uvarintEnd(from: Uint8Array, at: number): number {
  while ((from[at] ?? 0) > 0x7f) at++;
  return at + 1;
}
