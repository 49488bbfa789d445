/**
 * Positions: `history.sequence`, opaque to clients. The history is random, so that a
 * position never means something else after a log was restored or made anew.
 */

import { encodeHex } from "#std/encoding/hex";

/** A new history: 16 random bytes in hex. */
export function newHistory(): string {
  return encodeHex(crypto.getRandomValues(new Uint8Array(16)));
}

/** The position after the commit (or event) with this sequence. */
export function formatPosition(history: string, sequence: number): string {
  return `${history}.${sequence}`;
}
