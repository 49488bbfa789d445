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

/** What a position says; the sequence is 0 before the first commit. */
export interface Position {
  readonly history: string;
  readonly sequence: number;
}

/** The parts of a position, or `undefined` if `position` is none. */
export function parsePosition(position: string): Position | undefined {
  const [, history, digits] = /^(.+)\.(0|[1-9]\d*)$/.exec(position) ?? [];
  const sequence = Number(digits);
  if (history === undefined || !Number.isSafeInteger(sequence)) return undefined;
  return { history, sequence };
}
