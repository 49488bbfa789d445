/**
 * Runs a property of fast-check: few cases as a rule, twenty times as many with `ALCEDO_LONG`.
 * A failure prints its seed; `ALCEDO_SEED` runs it again.
 */

import { env } from "node:process";
import fc from "fast-check";

const TIMES = env.ALCEDO_LONG ? 20 : 1;

/** Whether `property` holds for `runs` cases, else throws with the seed and the smallest case. */
export async function holds<T>(
  runs: number,
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => Promise<void> | void,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      await property(value);
    }),
    { numRuns: runs * TIMES, ...seedOfEnvironment() },
  );
}

/** Whether some case of at most `runs` breaks `property`: the message it fails with. */
export async function breaks<T>(
  runs: number,
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => Promise<void>,
): Promise<string | undefined> {
  const { failed, errorInstance, seed } = await fc.check(
    fc.asyncProperty(arbitrary, property),
    { numRuns: runs * TIMES, endOnFailure: true, ...seedOfEnvironment() },
  );
  if (!failed) return undefined;
  const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  return `${why} (seed ${seed})`;
}

function seedOfEnvironment(): { seed?: number } {
  return env.ALCEDO_SEED === undefined ? {} : { seed: Number(env.ALCEDO_SEED) };
}
