/**
 * What is replayed: changes of accounts, 60 bytes of JSON each, into a model of a million
 * accounts.
 */

import { type Commit, openFileLog } from "alcedo";
import { Buffer } from "node:buffer";

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

/** Commits of one event in a flush: what 64 clients that write all the time leave behind. */
const FLUSH_COMMITS = 32;

/** Where a log is made, and what is in it. */
export interface ChangesLog {
  readonly path: string;
  readonly format: "checked" | "plain";
  readonly changes: number;
  readonly accounts: number;
}

/** Writes a log: the first change of every account, then some of any. */
export async function writeChanges({ path, format, ...plan }: ChangesLog): Promise<void> {
  const { changes, accounts } = plan;
  // One sync, at the end: nobody waits for those before.
  const log = await openFileLog(path, { format, durability: "no" });
  let state = 1; // The seed is fixed: all runs replay the same.
  for (let at = 0; at < changes;) {
    const commits: Commit[] = [];
    for (; commits.length < FLUSH_COMMITS && at < changes; at++) {
      state = Math.imul(state, 0x5851f42d) + 0x14057b7d >>> 0;
      const id = at < accounts ? at : Math.floor(state / 2 ** 32 * accounts);
      const event = Buffer.from(changeText(id, at, state), "latin1");
      // The size of such an event is written as one byte.
      commits.push({ events: [event], bytes: CHANGE_BYTES + 1 });
    }
    await log.append(commits);
  }
  await log.close();
}

function changeText(id: number, at: number, random: number): string {
  const text = `{"id":${id},"at":${1_700_000_000 + at},"add":${random % 2001 - 1000},"by":"`;
  return `${text.padEnd(CHANGE_BYTES - 2, "x")}"}`;
}
