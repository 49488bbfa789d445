/**
 * Checks whether a history is linearizable: whether each operation can be given one moment
 * between its call and its end, at which it happened as the specification says.
 *
 * The search is that of J. Wing and C. Gong (Testing and verifying concurrent objects, 1993) with
 * the memory of G. Lowe (Testing for linearizability, 2017): a set of decided operations and a
 * state are looked at once. Each key is a history of its own, as in A. Horn and D. Kroening
 * (Faster linearizability checking via P-compositionality, 2015). The form, a list of calls and
 * ends from which operations are lifted, is that of Porcupine (A. Athalye) and Knossos (K.
 * Kingsbury), with one addition: an operation without an answer is dropped at its end.
 */

import type { Operation } from "./history.ts";

/** What an object does when nothing happens at the same time. States are never changed. */
export interface Specification<State, Input, Output> {
  readonly initial: State;
  /**
   * The state after `input`, or undefined if this cannot have happened in `state`: it would have
   * been answered otherwise. Without an output: if it happened unseen, or cannot.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** The same text for the same state, and for no other. */
  identify(state: State): string;
}

/** What a check ends with. `steps` is how many states were looked at. */
export type Verdict =
  | { readonly kind: "linearizable"; readonly steps: number }
  | { readonly kind: "not linearizable"; readonly steps: number; readonly why: string }
  | { readonly kind: "gave up"; readonly steps: number; readonly why: string };

/** Options of {@linkcode check}. */
export interface CheckOptions {
  /**
   * States to look at for one key before it gives up.
   * @default {STEPS_MAX}
   */
  stepsMax?: number;
}

/** A second or two, and some 100 MB. A history of 300 operations takes about as many steps. */
const STEPS_MAX = 500_000;

/** Operations that are shown before the place where no way leads on. */
const SHOWN_MAX = 12;

/** Checks each key of `history`; the first that is not linearizable decides. */
export function check<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  specification: Specification<State, Input, Output>,
  options: CheckOptions = {},
): Verdict {
  const { stepsMax = STEPS_MAX } = options;
  let steps = 0;
  let gaveUp: Verdict | undefined;
  for (const [key, operations] of Map.groupBy(history, ({ key }) => key)) {
    const search = new Search(operations, specification);
    const found = search.run(stepsMax);
    steps += search.steps;
    if (found === false) {
      return { kind: "not linearizable", steps, why: `key "${key}": ${search.explain()}` };
    }
    if (found === undefined) {
      gaveUp ??= { kind: "gave up", steps, why: `key "${key}": undecided after ${stepsMax} steps` };
    }
  }
  return gaveUp ?? { kind: "linearizable", steps };
}

/** An operation that was decided on, and how to go back. */
interface Decision<State> {
  readonly operation: number;
  /** Before it. */
  readonly state: State;
  readonly isDropped: boolean;
}

/** Where the search came furthest. */
interface Furthest<State> {
  readonly state: State;
  readonly decisions: readonly Decision<State>[];
  readonly candidates: readonly number[];
}

/**
 * The search over one key. Its entries are the call of operation `i`, at `2 * i + 1`, and its end,
 * at `2 * i + 2`, in a doubly linked list in the order of time; 0 is before the first and behind
 * the last.
 */
class Search<State, Input, Output> {
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #specification: Specification<State, Input, Output>;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** One bit for each operation that is decided on: it has its place, or is dropped. */
  readonly #decided: Uint16Array;
  /** Sets of decided operations with the state after them. */
  readonly #seen = new Set<string>();
  readonly #decisions: Decision<State>[] = [];
  #state: State;
  #furthest: Furthest<State> | undefined;

  constructor(
    operations: readonly Operation<Input, Output>[],
    specification: Specification<State, Input, Output>,
  ) {
    this.#operations = operations;
    this.#specification = specification;
    this.#state = specification.initial;
    this.#decided = new Uint16Array(Math.ceil(operations.length / 16));
    this.#next = new Int32Array(2 * operations.length + 1);
    this.#previous = new Int32Array(2 * operations.length + 1);
    this.#link();
  }

  get steps(): number {
    return this.#seen.size;
  }

