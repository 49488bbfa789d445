/**
 * What is replayed: changes of accounts, 60 bytes of JSON each, into a model of a million
 * accounts.
 */

import { Buffer } from "node:buffer";
import { closeSync, openSync, writeSync } from "node:fs";

/** A change of an account. */
export interface Change {
  readonly id: number;
  readonly at: number;
  readonly add: number;
  readonly by: string;
}

/** An account. */
export interface Account {
  balance: number;
  changes: number;
  at: number;
}

export type Accounts = Map<number, Account>;

/** Bytes of an event. */
export const CHANGE_BYTES = 60;

/** Applies changes, in place: a pure model of this size would be a library's business. */
export function applyChanges(accounts: Accounts, changes: readonly Change[]): Accounts {
  for (const { id, add, at } of changes) {
    const account = accounts.get(id);
    if (account === undefined) accounts.set(id, { balance: add, changes: 1, at });
    else {
      account.balance += add;
      account.changes++;
      account.at = at;
    }
  }
  return accounts;
}

/** A number that is the same for the same accounts, whatever made them. */
export function hashOf(accounts: ReadonlyMap<number, Account>): number {
  let hash = accounts.size;
  for (const [id, { balance, changes, at }] of accounts) {
    hash = Math.imul(hash ^ id ^ balance ^ changes ^ at % 0x7fffffff, 0x9e3779b1) >>> 0;
  }
  return hash;
}

/** How many events are made before they are written. */
const CHUNK = 10_000;

/** Writes a log in the plain format: the first change of every account, then some of any. */
export function writeChanges(path: string, changes: number, accounts: number): void {
  const file = openSync(path, "wx");
  const frame = CHANGE_BYTES + 1;
  const chunk = Buffer.alloc(CHUNK * frame);
  let state = 1; // The seed is fixed: all runs replay the same.
  for (let at = 0; at < changes;) {
    let filled = 0;
    for (; filled < chunk.length && at < changes; at++) {
      state = Math.imul(state, 0x5851f42d) + 0x14057b7d >>> 0;
      const id = at < accounts ? at : Math.floor(state / 2 ** 32 * accounts);
      chunk[filled] = CHANGE_BYTES;
      chunk.write(changeText(id, at, state), filled + 1, "latin1");
      filled += frame;
    }
    writeSync(file, chunk, 0, filled);
  }
  closeSync(file);
}

function changeText(id: number, at: number, random: number): string {
  const text = `{"id":${id},"at":${1_700_000_000 + at},"add":${random % 2001 - 1000},"by":"`;
  return `${text.padEnd(CHANGE_BYTES - 2, "x")}"}`;
}
