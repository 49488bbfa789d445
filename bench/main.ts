/**
 * The benches: `npm run bench`, or `node bench/main.ts --help`. Each measures Alcedo beside what
 * a user would have without it, in one run, in turns, and prints a table of ratios.
 *
 * Numbers of different runs are not to be compared, ratios may be.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Findings, RunBench } from "./bench.ts";
import { benchChanges } from "./changes.ts";
import { benchIsolation } from "./isolation.ts";
import { findWrk } from "./load/run.ts";
import { benchLog } from "./log.ts";
import { describeMachine } from "./machine.ts";
import { type BenchName, type BenchOptions, HELP, parseOptions, UsageError } from "./options.ts";
import { benchPool } from "./pool.ts";
import { benchReads } from "./read.ts";
import { benchReplay } from "./replay.ts";
import { benchRivals } from "./rivals.ts";
import { benchSnapshots } from "./snapshot.ts";
import { formatTable } from "./table.ts";
import { benchVerify } from "./verify.ts";
import { benchWrites } from "./write.ts";

const BENCHES: Readonly<Record<BenchName, RunBench>> = {
  read: benchReads,
  write: benchWrites,
  rivals: benchRivals,
  log: benchLog,
  isolation: benchIsolation,
  replay: benchReplay,
  snapshot: benchSnapshots,
  verify: benchVerify,
  changes: benchChanges,
  pool: benchPool,
};

async function run(options: BenchOptions): Promise<void> {
  const client = findWrk() === undefined ? "own" : options.client;
  const folder = mkdtempSync(join(tmpdir(), "alcedo-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const machine = describeMachine(options.runtimes, client, folder);
  console.log(machine.map((line) => `- ${line}`).join("\n") + "\n");
  const found: Partial<Record<BenchName, Findings["data"]>> = {};
  for (const name of options.benches) {
    const say = (text: string): void => console.error(text);
    const own = join(folder, name);
    mkdirSync(own);
    const { table, data } = await BENCHES[name](
      { options, client, folder: own, say },
      options.runtimes,
    );
    // Files of gigabytes would only fill the disk.
    rmSync(own, { recursive: true });
    found[name] = data;
    console.log(formatTable(table));
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, JSON.stringify({ machine, options, ...found }, null, 2));
  }
}

async function main(): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options.help) console.log(HELP);
    else await run(options);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`Cannot run the benches: ${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
await main();
