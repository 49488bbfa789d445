/**
 * Runs small suites for real, on the runtime that this test runs on: what the judgement stands
 * on is what the runners do, not what they are believed to do.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RUNTIME } from "../support/runtime.ts";
import { runCommand } from "./command.ts";
import { judge } from "./junit.ts";
import { type FinishedSuite, runSuite } from "./suite.ts";

async function runText(text: string): Promise<FinishedSuite> {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-suite-"));
  try {
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const path = join(folder, "small.test.ts");
    writeFileSync(path, `import { test } from "node:test";\n${text}`);
    return await runSuite(RUNTIME, [path]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("suite that passes is told from one that fails, by the runner and by its report", async () => {
  const passing = await runText('test("a", () => {}); test.skip("b (needs c)", () => {});');
  assert.deepEqual(judge([passing], { expectedTests: 2 }), [], passing.output);

  const failing = await runText('test("a", () => {}); test("b", () => { throw new Error(); });');
  assert.deepEqual(judge([failing], { expectedTests: 2 }), [`${RUNTIME}: "b" failed`]);
});

test("suite whose file throws when it is loaded fails, if only by its number of tests", async () => {
  // Deno is content once the first test is known, whatever the file does after it.
  const suite = await runText('test("a", () => {}); throw new Error(); test("b", () => {});');
  assert.notDeepEqual(judge([suite], { expectedTests: 2 }), []);
});

test("suite tells its tests which runtime they are on", async () => {
  const suite = await runText(
    `test("a", () => { if (process.env.ALCEDO_RUNTIME !== "${RUNTIME}") throw new Error(); });`,
  );
  assert.deepEqual(judge([suite]), [], suite.output);
});

test("command that is late is killed with all that it started", async () => {
  const start = performance.now();
  const { ok, output } = await runCommand(
    ["sh", "-c", "echo started; sleep 60 & echo $!; sleep 60"],
    { timeoutMs: 200 },
  );
  assert.equal(ok, false);
  assert.match(output, /^Killed after 0.2 s\nstarted\n\d+\n$/);
  assert.ok(performance.now() - start < 30_000);
  const grandchild = Number(/\d+\n$/.exec(output)?.[0]);
  await gone(grandchild);
});

/** Resolves when there is no such process: a killed one may need a moment to be reaped. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    const { ok, output } = await runCommand(["ps", "-o", "stat=", "-p", String(pid)]);
    if (!ok || output.startsWith("Z")) return;
  }
}
