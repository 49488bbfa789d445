/**
 * What kind of object a part of a model is, and whether it would come back as what it is.
 */

import { ERRORS, VIEWS } from "./model_layout.ts";

/** How an object is written. */
export type Kind =
  | "plain"
  | "bare"
  | "array"
  | "map"
  | "set"
  | "date"
  | "regexp"
  | "arrayBuffer"
  | "view"
  | "error"
  | "boxed";

interface Base {
  readonly kind: Kind;
  /** The prototype of objects of this kind. */
  readonly prototype: object | null;
  /** Whether such an object may have properties that are its own. */
  readonly hasProperties: boolean;
}

const PLAIN: Base = { kind: "plain", prototype: Object.prototype, hasProperties: true };
const BARE: Base = { kind: "bare", prototype: null, hasProperties: true };
const ARRAY: Base = { kind: "array", prototype: Array.prototype, hasProperties: true };

/** All others. An error's own kind comes before `Error`, which is the prototype of its prototype. */
const OTHERS: readonly (Base & { readonly prototype: object })[] = [
  { kind: "map", prototype: Map.prototype, hasProperties: false },
  { kind: "set", prototype: Set.prototype, hasProperties: false },
  { kind: "date", prototype: Date.prototype, hasProperties: false },
  { kind: "regexp", prototype: RegExp.prototype, hasProperties: false },
  { kind: "arrayBuffer", prototype: ArrayBuffer.prototype, hasProperties: false },
  // What a view has are its numbers, and a string its letters.
  ...VIEWS.map(({ prototype }) => ({ kind: "view", prototype, hasProperties: true } as const)),
  ...ERRORS.toReversed().map(({ prototype }) =>
    ({ kind: "error", prototype, hasProperties: false }) as const
  ),
  ...[Number, String, Boolean, BigInt].map(({ prototype }) =>
    ({ kind: "boxed", prototype, hasProperties: true }) as const
  ),
];

/**
 * The kind of an object, or a sentence's end that says why it cannot be kept: what would come
 * back as less than it is, is refused.
 */
export function kindOf(object: object): { kind: Kind; fault?: string } {
  const prototype: object | null = Object.getPrototypeOf(object);
  const base = baseOf(object, prototype);
  const { kind } = base;
  if (prototype !== base.prototype && !isFieldsOnly(prototype, base.prototype)) {
    const { constructor } = object;
    const name = typeof constructor === "function" && constructor.name || "a class";
    const fault = `is an instance of ${name}, and would lose what that class gives it`;
    return { kind, fault };
  }
  if (kind !== "error") {
    const symbol = Object.getOwnPropertySymbols(object)[0];
    if (symbol !== undefined) return { kind, fault: `has a property named ${String(symbol)}` };
  }
  if (!base.hasProperties) {
    const own = Object.keys(object)[0];
    if (own !== undefined) {
      return { kind, fault: `has a property "${own}", which is no part of what it is` };
    }
  }
  if (object instanceof ArrayBuffer) {
    if (object.resizable) return { kind, fault: "can be resized" };
    if (object.detached) return { kind, fault: "is detached" };
  }
  return { kind };
}

function baseOf(object: object, prototype: object | null): Base {
  if (prototype === Object.prototype) return PLAIN;
  if (Array.isArray(object)) return ARRAY;
  if (prototype === null) return BARE;
  return OTHERS.find(({ prototype }) => Object.prototype.isPrototypeOf.call(prototype, object)) ??
    PLAIN;
}

/** Whether all that lies between an object and the prototype of its kind is constructors. */
function isFieldsOnly(prototype: object | null, base: object | null): boolean {
  for (let at = prototype; at !== base; at = Object.getPrototypeOf(at)) {
    if (at === null || Reflect.ownKeys(at).some((key) => key !== "constructor")) return false;
  }
  return true;
}
