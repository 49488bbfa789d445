/**
 * A log whose process or machine stops at every single step of its first life (being made,
 * written, closed), and then at every single step of the next (being recovered, written, closed),
 * and once more in the one after; in which every single operation fails; and which is copied, cut,
 * converted, restored and squashed by somebody who is stopped at every single step.
 */

import assert from "node:assert/strict";
import { env } from "node:process";
import { test } from "node:test";
import {
  type LogCounts,
  type LogLife,
  type LogScenario,
  runLogLives,
} from "../support/log_lives.ts";
import { WORKS } from "../support/log_work.ts";
import { Random } from "../support/random.ts";
import { SURVIVALS } from "../support/simulated_file.ts";

const ENDS = {
  checked: ["kill", ...SURVIVALS],
  // Without sums, nobody can find a hole.
  plain: ["kill", "nothing", "everything", "prefix"],
} as const satisfies Record<string, readonly LogLife["end"][]>;

/** One commit, synced in the foreground; then more, in the background; some larger than pages. */
const FIRST: LogLife = { flushes: [[[3, 40]], [[5], [6000, 9], [7]]], faults: [], end: "kill" };
const NEXT: LogLife = { flushes: [[[8]], [[9]]], faults: [], end: "kill" };
const WORK: LogLife = { flushes: [], faults: [], end: "kill" };

async function run(scenario: LogScenario): Promise<LogCounts> {
  try {
    return await runLogLives(scenario);
  } catch (cause) {
    throw new Error(`It breaks a promise: ${JSON.stringify(scenario)}`, { cause });
  }
}

for (const format of ["checked", "plain"] as const) {
  const ends = ENDS[format];
  const scenario = (seed: number, lives: LogLife[]): LogScenario => {
    return { seed, format, durability: "always", lives };
  };

  test(`${format} log keeps its promises when it is stopped at any step, and then again`, async () => {
    const random = new Random(Number(env.ALCEDO_SEED ?? 1));
    let cases = 0;
    let first: number;
    for (first = 1;; first++) {
      let crashes = 2;
      for (let second = 1; crashes >= 2; second++) {
        // All ways of both to end with ALCEDO_LONG, else one, in turn.
        const ways = env.ALCEDO_LONG ? ends.length ** 2 : 1;
        for (let way = 0; way < ways; way++) {
          const turn = ways === 1 ? first + second * (ends.length + 1) : way;
          const one = ends[turn % ends.length] ?? "kill";
          const two = ends[Math.floor(turn / ends.length) % ends.length] ?? "kill";
          const counts = await run(scenario(cases++, [
            { ...FIRST, crashAtStep: first, end: one },
            { ...NEXT, crashAtStep: second, end: two },
            { ...NEXT, crashAtStep: 1 + random.upTo(50), end: random.of(ends) },
          ]));
          crashes = counts.crashes;
          if (counts.steps[1] !== undefined && counts.steps[1] < second) crashes = 0;
        }
      }
      const { crashes: last } = await run(scenario(first, [{ ...FIRST, crashAtStep: first }]));
      if (last === 0) break;
    }
    assert.ok(first > 35 && cases > 1000, `${first} steps, ${cases} cases`);
  });

  test(`${format} log keeps its promises when any of its operations fails`, async () => {
    let cases = 0;
    for (let first = 1;; first++) {
      let steps = 0;
      for (const end of ends) {
        const counts = await run(scenario(cases++, [{ ...FIRST, failAtStep: first, end }, NEXT]));
        steps = counts.steps[0] ?? 0;
        await run(scenario(cases++, [FIRST, { ...NEXT, failAtStep: first, end }, NEXT]));
      }
      if (steps < first) break;
    }
    assert.ok(cases > 35 * ends.length, `${cases} cases`);
  });

  test(`${format} log keeps its promises when work on it is stopped at any step`, async () => {
    let cases = 0;
    for (const kind of WORKS) {
      for (let step = 1;; step++) {
        let isOver = false;
        for (const end of env.ALCEDO_LONG ? ends : [ends[step % ends.length] ?? "kill"]) {
          // What the work finds was torn, at one step or another; and so is the start after it.
          const torn = { ...NEXT, crashAtStep: 15 + cases % 20 };
          const counts = await run(scenario(cases++, [
            FIRST,
            { ...WORK, work: { kind: "backup", where: 0 } },
            torn,
            { ...WORK, work: { kind, where: 0.9 }, crashAtStep: step, end },
            torn,
          ]));
          isOver = (counts.steps[3] ?? 0) < step;
        }
        if (isOver) break;
      }
    }
    assert.ok(cases > 30 * WORKS.length, `${cases} cases`);
  });
}
