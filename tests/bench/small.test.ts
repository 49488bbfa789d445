/**
 * The benches, as small as they are, so that they still work when someone needs them. What
 * they measure then means nothing, so only that they measure is looked at. Each is run on one of
 * the runtimes, in the long suite on all: they start many servers.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { BENCHES } from "../../bench/options.ts";
import { isInstalled } from "../support/needs.ts";
import { RUNTIME } from "../support/runtime.ts";
import { start, withFolder } from "../support/server_process.ts";

/** What each server of a table must have been: faster than nothing. */
interface Row {
  readonly runtime: string;
  readonly server?: string;
  readonly perSecond?: number;
  readonly ratio?: number;
}

type Found = Readonly<Partial<Record<typeof BENCHES[number], readonly Row[]>>>;

const IS_LONG = Boolean(process.env.ALCEDO_LONG);
const RUNTIMES = ["node", "bun", "deno"];

test("benches measure all that they are for, and check what was answered", async () => {
  const benches = BENCHES.filter((_, i) => IS_LONG || RUNTIMES[i % RUNTIMES.length] === RUNTIME);
  await withFolder(async (folder) => {
    const json = join(folder, "found.json");
    const only = benches.flatMap((name) => ["--only", name]);
    const bench = start("bench/main.ts", [
      "--small",
      "--runtime",
      RUNTIME,
      "--json",
      json,
      ...only,
    ]);
    const { code } = await bench.ended;
    assert.equal(code, 0, bench.stderr());
    assert.match(bench.stdout(), /^- machine: \d+ cores/m);
    const found = JSON.parse(await readFile(json, "utf8")) as Found;
    for (const name of benches) {
      const least = name === "snapshot" || name === "changes" ? 1 : 2;
      const rows = found[name] ?? [];
      assert.ok(rows.length >= least, `${name} has measured too little`);
      for (const row of rows) {
        assert.equal(row.runtime, RUNTIME);
        for (const value of [row.perSecond, row.ratio]) {
          assert.ok(value === undefined || value > 0, `${name}: ${JSON.stringify(row)}`);
        }
      }
    }
    // It is left out where it is not installed, and nothing is where all is required.
    const hasRedis = isInstalled("redis-server") || process.env.ALCEDO_REQUIRE !== undefined;
    const { rivals } = found;
    if (rivals !== undefined) {
      assert.equal(rivals.some(({ server }) => server === "Redis"), hasRedis);
    }
  });
});

test("benches say what they take when an option is wrong", async () => {
  const bench = start("bench/main.ts", ["--only", "reads"]);
  const { code } = await bench.ended;
  assert.equal(code, 2);
  assert.match(bench.stderr(), /^Cannot run the benches: --only is "reads"; choose from read, /);
});
