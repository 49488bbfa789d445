/**
 * Random plans for `log_lives.ts`: what is appended, what fails, how each life ends, and what is
 * done to the files before the next.
 */

import fc from "fast-check";
import type { Harm } from "./log_harm.ts";
import type { LogFault, LogLife, LogScenario } from "./log_lives.ts";
import type { Work } from "./log_work.ts";
import { type Survival, SURVIVALS } from "./simulated_file.ts";

/** Which scenarios. */
export interface LogPlanOptions {
  readonly format?: LogScenario["format"];
  readonly harms?: readonly Harm["kind"][];
  readonly durability?: LogScenario["durability"];
  readonly works?: readonly Work["kind"][];
}

/** Without sums, nobody can find a hole: in the plain format zeros are events. */
const PLAIN_SURVIVALS: readonly Survival[] = ["nothing", "everything", "prefix"];

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 60 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 700 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 9000 }) },
);

const fault: fc.Arbitrary<LogFault> = fc.record({
  at: fc.integer({ min: 0, max: 5 }),
  kind: fc.constantFrom(
    "no room",
    "no room",
    "room",
    "write",
    "sync",
    "sync",
    "cut",
    "read",
    "mark",
    "later",
  ),
  amount: fc.integer({ min: 0, max: 500 }),
});

function life({ format, harms = [], works = [] }: LogPlanOptions): fc.Arbitrary<LogLife> {
  const survivals = format === "plain" ? PLAIN_SURVIVALS : SURVIVALS;
  const harm = oneOf(harms);
  const work = oneOf(works);
  const step = fc.integer({ min: 1, max: 70 });
  return fc.record({
    flushes: fc.array(
      fc.array(fc.array(size, { maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      { maxLength: 6 },
    ),
    faults: fc.oneof(fc.constant([]), fc.array(fault, { maxLength: 3 })),
    failAtStep: fc.option(step, { nil: undefined, freq: 1 }),
    crashAtStep: fc.option(step, { nil: undefined, freq: 3 }),
    end: fc.constantFrom<LogLife["end"]>("kill", "kill", ...survivals),
    writeBackChance: fc.constantFrom(0, 0, 0.1, 0.5),
    areNamesUnordered: fc.constantFrom(false, false, true),
    harm,
    work,
  });
}

/** One of some kinds, somewhere in the log; or none. */
function oneOf<Kind>(
  kinds: readonly Kind[],
): fc.Arbitrary<{ readonly kind: Kind; readonly where: number } | undefined> {
  if (kinds.length === 0) return fc.constant(undefined);
  const some = fc.record({
    kind: fc.constantFrom(...kinds),
    where: fc.integer({ min: 0, max: 9999 }).map((part) => part / 10_000),
  });
  return fc.option(some, { nil: undefined, freq: 2 });
}

/** Random scenarios. */
export function logScenarios(options: LogPlanOptions = {}): fc.Arbitrary<LogScenario> {
  const { format = "checked" } = options;
  return fc.record({
    seed: fc.integer(),
    format: fc.constant(format),
    durability: options.durability === undefined
      ? fc.constantFrom<LogScenario["durability"]>("always", "always", "always", "everysec", "no")
      : fc.constant(options.durability),
    lives: fc.array(life({ ...options, format }), {
      minLength: 1,
      maxLength: options.works === undefined ? 4 : 8,
    }),
  });
}
