/**
 * Proves that a suite ran where the gate says that it ran. By hand, without `ALCEDO_RUNTIME`,
 * any runtime will do.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { RUNTIME, RUNTIME_VERSION } from "../support/runtime.ts";

/** The oldest version of each that Alcedo promises to run on. */
const VERSIONS = { node: [26, 0], bun: [1, 4], deno: [2, 9] } as const;

test("suite runs on the runtime that the gate has named", () => {
  assert.equal(RUNTIME, process.env.ALCEDO_RUNTIME ?? RUNTIME);
});

test("suite runs on a version that is supported", () => {
  const [major = 0, minor = 0] = RUNTIME_VERSION;
  const [majorMin, minorMin] = VERSIONS[RUNTIME];
  assert.ok(
    major > majorMin || (major === majorMin && minor >= minorMin),
    RUNTIME_VERSION.join("."),
  );
});
