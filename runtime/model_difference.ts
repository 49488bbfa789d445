/**
 * Finds where two models differ, and says so by the way to it.
 *
 * Models are compared as data: by what they hold, in whatever order their maps, sets and objects
 * hold it. Functions, and what a class keeps in `#private` fields, cannot be looked at. It walks
 * without recursion, because a model may be a long chain.
 */

import { pathText } from "./model_path.ts";

/** Where two models differ. */
export interface Difference {
  /** The way to it, such as `model.users.get("ann").age`. */
  readonly path: string;
  /** What is there in the one, and in the other, shortly: `3`, or `without "ann"`. */
  readonly left: string;
  readonly right: string;
}

/** Characters of a value that are shown. */
const SHOWN_MAX = 60;

/** A member of an object and the same of another; `at` is its place, as `pathText` wants it. */
type Pair = readonly [at: unknown, left: unknown, right: unknown];

/** A member that only one of two objects has. */
interface Gap {
  readonly key: unknown;
  readonly isLeft: boolean;
}

/** An object on the way, with what of it was not compared. */
interface Level {
  readonly object: object;
  readonly members: Iterator<Pair | Gap>;
  at: unknown;
}

/** The first difference between two models, or `undefined` if there is none. */
export function firstDifference(left: unknown, right: unknown): Difference | undefined {
  const levels: Level[] = [];
  /** An object and what it was compared with: ways may meet, or go in a circle. */
  const seen = new Map<object, object>();
  let pair: Pair = [undefined, left, right];
  for (;;) {
    const [, a, b] = pair;
    if (!isSameValue(a, b)) {
      if (!isObject(a) || !isObject(b) || !isAlike(a, b)) {
        return { path: pathTo(levels), left: shown(a), right: shown(b) };
      }
      if (seen.get(a) !== b) {
        seen.set(a, b);
        levels.push({ object: a, members: membersOf(a, b), at: undefined });
      }
    }
    const next = nextMember(levels);
    if (next === undefined) return undefined;
    if ("key" in next) {
      const key = shown(next.key);
      const [left, right] = next.isLeft ? ["with", "without"] : ["without", "with"];
      return {
        path: pathTo(levels.slice(0, -1)),
        left: `${left} ${key}`,
        right: `${right} ${key}`,
      };
    }
    pair = next;
  }
}

function pathTo(levels: readonly Level[]): string {
  return pathText(levels.map(({ object }) => object), levels.map(({ at }) => at));
}

/** The next member of the innermost object that has one. */
function nextMember(levels: Level[]): Pair | Gap | undefined {
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const { done, value } = level.members.next();
    if (!done) {
      if (!("key" in value)) level.at = value[0];
      return value;
    }
    levels.pop();
  }
  return undefined;
}

function isSameValue(a: unknown, b: unknown): boolean {
  // Functions have no contents to compare.
  return a === b || Object.is(a, b) || typeof a === "function" && typeof b === "function";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whether two objects are of one kind, and hold the same but for their members. */
function isAlike(a: object, b: object): boolean {
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b) && kindOf(a) !== kindOf(b)) {
    return false;
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length;
  if (a instanceof Date && b instanceof Date) return isSameValue(a.getTime(), b.getTime());
  if (a instanceof RegExp && b instanceof RegExp) {
    return String(a) === String(b) && a.lastIndex === b.lastIndex;
  }
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) {
    return isSameBytes(new Uint8Array(a), new Uint8Array(b));
  }
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) return isSameBytes(bytesOf(a), bytesOf(b));
  if (a instanceof Error && b instanceof Error) return a.name === b.name && a.message === b.message;
  if (isBoxed(a) && isBoxed(b)) return isSameValue(a.valueOf(), b.valueOf());
  return true;
}

/** What an object has by its kind: a class without methods adds nothing, and codecs leave it out. */
function kindOf(object: object): object {
  let at: object | null = Object.getPrototypeOf(object);
  while (at !== null && Reflect.ownKeys(at).every((key) => key === "constructor")) {
    at = Object.getPrototypeOf(at);
  }
  return at ?? Object.prototype;
}

