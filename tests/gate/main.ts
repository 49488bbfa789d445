/**
 * The gate: all that must hold before a change goes in, in one command (`npm test`). Each step
 * says how long it took; a step that fails says what is wrong; the last line is the count of
 * the tests over all three runtimes, where any other thing that is wrong counts as a failed test.
 *
 * For work on a part of it: `node tests/gate/main.ts --help`.
 */

import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { parseArgs } from "#std/cli/parse_args";
import { GAPS } from "../adapters/gaps.ts";
import { installed, runCommand } from "./command.ts";
import { documentationComplaints } from "./documentation.ts";
import { importComplaints, mapComplaints } from "./imports.ts";
import { count, judge } from "./junit.ts";
import {
  PINNED_NAMES,
  publicNameComplaints,
  publicNames,
  undocumentedComplaints,
} from "./public_names.ts";
import { referenceComplaints } from "./reference.ts";
import { listFiles, readSources, ROOT } from "./source_files.ts";
import { type FinishedSuite, runSuite, type Runtime, RUNTIMES } from "./suite.ts";
import { tidyComplaints } from "./tidy.ts";
import { packageComplaints, webOnlyComplaints } from "./web_only.ts";

const HELP = `node tests/gate/main.ts [options]

  --only RUNTIME   the suite alone, on node, bun or deno
  --filter TEXT    the suite alone, test files whose path contains TEXT
  --pin            accept the number of tests and the public names as they are now
`;

/** How many tests there are: a test that silently does not run is a failure. */
const EXPECTED_TESTS = join(ROOT, "tests/gate/expected_tests.json");

const DRY_RUN = ["publish", "--dry-run", "--allow-dirty"] as const;

let failedChecks = 0;

/** Runs a step that returns what is wrong, and prints how it went. */
async function step(name: string, run: () => Promise<string[]> | string[]): Promise<boolean> {
  const start = performance.now();
  const complaints = await Promise.try(run).catch((error: unknown) => [inspect(error)]);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const ok = complaints.length === 0;
  console.log(`${ok ? "ok    " : "FAILED"} ${seconds.padStart(6)} s  ${name}`);
  if (!ok) console.log(complaints.join("\n").trimEnd().replaceAll(/^/gm, "    "));
  return ok;
}

/** A step that has no tests of its own, and so counts as one where it fails. */
async function check(name: string, run: () => Promise<string[]> | string[]): Promise<void> {
  if (!await step(name, run)) failedChecks++;
}

/** Runs a program whose output is worth reading only when it fails. */
async function complaintsOf(...command: [program: string, ...args: string[]]): Promise<string[]> {
  const { ok, output } = await runCommand(command);
  return ok ? [] : [output];
}

function compile(config: string): Promise<string[]> {
  return complaintsOf(installed("tsc"), "--project", `tests/gate/${config}`);
}

async function checkSources(): Promise<void> {
  const files = readSources(listFiles());
  const web = files.filter((file) => file.path.startsWith("runtime/"));

  // What `npm ci` would refuse on a fresh clone, it refuses here, and installs nothing.
  await check("lock", () => complaintsOf("npm", "ci", "--dry-run", "--offline"));
  await check("format", () => complaintsOf(installed("deno"), "fmt", "--check"));
  await check("lint", () => complaintsOf(installed("deno"), "lint"));
  await check("types", () => compile("tsconfig.json"));
  await check("types of the library", () => compile("library.tsconfig.json"));
  await check("web only, types", () => compile("web_only.tsconfig.json"));
  await check("web only, text", () => [...webOnlyComplaints(web), ...packageComplaints()]);
  await check("tidy", () => [
    ...tidyComplaints(files),
    ...importComplaints(files),
    ...mapComplaints(files),
  ]);
  await check("public names", publicNameComplaints);
  await check("public names, documented", undocumentedComplaints);
  // All that JSR asks for, no slow types above all; nothing is sent.
  await check("publish", () => complaintsOf(installed("deno"), ...DRY_RUN));
  await check("reference", referenceComplaints);
  await check("types in documents", documentationComplaints);
}

