/**
 * Histories of a register that is linearizable because it does one thing after the other, as
 * fast-check draws them: clients whose calls overlap, answers that are lost, servers that end.
 */

import fc from "fast-check";
import type { Register } from "../support/register_app.ts";
import { type Call, type Operation, Recorder } from "./history.ts";
import { type Input, type Output, register } from "./register.ts";

type Op = Operation<Input, Output>;

/** One thing that happens next; what does not fit is passed over. */
interface Step {
  readonly what: "go on" | "lose the answer" | "server ends";
  readonly client: number;
  readonly key: number;
  readonly kind: Input["kind"];
  /** What the answer tells. */
  readonly tells: "everything" | "the value" | "the count" | "nothing";
}

/** A call on its way. */
interface Pending {
  readonly key: string;
  readonly input: Input;
  readonly tells: Step["tells"];
  /** Undefined once the answer is lost. */
  call: Call<Output> | undefined;
  /** Once it has happened. */
  output: Output | undefined;
}

const CLIENTS = 4;

/** Options of {@linkcode simulatedHistories}. */
export interface SimulationOptions {
  readonly stepsMax: number;
  readonly keys: number;
}

/** Histories that are linearizable. */
export function simulatedHistories(
  { stepsMax, keys }: SimulationOptions,
): fc.Arbitrary<readonly Op[]> {
  const step: fc.Arbitrary<Step> = fc.record({
    what: fc.oneof(
      { arbitrary: fc.constant("go on" as const), weight: 20 },
      { arbitrary: fc.constant("lose the answer" as const), weight: 2 },
      { arbitrary: fc.constant("server ends" as const), weight: 1 },
    ),
    client: fc.nat(CLIENTS - 1),
    key: fc.nat(keys - 1),
    kind: fc.constantFrom("get", "get", "put", "compare and set", "increment"),
    tells: fc.constantFrom("everything", "the value", "the count", "nothing"),
  });
  return fc.array(step, { minLength: stepsMax / 2, maxLength: stepsMax, size: "max" }).map((
    steps,
  ) => simulate(steps));
}

/** The same on one key, small, with one read's answer replaced by one of an earlier state. */
export function staleReads({ stepsMax }: { stepsMax: number }): fc.Arbitrary<readonly Op[]> {
  return fc.tuple(simulatedHistories({ stepsMax, keys: 1 }), fc.nat(), fc.nat())
    .map(([history, which, how]) => withStaleRead(history, which, how))
    .filter((history) => history !== undefined && history.length <= 7)
    .map((history) => history ?? []);
}

function withStaleRead(history: readonly Op[], which: number, how: number): Op[] | undefined {
  const reads = history.filter(({ input, output }) => input.kind === "get" && output?.seen);
  const read = reads[which % reads.length];
  if (read === undefined) return undefined;
  const seen = history.filter((op) => op.endedAt < read.endedAt)
    .flatMap(({ output }) => output?.seen ?? []);
  const others = [register.initial, ...seen].filter((other) => differ(other, read.output?.seen));
  const older = others[how % others.length];
  if (older === undefined) return undefined;
  return history.map((op) => op === read ? { ...op, output: { done: true, seen: older } } : op);
}

function differ(a: Partial<Register>, b: Partial<Register> = {}): boolean {
  return JSON.stringify(a) !== JSON.stringify({ ...a, ...b });
}

function simulate(steps: readonly Step[]): readonly Op[] {
  const recorder = new Recorder<Input, Output>();
  const states = new Map<string, Register>();
  const clients: (Pending | undefined)[] = Array.from({ length: CLIENTS });
  /** Calls without a client, which may still happen. */
  let orphans: Pending[] = [];
  const happen = (pending: Pending): void => {
    const before = states.get(pending.key) ?? register.initial;
    const after = register.step(before, pending.input, undefined);
    states.set(pending.key, after ?? before);
    pending.output = tell(after !== undefined, after ?? before, pending.tells);
  };
  for (const [i, { what, client, key, kind, tells }] of steps.entries()) {
    const pending = clients[client];
    if (what === "server ends") {
      for (const { call } of clients.flatMap((pending) => pending ?? [])) call?.lost();
      clients.fill(undefined);
      orphans = [];
      recorder.serverEnded();
    } else if (what === "lose the answer") {
      const orphan = orphans.shift();
      if (orphan !== undefined) happen(orphan);
      if (pending === undefined) continue;
      pending.call?.lost();
      if (pending.output === undefined) orphans.push(pending);
      clients[client] = undefined;
    } else if (pending === undefined) {
      const input = inputOf(kind, i, states.get(`k${key}`) ?? register.initial);
      const call = recorder.call(client, `k${key}`, input);
      clients[client] = { key: `k${key}`, input, tells, call, output: undefined };
    } else if (pending.output === undefined) {
      happen(pending);
    } else {
      pending.call?.answered(pending.output);
      clients[client] = undefined;
    }
  }
  for (const pending of clients) pending?.call?.lost();
  return recorder.history;
}

/** Values are unique, and one in three compare-and-sets expects something else than it finds. */
function inputOf(kind: Input["kind"], i: number, { value }: Register): Input {
  switch (kind) {
    case "get":
      return { kind };
    case "put":
      return { kind, value: `v${i}` };
    case "compare and set":
      return { kind, expected: i % 3 === 0 ? null : value, value: `v${i}` };
    case "increment":
      return { kind, by: 1 + i % 3 };
  }
}

function tell(done: boolean, seen: Register, tells: Step["tells"]): Output {
  switch (tells) {
    case "everything":
      return { done, seen };
    case "the value":
      return { done, seen: { value: seen.value } };
    case "the count":
      return { done, seen: { count: seen.count } };
    case "nothing":
      return { done };
  }
}
