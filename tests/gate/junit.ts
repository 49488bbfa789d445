/**
 * Reads the JUnit reports of the three test runners, and judges them together. The three count
 * differently: Deno counts a suite as a test of its own, Bun a test with subtests as one. So
 * tests are flat (`tidy.ts` sees to it), and then names and numbers must be equal.
 */

export type Outcome = "passed" | "failed" | "skipped";

export interface TestCase {
  readonly name: string;
  readonly outcome: Outcome;
}

/** What one runtime did with the suite. */
export interface SuiteRun {
  readonly runtime: string;
  /** Whether the runner itself was content: it also fails on what no test case shows. */
  readonly ok: boolean;
  readonly cases: readonly TestCase[];
}

export interface JudgeOptions {
  /** How many tests there must be; none for a part of the suite. */
  readonly expectedTests?: number;
  /** Whether a skip is a failure: where all that tests need is installed. @default false */
  readonly skipsFail?: boolean;
}

const TEST_CASE = /<testcase((?:\s+[\w:]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** The test cases of a report, in its order. */
export function parseReport(xml: string): TestCase[] {
  return [...xml.matchAll(TEST_CASE)].map(([, attributes = "", content = ""]) => ({
    name: unescapeXml(/\sname="([^"]*)"/.exec(attributes)?.[1] ?? ""),
    outcome: /<(?:failure|error)\b/.test(content)
      ? "failed"
      : content.includes("<skipped")
      ? "skipped"
      : "passed",
  }));
}

function unescapeXml(text: string): string {
  const characters: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replaceAll(/&(\w+);/g, (entity, name) => characters[name] ?? entity);
}

/** How many of these cases ended so. */
export function count(runs: readonly SuiteRun[], outcome: Outcome): number {
  return runs.flatMap((run) => run.cases).filter((test) => test.outcome === outcome).length;
}

/** All that is wrong with these runs of one suite; nothing means that they passed. */
export function judge(runs: readonly SuiteRun[], options: JudgeOptions = {}): string[] {
  const { expectedTests, skipsFail = false } = options;
  return [
    ...runs.flatMap((run) => runComplaints(run, skipsFail)),
    ...(expectedTests === undefined
      ? []
      : runs.flatMap((run) => countComplaint(run, expectedTests))),
    ...runs.slice(1).flatMap((run) => differences(run, runs[0])),
  ];
}

function runComplaints({ runtime, ok, cases }: SuiteRun, skipsFail: boolean): string[] {
  const failed = cases.filter((test) => test.outcome === "failed");
  const skipped = cases.filter((test) => test.outcome === "skipped");
  return [
    ...(ok || failed.length > 0 ? [] : [`${runtime}: the runner failed outside of any test`]),
    ...(cases.length > 0 ? [] : [`${runtime}: no test was run`]),
    ...failed.map(({ name }) => `${runtime}: "${name}" failed`),
    ...skipped.flatMap(({ name }) => {
      if (skipsFail) return [`${runtime}: "${name}" was skipped where nothing may be`];
      return /\(needs [^)]+\)$/.test(name)
        ? []
        : [`${runtime}: "${name}" was skipped and its name does not end in "(needs NAME)"`];
    }),
  ];
}

function countComplaint({ runtime, cases }: SuiteRun, expected: number): string[] {
  return cases.length === expected ? [] : [
    `${runtime}: ran ${cases.length} tests, expected ${expected}` +
    " (after adding or removing tests: node tests/gate/main.ts --pin)",
  ];
}

function differences(run: SuiteRun, first: SuiteRun | undefined): string[] {
  if (first === undefined) return [];
  return [
    ...missing(run, first).map((name) => `${run.runtime}: did not run "${name}"`),
    ...missing(first, run).map((name) => `${first.runtime}: did not run "${name}"`),
  ];
}

/** The names that `there` has more often than `here`. */
function missing(here: SuiteRun, there: SuiteRun): string[] {
  const names = here.cases.map((test) => test.name);
  return there.cases.map((test) => test.name).filter((name) => {
    const index = names.indexOf(name);
    if (index >= 0) names.splice(index, 1);
    return index < 0;
  });
}
