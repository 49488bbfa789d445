/**
 * The judgement over the three reports: on canned ones, in the three dialects.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, parseReport, type SuiteRun, type TestCase } from "./junit.ts";

const NODE = `<testsuites>
  <testcase name="a &amp; &lt;b>" time="0.1" classname="test" file="a.test.ts"/>
  <testcase name="c (needs strace)" classname="test"><skipped type="skipped" message="true"/></testcase>
  <testcase name="d" classname="test" failure="1 &lt; 2"><failure message="x">stack</failure></testcase>
</testsuites>`;

const BUN = `<testsuites name="bun test"><testsuite name="a.test.ts">
  <testcase name="a &amp; &lt;b&gt;" classname="" time="0" assertions="0" />
  <testcase name="c (needs strace)" classname=""><skipped /></testcase>
  <testcase name="d" classname=""><failure type="AssertionError" message="x">y</failure></testcase>
</testsuite></testsuites>`;

const DENO = `<testsuites name="deno test"><testsuite name="./a.test.ts" tests="3">
  <testcase name="a &amp; &lt;b&gt;" classname="./a.test.ts" line="3" col="1">
  </testcase>
  <testcase name="c (needs strace)" classname="./a.test.ts">
      <skipped/>
  </testcase>
  <testcase name="d" classname="./a.test.ts"><failure message="Uncaught
1 !== 2">x</failure>
  </testcase>
</testsuite></testsuites>`;

const PASSED: readonly TestCase[] = [
  { name: "a", outcome: "passed" },
  { name: "b (needs strace)", outcome: "skipped" },
];

function run(runtime: string, changes: Partial<SuiteRun> = {}): SuiteRun {
  return { runtime, ok: true, cases: PASSED, ...changes };
}

test("report reader understands the dialect of each runtime", () => {
  for (const report of [NODE, BUN, DENO]) {
    assert.deepEqual(parseReport(report), [
      { name: "a & <b>", outcome: "passed" },
      { name: "c (needs strace)", outcome: "skipped" },
      { name: "d", outcome: "failed" },
    ]);
  }
});

test("judge is content when all runtimes ran the same tests, as many as expected", () => {
  assert.deepEqual(judge([run("node"), run("bun")], { expectedTests: 2 }), []);
});

test("judge sees a failed test", () => {
  const failed = run("bun", { ok: false, cases: [{ name: "a", outcome: "failed" }] });
  assert.deepEqual(judge([failed]), ['bun: "a" failed']);
});

test("judge sees a runner that failed outside of any test", () => {
  assert.deepEqual(judge([run("bun", { ok: false })]), [
    "bun: the runner failed outside of any test",
  ]);
});

test("judge sees a runtime that ran no test", () => {
  assert.match(judge([run("deno", { cases: [] })]).join(), /no test was run/);
});

test("judge sees fewer tests than expected, on all runtimes alike", () => {
  assert.match(
    judge([run("node"), run("bun")], { expectedTests: 3 }).join(),
    /node: ran 2.*bun: ran 2/s,
  );
});

test("judge sees as many tests that are not the same", () => {
  const other = run("deno", { cases: [...PASSED.slice(1), { name: "c", outcome: "passed" }] });
  assert.deepEqual(judge([run("node"), other], { expectedTests: 2 }), [
    'deno: did not run "a"',
    'node: did not run "c"',
  ]);
});

test("judge sees a test that ran twice on one runtime", () => {
  const twice = run("deno", { cases: [...PASSED, ...PASSED.slice(0, 1)] });
  assert.deepEqual(judge([run("node"), twice]), ['node: did not run "a"']);
});

test("judge sees a skip that does not say what is missing", () => {
  const skipped = run("node", { cases: [{ name: "a", outcome: "skipped" }] });
  assert.match(judge([skipped]).join(), /does not end in "\(needs NAME\)"/);
});

test("judge accepts no skip where all that tests need is installed", () => {
  assert.match(judge([run("node")], { skipsFail: true }).join(), /skipped where nothing may be/);
});
