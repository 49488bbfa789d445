/**
 * The `traceparent` field of W3C Trace Context, level 1: by what id an exchange is known to all who
 * have a part in it.
 */

import { encodeHex } from "#std/encoding/hex";

/** Where in a trace an exchange is. */
export interface TraceParent {
  /** What all exchanges of the trace share: 32 hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** Which of them it is that asks: 16 hexadecimal digits, not all zero. */
  readonly parentId: string;
  /** Whether the client records the trace. */
  readonly isSampled: boolean;
}

const FORM =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;
/** How long one of version 00 is; those of later versions may have more behind it. */
const LENGTH = 55;

/**
 * Reads the field; `undefined` if it is not as the standard says. Of a version that is not known,
 * what version 00 has of it is taken.
 */
export function parseTraceparent(field: string): TraceParent | undefined {
  const [, version, traceId, parentId, flags] = FORM.exec(field) ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (version === "00" && field.length !== LENGTH) return undefined;
  return { traceId, parentId, isSampled: (parseInt(flags, 16) & 1) === 1 };
}

/** Writes the field, in version 00. Flags that it does not know are not set. */
export function formatTraceparent({ traceId, parentId, isSampled }: TraceParent): string {
  return `00-${traceId}-${parentId}-${isSampled ? "01" : "00"}`;
}

/** A part of the client's trace, or of a new one, under an id of its own. */
export function nextTraceparent(client: TraceParent | undefined): TraceParent {
  return {
    traceId: client?.traceId ?? randomId(16),
    parentId: randomId(8),
    isSampled: client?.isSampled ?? false,
  };
}

function randomId(bytes: number): string {
  const id = crypto.getRandomValues(new Uint8Array(bytes));
  // What is all zero is no id.
  return id.some((byte) => byte !== 0) ? encodeHex(id) : randomId(bytes);
}
