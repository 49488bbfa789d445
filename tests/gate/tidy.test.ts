/**
 * Each tidy rule sees the thing that it is there for, and nothing in clean files.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { tidyComplaints } from "./tidy.ts";

const CLEAN = "/** Owns a name. */\nexport const name = 1;\n";

/** A path, a text, and what the complaint must say. Words are cut, or this file would be untidy. */
const UNTIDY: readonly (readonly [path: string, text: string, complaint: RegExp])[] = [
  ["scratch/a.ts", CLEAN, /top level/],
  ["runtime/utils/a.ts", CLEAN, /says nothing/],
  ["runtime/log/index.ts", CLEAN, /after what it exports/],
  ["runtime/eventLog.ts", CLEAN, /snake_case/],
  ["runtime/a.ts", "export const name = 1;\n", /what it owns/],
  ["runtime/a.ts", CLEAN + "//\n".repeat(500), /502 lines/],
  ["mod.ts", CLEAN + 'export * from "./a.ts";\n', /name what is exported/],
  ["runtime/a.ts", CLEAN + "const a = b as any;\n", /say what it is/],
  ["runtime/a.ts", CLEAN + `const a = b as ${"unknown"} as C;\n`, /say why/],
  ["runtime/a.ts", CLEAN + `// deno-lint-${"ignore"} no-eval\n`, /say why/],
  ["tests/a.test.ts", CLEAN + "test.only();\n", /all tests are run/],
  ["tests/a.test.ts", CLEAN + "describe();\n", /flat/],
  ["docs/a.md", `TO${"DO"}: write this\n`, /do it/],
  ["docs/a.md", `See issue ${"#"}12.\n`, /of itself/],
  ["docs/a.md", `In ${"/root/"}alcedo\n`, /one machine/],
  ["package-lock.json", `"resolved":${' "https://'}example.org/a.tgz"\n`, /omit-lockfile/],
];

test("tidy test has nothing to say about clean files", () => {
  const files = ["mod.ts", "runtime/log/event_log.ts", "adapters/_x.ts", "tests/log/a.test.ts"];
  assert.deepEqual(tidyComplaints(files.map((path) => ({ path, text: CLEAN }))), []);
});

test("tidy test accepts a cast and an ignored rule that say why", () => {
  const text = `${CLEAN}const a = b as ${"unknown"} as C; // D has the same members.\n` +
    `// deno-lint-${"ignore"} no-eval -- the tests need it\n`;
  assert.deepEqual(tidyComplaints([{ path: "runtime/a.ts", text }]), []);
});

for (const [path, text, complaint] of UNTIDY) {
  test(`tidy test finds fault with ${path}: ${complaint.source}`, () => {
    const complaints = tidyComplaints([{ path, text }]);
    assert.equal(complaints.length, 1, complaints.join("\n"));
    assert.match(complaints.join(), complaint);
  });
}