/**
 * Fetches what Deno will need, before it is needed: tests start Deno with the project as a user
 * would, from every runtime, and look at all that it prints.
 */
function fetchForDeno(files: readonly string[]): Promise<string[]> {
  return complaintsOf(installed("deno"), "cache", "--no-check", ...files);
}

/** How many parts of suites run at once: half of what one does is to wait for servers and disks. */
const PARTS_AT_ONCE = 2;

/** The suite on each of `runtimes`, in parts, so that none is left to run alone for long. */
async function runSuites(runtimes: readonly Runtime[], filter: string): Promise<FinishedSuite[]> {
  const files = globSync("tests/**/*.test.ts", { cwd: ROOT })
    .filter((path) => path.includes(filter)).sort().map((path) => join(ROOT, path));
  await check("what deno needs", () => fetchForDeno([join(ROOT, "mod.ts"), ...files]));
  // Neighbours are of a kind, and take as long as each other.
  const parts = [0, 1, 2].map((part) => files.filter((_, i) => i % 3 === part))
    .filter((files) => files.length > 0);
  const finished: FinishedSuite[] = [];
  const left = runtimes.flatMap((runtime) =>
    parts.map((files, i) => ({ runtime, files, name: `suite on ${runtime}, part ${i + 1}` }))
  ).values();
  const runThem = async (): Promise<void> => {
    for (const { runtime, files, name } of left) {
      await step(name, async () => {
        const suite = await runSuite(runtime, files);
        finished.push(suite);
        return suite.ok ? [] : [suite.output];
      });
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, runThem));
  return runtimes.map((runtime) => joined(finished.filter((suite) => suite.runtime === runtime)));
}

/** One suite of its parts. */
function joined(parts: readonly FinishedSuite[]): FinishedSuite {
  return parts.reduce((a, b) => ({
    runtime: a.runtime,
    ok: a.ok && b.ok,
    output: a.output + b.output,
    cases: [...a.cases, ...b.cases],
  }));
}

function expectedTests(): number {
  return existsSync(EXPECTED_TESTS) ? JSON.parse(readFileSync(EXPECTED_TESTS, "utf8")).tests : 0;
}

async function pin(tests: number): Promise<void> {
  writeFileSync(EXPECTED_TESTS, `{ "tests": ${tests} }\n`);
  writeFileSync(PINNED_NAMES, await publicNames());
}

function misused(why: string): never {
  console.error(`Cannot run the gate: ${why}\n\n${HELP}`);
  process.exit(2);
}

async function main(): Promise<void> {
  const args = parseArgs(process.argv.slice(2), {
    boolean: ["help", "pin"],
    string: ["only", "filter"],
    unknown: (argument) => misused(`"${argument}" is no option`),
  });
  if (args.help) return console.log(HELP);
  const runtimes = RUNTIMES.filter((runtime) => runtime === (args.only ?? runtime));
  if (runtimes.length === 0) misused(`"${args.only}" is no runtime`);
  const isPart = args.only !== undefined || args.filter !== undefined;
  const isWhole = !isPart && !args.pin;

  if (isWhole) await checkSources();
  const suites = await runSuites(runtimes, String(args.filter ?? ""));
  const complaints = judge(suites, {
    skipsFail: Boolean(process.env.ALCEDO_REQUIRE),
    ...(isWhole ? { expectedTests: expectedTests() } : {}),
  });
  await step("suites, compared", () => complaints);
  if (args.pin && !isPart && complaints.length === 0) await pin(suites[0]?.cases.length ?? 0);

  const gaps = runtimes.map((runtime) => `${GAPS[runtime].length} on ${runtime}`);
  console.log(`declared gaps of the platforms' servers: ${gaps.join(", ")}`);
  const failed = failedChecks + complaints.length;
  console.log(
    `${count(suites, "passed")} passed, ${failed} failed, ${count(suites, "skipped")} skipped`,
  );
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
await main();
