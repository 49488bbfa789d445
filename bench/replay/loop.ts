/**
 * Replays a log as someone would who writes it by hand: one loop that does what must be done,
 * without a check, and hands over as many events at a time as Alcedo does.
 *
 *     RUNTIME bench/replay/loop.ts FILE HOW
 *
 * HOW is `each`: a string and a `JSON.parse` for every event; or `batch`: one of both for all
 * events of a read, which are made an array in place.
 */

import { Buffer } from "node:buffer";
import { closeSync, openSync, readSync } from "node:fs";
import process from "node:process";
import { type Accounts, applyChanges, type Change } from "./events.ts";
import { printOutcome } from "./outcome.ts";

const READ_BYTES = 1024 * 1024;
const COMMA = 0x2c, OPEN = 0x5b, CLOSE = 0x5d;

/** Not in the documents of any of the three, on all of them, and by far the fastest on Bun. */
interface Sliceable {
  utf8Slice(start: number, end: number): string;
}

function replay(path: string, decode: (buffer: Buffer, end: number) => Change[]): Accounts {
  let accounts: Accounts = new Map();
  const file = openSync(path, "r");
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let filled = 0;
  for (;;) {
    // The last byte stays free for a bracket.
    const read = readSync(file, buffer, filled, buffer.length - 1 - filled, null);
    if (read === 0) break;
    filled += read;
    const end = endOfWhole(buffer, filled);
    const behind = buffer[end];
    accounts = applyChanges(accounts, decode(buffer, end));
    if (behind !== undefined) buffer[end] = behind;
    buffer.copyWithin(0, end, filled);
    filled -= end;
  }
  closeSync(file);
  return accounts;
}

/** Where the last whole event ends. All of them have sizes of one byte. */
function endOfWhole(buffer: Buffer, filled: number): number {
  let at = 0;
  for (;;) {
    const next = at + 1 + (buffer[at] ?? 0);
    if (at >= filled || next > filled) return at;
    at = next;
  }
}

function decodeEach(buffer: Buffer, end: number): Change[] {
  const slices = buffer as Buffer & Sliceable;
  const changes: Change[] = [];
  for (let at = 0; at < end;) {
    const next = at + 1 + (buffer[at] ?? 0);
    changes.push(JSON.parse(slices.utf8Slice(at + 1, next)) as Change);
    at = next;
  }
  return changes;
}

function decodeBatch(buffer: Buffer, end: number): Change[] {
  for (let at = 0; at < end;) {
    const next = at + 1 + (buffer[at] ?? 0);
    buffer[at] = at === 0 ? OPEN : COMMA;
    at = next;
  }
  buffer[end] = CLOSE;
  return JSON.parse((buffer as Buffer & Sliceable).utf8Slice(0, end + 1)) as Change[];
}

const [, , path = "", how] = process.argv;
const start = performance.now();
const accounts = replay(path, how === "each" ? decodeEach : decodeBatch);
printOutcome(accounts, performance.now() - start, 0);
