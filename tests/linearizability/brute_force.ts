/**
 * Linearizability by its definition, for histories of a few operations: all orders of all
 * choices of what has happened. It shares nothing with `checker.ts` but the specification.
 */

import type { Specification } from "./checker.ts";
import type { Operation } from "./history.ts";

/** Whether some order explains `history`, which is of one key. */
export function isLinearizable<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  specification: Specification<State, Input, Output>,
): boolean {
  for (const happened of choices(history)) {
    for (const order of permutations(happened)) {
      if (isInTime(order) && isAsSpecified(order, specification)) return true;
    }
  }
  return false;
}

/** All that was answered, with any of what is unknown. */
function* choices<Input, Output>(
  [first, ...rest]: readonly Operation<Input, Output>[],
): Generator<Operation<Input, Output>[]> {
  if (first === undefined) return yield [];
  for (const others of choices(rest)) {
    yield [first, ...others];
    if (first.output === undefined) yield others;
  }
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [i, item] of items.entries()) {
    for (const rest of permutations(items.toSpliced(i, 1))) yield [item, ...rest];
  }
}

/** Whether nothing comes after what was called when it had ended. */
function isInTime(order: readonly Operation<unknown, unknown>[]): boolean {
  return order.every((later, i) =>
    order.slice(0, i).every((earlier) => later.endedAt >= earlier.calledAt)
  );
}

function isAsSpecified<State, Input, Output>(
  order: readonly Operation<Input, Output>[],
  specification: Specification<State, Input, Output>,
): boolean {
  let state: State | undefined = specification.initial;
  for (const { input, output } of order) {
    if (state === undefined) return false;
    state = specification.step(state, input, output);
  }
  return state !== undefined;
}
