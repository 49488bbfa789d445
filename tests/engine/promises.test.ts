/**
 * What a write means, as properties: random interleavings of reads and writes that save, wait,
 * throw and leave, on slow, full, failing and crashing logs, against a plain model. What is
 * checked is in `support/lives.ts`.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Style } from "../support/ledger_app.ts";
import { runLives, type Setting } from "../support/lives.ts";
import { type PlanOptions, scenarios } from "../support/plans.ts";
import { holds } from "../support/property.ts";
import { SURVIVALS } from "../support/simulated_file.ts";
import { checkedStorage, type LifeEnd, memoryStorage, plainStorage } from "../support/storages.ts";

async function keepsItsPromises(
  runs: number,
  setting: Setting,
  options: PlanOptions = {},
): Promise<void> {
  let cases = 0;
  let acknowledged = 0;
  let failed = 0;
  await holds(runs, scenarios(options), async (scenario) => {
    const counts = await runLives(scenario, setting);
    cases++;
    acknowledged += counts.acknowledged;
    failed += counts.failed;
  });
  // Scenarios in which nothing happens would prove nothing.
  const summary = `${cases} cases, ${acknowledged} commits, ${failed} errors`;
  assert.ok(acknowledged > cases / 2 && failed > cases / 2, summary);
}

for (const style of ["pure", "in place"] satisfies Style[]) {
  test(`engine keeps its promises on a plain log whose disk fails and crashes, ${style}`, async () => {
    await keepsItsPromises(200, { style, storage: plainStorage });
  });

  test(`engine keeps its promises on a checked log whose disk fails and crashes, ${style}`, async () => {
    const ends: LifeEnd["kind"][] = ["close", "kill", ...SURVIVALS];
    await keepsItsPromises(200, { style, storage: checkedStorage }, { ends });
  });

  test(`engine keeps its promises on a plain log on a good disk, ${style}`, async () => {
    const options: PlanOptions = { faults: ["slow", "fast"], ends: ["close"], livesMax: 1 };
    await keepsItsPromises(100, { style, storage: plainStorage }, options);
  });

  test(`engine keeps its promises on a memory log that is slow and fails, ${style}`, async () => {
    const options: PlanOptions = { ends: ["close"] };
    await keepsItsPromises(100, { style, storage: memoryStorage }, options);
  });
}