function isBoxed(object: object): boolean {
  return object instanceof Number || object instanceof String || object instanceof Boolean ||
    object instanceof BigInt;
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What two objects of one kind hold, member by member, or what only one of them does. */
function membersOf(a: object, b: object): Iterator<Pair | Gap> {
  if (a instanceof Map && b instanceof Map) return entriesOf(a, b);
  if (a instanceof Set && b instanceof Set) return elementsOf(a, b);
  if (Array.isArray(a) && Array.isArray(b)) return itemsOf(a, b);
  if (ArrayBuffer.isView(a)) return [].values(); // Its bytes were compared.
  return propertiesOf(a, b);
}

function* entriesOf(a: Map<unknown, unknown>, b: Map<unknown, unknown>): Generator<Pair | Gap> {
  // Keys that are objects are no one else's: those of both come in the order of insertion.
  const objects = [...b.keys()].filter(isObject).values();
  let i = 0;
  for (const [key, value] of a) {
    if (isObject(key)) {
      const other = objects.next().value;
      if (other === undefined) return yield { key, isLeft: true };
      yield [2 * i, key, other];
      yield [2 * i + 1, value, b.get(other)];
    } else if (b.has(key)) yield [2 * i + 1, value, b.get(key)];
    else return yield { key, isLeft: true };
    i++;
  }
  if (a.size < b.size) yield* surplusOf(a, b, objects.next().value);
}

function* elementsOf(a: Set<unknown>, b: Set<unknown>): Generator<Pair | Gap> {
  const objects = [...b].filter(isObject).values();
  let i = 0;
  for (const element of a) {
    if (isObject(element)) {
      const other = objects.next().value;
      if (other === undefined) return yield { key: element, isLeft: true };
      yield [i, element, other];
    } else if (!b.has(element)) return yield { key: element, isLeft: true };
    i++;
  }
  if (a.size < b.size) yield* surplusOf(a, b, objects.next().value);
}

/** What is in `b` alone: an object that nothing in `a` was compared with, or a plain key. */
function* surplusOf(
  a: { has(key: unknown): boolean },
  b: { keys(): Iterable<unknown> },
  object: object | undefined,
): Generator<Gap> {
  if (object !== undefined) yield { key: object, isLeft: false };
  for (const key of b.keys()) if (!isObject(key) && !a.has(key)) yield { key, isLeft: false };
}

function* itemsOf(a: readonly unknown[], b: readonly unknown[]): Generator<Pair | Gap> {
  for (let i = 0; i < a.length; i++) {
    // In a sparse array a hole is not the same as `undefined`.
    if (i in a !== i in b) return yield { key: i, isLeft: i in a };
    yield [i, a[i], b[i]];
  }
  // An array may have properties besides, such as `index` of a match.
  const isOther = (key: string) => !/^\d+$/.test(key);
  if (Object.keys(a).length > a.length || Object.keys(b).length > b.length) {
    yield* propertiesOf(a, b, isOther);
  }
}

function* propertiesOf(
  a: object,
  b: object,
  isWanted: (key: string) => boolean = () => true,
): Generator<Pair | Gap> {
  const [left, right] = [a, b] as Record<string, unknown>[];
  for (const key of Object.keys(a)) {
    if (!isWanted(key)) continue;
    if (!Object.hasOwn(b, key)) return yield { key, isLeft: true };
    yield [key, left?.[key], right?.[key]];
  }
  for (const key of Object.keys(b)) {
    if (isWanted(key) && !Object.hasOwn(a, key)) return yield { key, isLeft: false };
  }
}

/** A value in a few words. */
function shown(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}…` : value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (!isObject(value)) return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Map || value instanceof Set) {
    return `a ${value instanceof Map ? "Map" : "Set"} of ${value.size}`;
  }
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
  }
  if (value instanceof RegExp) return String(value);
  if (isBoxed(value)) return `an object of ${String(value)}`;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `${value.byteLength} bytes`;
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "Object" && name !== ""
    ? `an instance of ${name}`
    : "an object";
}