  /** Whether there is an order; undefined if none was found in `stepsMax` steps. */
  run(stepsMax: number): boolean | undefined {
    let entry = this.#first;
    while (entry !== 0) {
      if (this.#seen.size >= stepsMax) return undefined;
      const operation = (entry - 1) >> 1;
      if (isCall(entry)) {
        entry = this.#place(operation) ? this.#first : this.#after(entry);
      } else if (this.#isUnknown(operation)) {
        // All that could come while it may still happen was tried. From here on it never happens.
        const after = this.#after(entry);
        entry = this.#decide(operation, this.#state, true) ? after : this.#back();
      } else {
        this.#note();
        entry = this.#back();
      }
      if (entry === NO_WAY) return false;
    }
    return true;
  }

  /** Says how far the longest order came, and what could not follow. */
  explain(): string {
    if (this.#furthest === undefined) return "no operation was tried";
    const { state, decisions, candidates } = this.#furthest;
    const line = (index: number, note = "") => `\n  ${this.#inWords(index)}${note}`;
    const shown = decisions.slice(-SHOWN_MAX);
    return `after ${decisions.length} of ${this.#operations.length} operations, the last of them` +
      shown.map(({ operation, isDropped }) => line(operation, isDropped ? " (never)" : ""))
        .join("") +
      `\nthe state is ${JSON.stringify(state)}, and nothing of this can follow` +
      candidates.map((operation) => line(operation)).join("");
  }

  #inWords(index: number): string {
    const { client, input, output, calledAt, endedAt } = this.#at(index);
    const answer = output === undefined ? "unknown" : JSON.stringify(output);
    return `[${calledAt}, ${endedAt}] client ${client}: ${JSON.stringify(input)} => ${answer}`;
  }

  #at(index: number): Operation<Input, Output> {
    const operation = this.#operations[index];
    if (operation === undefined) throw new RangeError(`there is no operation ${index}`);
    return operation;
  }

  #isUnknown(operation: number): boolean {
    return this.#at(operation).output === undefined;
  }

  get #first(): number {
    return this.#after(0);
  }

  #after(entry: number): number {
    return this.#next[entry] ?? 0;
  }

  #link(): void {
    const entries = this.#operations.flatMap(({ calledAt, endedAt }, i) => [
      { entry: 2 * i + 1, at: calledAt },
      { entry: 2 * i + 2, at: endedAt },
    ]);
    // Calls first where times are the same: then the two may have been at the same time.
    entries.sort((a, b) =>
      a.at === b.at ? Number(!isCall(a.entry)) - Number(!isCall(b.entry)) : a.at - b.at
    );
    let last = 0;
    for (const { entry } of entries) {
      this.#next[last] = entry;
      this.#previous[entry] = last;
      last = entry;
    }
    this.#next[last] = 0;
    this.#previous[0] = last;
  }

  /** Lets `operation` happen next, if it can and this leads to something new. */
  #place(operation: number): boolean {
    const { input, output } = this.#at(operation);
    const after = this.#specification.step(this.#state, input, output);
    return after !== undefined && this.#decide(operation, after, false);
  }

  #decide(operation: number, after: State, isDropped: boolean): boolean {
    this.#flip(operation);
    // The bits as text: one character for sixteen operations.
    const bits = String.fromCharCode(...this.#decided);
    const key = `${this.#specification.identify(after)} ${bits}`;
    if (this.#seen.has(key)) {
      this.#flip(operation);
      return false;
    }
    this.#seen.add(key);
    this.#decisions.push({ operation, state: this.#state, isDropped });
    this.#state = after;
    this.#lift(2 * operation + 1);
    this.#lift(2 * operation + 2);
    return true;
  }

  /** Takes decisions back, up to one with another way to go: where that begins. */
  #back(): number {
    for (;;) {
      const decision = this.#decisions.pop();
      if (decision === undefined) return NO_WAY;
      const { operation, state, isDropped } = decision;
      this.#state = state;
      this.#flip(operation);
      this.#putBack(2 * operation + 2);
      this.#putBack(2 * operation + 1);
      if (!isDropped) return this.#after(2 * operation + 1);
    }
  }

  #flip(operation: number): void {
    this.#decided[operation >> 4] = (this.#decided[operation >> 4] ?? 0) ^ 1 << (operation & 15);
  }

  #lift(entry: number): void {
    const next = this.#next[entry] ?? 0;
    const previous = this.#previous[entry] ?? 0;
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  /** Undoes the last {@linkcode #lift} that was not undone: the entry knows its neighbours. */
  #putBack(entry: number): void {
    this.#next[this.#previous[entry] ?? 0] = entry;
    this.#previous[this.#next[entry] ?? 0] = entry;
  }

  #note(): void {
    if (this.#decisions.length < (this.#furthest?.decisions.length ?? -1) + 1) return;
    const candidates: number[] = [];
    for (let entry = this.#first; isCall(entry); entry = this.#after(entry)) {
      candidates.push((entry - 1) >> 1);
    }
    this.#furthest = { state: this.#state, decisions: [...this.#decisions], candidates };
  }
}

/** An entry that is none: every way was tried. */
const NO_WAY = -1;

function isCall(entry: number): boolean {
  return (entry & 1) === 1;
}
