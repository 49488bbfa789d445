/**
 * The application of the bench of snapshots: a million entries, each with a few fields, that the
 * changes of `../replay/events.ts` have made.
 */

import { type App, defineApp } from "alcedo";
import { bodyFor, bodyOf, keyOf } from "../application.ts";
import type { Change } from "../replay/events.ts";

/** An entry. */
export interface Entry {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly tags: readonly string[];
  readonly createdAt: number;
  balance: number;
  changes: number;
}

export type Entries = Map<string, Entry>;

/** What of an application a process is to have: with a version it uses snapshots. */
export function makeApp(modelVersion?: string): App<Entries, Change> {
  return defineApp<Entries, Change>({
    ...(modelVersion === undefined ? {} : { modelVersion }),
    initModel: () => new Map(),
    updateModel: apply,
    handleRequest(request, entries) {
      const key = request.url.slice(request.url.lastIndexOf("/") + 1);
      const entry = entries.get(key);
      return new Response(entry === undefined ? bodyFor(key, undefined) : bodyOf(entry.id));
    },
  });
}

export const MODEL_VERSION = "1";

export default makeApp(MODEL_VERSION);

function apply(entries: Entries, changes: readonly Change[]): Entries {
  for (const { id, add, at } of changes) {
    const key = keyOf(id);
    const entry = entries.get(key);
    if (entry === undefined) {
      entries.set(key, {
        id,
        name: `Name of ${id}`,
        email: `user${id}@example.com`,
        tags: ["new", `group${id % 10}`],
        createdAt: at,
        balance: add,
        changes: 1,
      });
    } else {
      entry.balance += add;
      entry.changes++;
    }
  }
  return entries;
}

/** A number that is the same for the same entries, whatever made them. */
export function hashOf(entries: ReadonlyMap<string, Entry>): number {
  let hash = entries.size;
  for (const [key, { id, email, tags, createdAt, balance, changes }] of entries) {
    const texts = key.length ^ email.length ^ tags.length ^ (tags[1]?.length ?? 0);
    hash = Math.imul(hash ^ id ^ texts ^ createdAt % 0x7fffffff ^ balance ^ changes, 0x9e3779b1);
  }
  return hash >>> 0;
}
