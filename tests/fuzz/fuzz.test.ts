/**
 * A server goes on as it should, whatever clients send: 20,000 requests, a million with
 * `ALCEDO_LONG`. A failure prints its seed, with which `ALCEDO_SEED` sends the same again; and one
 * that is planted is found.
 */

import assert from "node:assert/strict";
import { env } from "node:process";
import { test } from "node:test";
import { fuzz } from "./campaign.ts";
import type { Defect } from "./fuzzed_app.ts";
import { planOf } from "./plans.ts";
import { read } from "./reading.ts";

const REQUESTS = env.ALCEDO_LONG ? 1_000_000 : 20_000;

const SEED = Number(env.ALCEDO_SEED ?? Math.floor(Math.random() * 2 ** 31));

test("server goes on as it should, whatever clients send, and keeps nothing of it", async (t) => {
  const figures = await fuzz({ seed: SEED, requests: REQUESTS });
  t.diagnostic(JSON.stringify(figures));
  assert.ok(figures.valid > figures.requests / 4 && figures.answered > figures.requests / 5);
});

/** What is to be said of each defect. */
const DEFECTS: Record<Defect, RegExp> = {
  "leak": /its heap grows/,
  "rejection": /was not answered|was cut off|ECONNREFUSED|is answered with "nothing"/,
  "mixed up": /the answer to request \d+ is wrong|which was not asked here/,
  "saved twice": /the model has .*, and must not/s,
  "open files": /not so .*: all files and sockets are closed/,
};

for (const [defect, said] of Object.entries(DEFECTS)) {
  test(`fuzzing finds an application with a planted defect: ${defect}`, async () => {
    const options = { seed: SEED, requests: 2_000, doneMs: 1_000 };
    await assert.rejects(fuzz({ ...options, defect: defect as Defect }), said);
  });
}

test("fuzzing sends some connections as they were generated, and reads all of their requests", () => {
  let whole = 0;
  for (let index = 0; index < 500; index++) {
    const { plan, requests } = planOf(SEED, index);
    const reading = read(plan.sent, { knowsTrailers: true });
    if (reading.rest === "nothing" && reading.requests.length === requests) whole++;
  }
  assert.ok(whole > 100, `${whole}`);
});
