/**
 * Which bytes a `Range` field asks for (RFC 9110, section 14.1.2).
 *
 * Several ranges are answered with the whole, as section 14.2 allows: whoever asks for them can
 * also ask one by one, and a short field cannot make a long answer.
 */

/** Bytes that stand together. */
export interface ByteRange {
  /** The first byte's place, from 0. */
  readonly first: number;
  /** How many bytes; at least one. */
  readonly length: number;
}

const ONE_RANGE = /^bytes=[ \t]*(?:(?<first>\d+)-(?<last>\d*)|-(?<suffix>\d+))[ \t]*$/i;

/**
 * What `field` asks for of `size` bytes: `undefined` where it is to be ignored, because it is
 * malformed, of another unit, or of several ranges.
 */
export function byteRangeOf(field: string, size: number): ByteRange | "unsatisfiable" | undefined {
  const { first, last, suffix } = ONE_RANGE.exec(field)?.groups ?? {};
  if (suffix !== undefined) {
    if (Number(suffix) === 0) return "unsatisfiable";
    const length = Math.min(Number(suffix), size);
    // Of nothing, the last bytes are the whole: no `Content-Range` could say so.
    return length === 0 ? undefined : { first: size - length, length };
  }
  if (first === undefined) return undefined;
  const start = Number(first);
  const end = last === undefined || last === "" ? Infinity : Number(last);
  if (end < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { first: start, length: Math.min(end, size - 1) - start + 1 };
}
