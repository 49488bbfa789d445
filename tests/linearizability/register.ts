/**
 * What the application of `tests/support/register_app.ts` is for one key, when nothing happens at
 * the same time: a register with a counter, and a version that counts both kinds of change.
 */

import type { Register } from "../support/register_app.ts";
import type { Specification } from "./checker.ts";

/** An operation. Values are unique: no two writes of a history write the same one. */
export type Input =
  | { readonly kind: "get" }
  | { readonly kind: "put"; readonly value: string }
  | {
    readonly kind: "compare and set";
    readonly expected: string | null;
    readonly value: string;
  }
  | { readonly kind: "increment"; readonly by: number };

/** An answer: whether it was done, and what was seen with it, if it says so. */
export interface Output {
  /** False for a compare-and-set that found another value. */
  readonly done: boolean;
  readonly seen?: Partial<Register>;
}

/** A key that nobody has written to. */
export const ABSENT: Register = { value: null, count: 0, version: 0 };

/** The specification of a key. */
export const register: Specification<Register, Input, Output> = {
  initial: ABSENT,
  step(state, input, output) {
    const after = next(state, input);
    if (output === undefined) return after;
    if (!output.done) return after === undefined && hasSeen(output, state) ? state : undefined;
    return after !== undefined && hasSeen(output, after) ? after : undefined;
  },
  identify: ({ value, count, version }) => `${version} ${count} ${value}`,
};

/** The state after `input`; undefined if it is not done. */
function next(state: Register, input: Input): Register | undefined {
  const version = state.version + 1;
  switch (input.kind) {
    case "get":
      return state;
    case "put":
      return { ...state, value: input.value, version };
    case "compare and set":
      return state.value === input.expected ? { ...state, value: input.value, version } : undefined;
    case "increment":
      return { ...state, count: state.count + input.by, version };
  }
}

function hasSeen({ seen }: Output, state: Register): boolean {
  if (seen === undefined) return true;
  return (seen.value === undefined || seen.value === state.value) &&
    (seen.count === undefined || seen.count === state.count) &&
    (seen.version === undefined || seen.version === state.version);
}
