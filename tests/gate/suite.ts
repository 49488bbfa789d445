/**
 * Runs the one suite, `tests/**\/*.test.ts`, on one of the three runtimes. How to start each
 * test runner is written here and nowhere else.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installed, runCommand } from "./command.ts";
import { parseReport, type SuiteRun } from "./junit.ts";

export type Runtime = "node" | "bun" | "deno";

export const RUNTIMES: readonly Runtime[] = ["node", "bun", "deno"];

/** Past it a suite hangs: three take a few minutes on two cores, the long ones less than an hour. */
const SUITE_TIMEOUT_MS = process.env.ALCEDO_LONG ? 3_600_000 : 420_000;

type Runner = (files: readonly string[], report: string) => string[];

const RUNNERS: Record<Runtime, Runner> = {
  node: (files, report) => [
    "--test",
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    "--test-reporter=dot",
    "--test-reporter-destination=stdout",
    ...files,
  ],
  bun: (files, report) => [
    "test",
    `--timeout=${SUITE_TIMEOUT_MS}`, // A test may take 5 s otherwise; the others have no such limit.
    "--only-failures",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...files,
  ],
  // Types are checked for all, by tsc.
  deno: (files, report) => [
    "test",
    "--allow-all",
    "--no-check",
    "--reporter=dot",
    `--junit-path=${report}`,
    ...files,
  ],
};

export interface FinishedSuite extends SuiteRun {
  readonly output: string;
}

/** Runs test files (absolute paths) on a runtime, each knowing by `ALCEDO_RUNTIME` which. */
export async function runSuite(
  runtime: Runtime,
  files: readonly string[],
): Promise<FinishedSuite> {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-report-"));
  const report = join(folder, "junit.xml");
  try {
    const { ok, output } = await runCommand(
      [installed(runtime), ...RUNNERS[runtime](files, report)],
      {
        env: {
          ALCEDO_RUNTIME: runtime,
          // Node's runner refuses to run below another one, which the tests of the gate do.
          NODE_TEST_CONTEXT: undefined,
          // Hundreds of servers are started: types are stripped, and modules compiled, once.
          NODE_COMPILE_CACHE: join(folder, "compiled"),
        },
        timeoutMs: SUITE_TIMEOUT_MS,
      },
    );
    return { runtime, ok, output, cases: readCases(report) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readCases(report: string): SuiteRun["cases"] {
  try {
    return parseReport(readFileSync(report, "utf8"));
  } catch {
    return []; // Killed before its report: `judge` says that no test was run.
  }
}
