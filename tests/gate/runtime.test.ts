/**
 * Proves that a suite ran where the gate says that it ran.
 */

import assert from "node:assert/strict";
import { versions } from "node:process";
import { test } from "node:test";

/** The oldest version of each that Alcedo promises to run on. */
const VERSIONS = { node: [26, 0], bun: [1, 4], deno: [2, 9] } as const;

const actual = versions.deno !== undefined ? "deno" : versions.bun !== undefined ? "bun" : "node";

test("suite runs on the runtime that the gate has named", () => {
  assert.equal(actual, process.env.ALCEDO_RUNTIME ?? actual);
});

test("suite runs on a version that is supported", () => {
  const [major = 0, minor = 0] = (versions[actual] ?? "").split(".").map(Number);
  const [majorMin, minorMin] = VERSIONS[actual];
  assert.ok(
    major > majorMin || (major === majorMin && minor >= minorMin),
    `${actual} ${versions[actual]} is older than ${majorMin}.${minorMin}`,
  );
});
