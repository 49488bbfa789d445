/**
 * What a log promises in accidents, as properties: random lives of writing, failing, crashing and
 * being harmed. What is checked is in `support/log_lives.ts`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WORKS } from "../support/log_work.ts";
import { HARMS } from "../support/log_harm.ts";
import { type LogCounts, runLogLives } from "../support/log_lives.ts";
import { type LogPlanOptions, logScenarios } from "../support/log_plans.ts";
import { holds } from "../support/property.ts";

/** Runs so many cases; returns what happened in all of them. */
async function run(cases: number, options: LogPlanOptions): Promise<LogCounts> {
  const total: LogCounts = { steps: [], acknowledged: 0, crashes: 0, refused: 0, cut: 0 };
  await holds(cases, logScenarios(options), async (scenario) => {
    const counts = await runLogLives(scenario);
    total.steps.push(counts.steps.reduce((sum, steps) => sum + steps, 0));
    total.acknowledged += counts.acknowledged;
    total.crashes += counts.crashes;
    total.refused += counts.refused;
    total.cut += counts.cut;
  });
  // Cases in which nothing happens would prove nothing.
  assert.ok(total.acknowledged > 2 * cases && total.crashes > cases / 2, JSON.stringify(total));
  return total;
}

test("checked log keeps its promises on a disk that fails and loses its power", async () => {
  const { refused } = await run(1500, { format: "checked" });
  assert.equal(refused, 0, "no crash leads to a refusal");
});

test("checked log finds all harm that is done to it, and refuses or cuts it as it must", async () => {
  const { refused, cut } = await run(1500, { format: "checked", harms: HARMS });
  assert.ok(refused > 300 && cut > 100, `${refused} refused, ${cut} cut`);
});

test("plain log keeps its promises on a disk that fails and loses its power", async () => {
  await run(900, { format: "plain", harms: ["mark"] });
});

for (const format of ["checked", "plain"] as const) {
  test(`${format} log keeps its promises when it is copied, cut, converted and squashed`, async () => {
    await run(300, { format, works: WORKS });
  });
}
