/**
 * The types of code in documents: a block that does not compile is named by its document and line.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { typeComplaints } from "./documentation.ts";

const FENCE = "```";

test("documents: a block whose types are wrong is found, also in what it imports", async () => {
  const text = [
    "<!-- file: a.ts -->",
    `${FENCE}ts`,
    'import { json } from "alcedo";',
    "export const a: string = json.decode(new Uint8Array());",
    FENCE,
    `${FENCE}ts`,
    'import { a } from "./a.ts";',
    "const b: number = a;",
    FENCE,
  ].join("\n");
  const [complaint = "", ...others] = await typeComplaints([{ path: "docs/a.md", text }]);
  assert.match(complaint, /docs\/a\.md:6\/\w+\.ts\(2,7\): error TS2322/);
  assert.equal(complaint.match(/error/g)?.length, 1, complaint);
  assert.deepEqual(others, []);
});
