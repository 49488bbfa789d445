/**
 * Plants what `runtime/` must not hold in a copy of it, and sees both checks find it.
 */

import assert from "node:assert/strict";
import { cpSync, globSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { installed, runCommand } from "./command.ts";
import { readSources, ROOT } from "./source_files.ts";
import { packageComplaints, webOnlyComplaints } from "./web_only.ts";

const PLANTS: Record<string, string> = {
  "a node: import": 'import { pid } from "node:process";\nexport const planted: unknown = pid;',
  "Deno.": "export const planted: unknown = Deno.pid;",
  "Bun.": "export const planted: unknown = Bun.version;",
  "process.": "export const planted: unknown = process.pid;",
  "Buffer": 'export const planted: unknown = Buffer.from("");',
};

let folder = "";

before(() => {
  folder = mkdtempSync(join(tmpdir(), "alcedo-planted-"));
  cpSync(join(ROOT, "runtime"), join(folder, "runtime"), { recursive: true });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const tsconfig = {
    extends: join(ROOT, "tests/gate/web_only.tsconfig.json"),
    include: ["runtime"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
});

after(() => rmSync(folder, { recursive: true }));

async function check(planted: string): Promise<{ text: string[]; types: string }> {
  writeFileSync(join(folder, "runtime/planted.ts"), planted);
  const files = readSources(globSync("runtime/**/*.ts", { cwd: folder }), folder);
  const { output } = await runCommand([
    installed("tsc"),
    "--project",
    join(folder, "tsconfig.json"),
  ]);
  return { text: webOnlyComplaints(files), types: output };
}

test("web-only checks are content with runtime/ as it is", async () => {
  assert.deepEqual(await check("export const planted: unknown = location;"), {
    text: [],
    types: "",
  });
});

for (const [what, planted] of Object.entries(PLANTS)) {
  test(`web-only checks both find ${what} in runtime/`, async () => {
    const { text, types } = await check(planted);
    assert.equal(text.length, 1, text.join("\n"));
    assert.match(text.join(), /planted\.ts/);
    assert.match(types, /planted\.ts\(\d+,\d+\): error/);
  });
}

test("web-only text check finds imports of adapters/ and of packages that are not on its list", () => {
  const text = [
    'import { a } from "../adapters/a.ts";',
    'import { Hono } from "hono";',
    'import type { Context } from "hono";',
    'import { equal } from "#std/assert/equal";',
  ].join("\n");
  const complaints = webOnlyComplaints([{ path: "runtime/planted.ts", text }]);
  assert.equal(complaints.length, 2, complaints.join("\n"));
  assert.match(complaints.join(), /adapters\/a\.ts.*"hono"/s);
});

test("packages that runtime/ may import are web only themselves", () => {
  assert.deepEqual(packageComplaints(), []);
});
