/**
 * CRC-32C (Castagnoli), as in iSCSI, ext4 and many a database log: the checksum of everything
 * this runtime writes to a disk. Table-driven, sixteen bytes a step ("slicing-by-16"), in plain
 * TypeScript: 2 GB/s and more for 64 KiB, above 1 GB/s for a hundred bytes, where a call into
 * native code costs more than it brings.
 */

/** Castagnoli's polynomial, lowest power first. */
const POLYNOMIAL = 0x82f63b78;

/** How many bytes a step takes, and so how many tables of 256 numbers there are. */
const STEP = 16;

/**
 * From how many bytes on they are read in words of four: making the view of words takes as long
 * as a few hundred bytes.
 */
const WORDS_BYTES_MIN = 512;

/** Entry `256 * k + byte` is the CRC of `byte` and `k` zeros, without the inversions. */
const TABLE: Int32Array = makeTable();

/** Words are read in the machine's own order: it has to be that of the CRC. */
const IS_LITTLE_ENDIAN: boolean = new Uint8Array(new Int32Array([1]).buffer)[0] === 1;

/**
 * The CRC-32C of `bytes` from `from` to `to`, as an unsigned 32-bit number.
 *
 * `before` is the CRC of the bytes that come before these: then the result is the CRC of both
 * together (as with zlib's `crc32`). No bytes at all have the CRC 0.
 *
 * Source: RFC 3720, appendix B.4 (vectors); Kounavis and Berry, "A Systematic Approach to
 * Building High Performance, Software-based, CRC Generators" (slicing).
 */
export function crc32c(
  bytes: Uint8Array,
  from: number = 0,
  to: number = bytes.length,
  before: number = 0,
): number {
  let crc = ~before;
  let at = from;
  if (to - from >= WORDS_BYTES_MIN && IS_LITTLE_ENDIAN) {
    for (; (bytes.byteOffset + at) % 4 !== 0; at++) crc = nextByte(crc, bytes[at] ?? 0);
    const count = Math.floor((to - at) / STEP) * (STEP / 4);
    crc = nextWords(crc, new Int32Array(bytes.buffer, bytes.byteOffset + at, count));
    at += 4 * count;
  }
  for (const end = to - STEP; at <= end; at += STEP) {
    const rest = fourAt(8, bytes, at + 4) ^ fourAt(4, bytes, at + 8) ^ fourAt(0, bytes, at + 12);
    crc = rest ^ four(12, wordAt(bytes, at) ^ crc);
  }
  for (const end = to - 4; at <= end; at += 4) crc = four(0, wordAt(bytes, at) ^ crc);
  for (; at < to; at++) crc = nextByte(crc, bytes[at] ?? 0);
  return ~crc >>> 0;
}

/** A function of its own, so that compilers have room to put all it calls into it. */
function nextWords(crc: number, words: Int32Array): number {
  for (let i = 0; i < words.length; i += STEP / 4) {
    // First what does not wait for the step before.
    const rest = four(8, words[i + 1] ?? 0) ^ four(4, words[i + 2] ?? 0) ^
      four(0, words[i + 3] ?? 0);
    crc = rest ^ four(12, (words[i] ?? 0) ^ crc);
  }
  return crc;
}

function nextByte(crc: number, byte: number): number {
  return (crc >>> 8) ^ (TABLE[(crc ^ byte) & 255] ?? 0);
}

/** The CRC of the four bytes of a word and of `zeros` zeros, without the inversions. */
function four(zeros: number, word: number): number {
  const at = 256 * zeros;
  return (TABLE[at + 768 + (word & 255)] ?? 0) ^ (TABLE[at + 512 + (word >>> 8 & 255)] ?? 0) ^
    (TABLE[at + 256 + (word >>> 16 & 255)] ?? 0) ^ (TABLE[at + (word >>> 24)] ?? 0);
}

/** As {@linkcode four}, with the four bytes at `at`. */
function fourAt(zeros: number, bytes: Uint8Array, at: number): number {
  const entry = 256 * zeros;
  return (TABLE[entry + 768 + (bytes[at] ?? 0)] ?? 0) ^
    (TABLE[entry + 512 + (bytes[at + 1] ?? 0)] ?? 0) ^
    (TABLE[entry + 256 + (bytes[at + 2] ?? 0)] ?? 0) ^
    (TABLE[entry + (bytes[at + 3] ?? 0)] ?? 0);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0) << 16 |
    (bytes[at + 3] ?? 0) << 24;
}

function makeTable(): Int32Array {
  const table = new Int32Array(256 * STEP);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    table[byte] = crc;
  }
  for (let i = 256; i < table.length; i++) {
    const before = table[i - 256] ?? 0;
    table[i] = (before >>> 8) ^ (table[before & 255] ?? 0);
  }
  return table;
}
