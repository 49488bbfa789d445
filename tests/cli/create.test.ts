/**
 * `mod.ts create`: what it writes, and what it refuses. That what it writes works is shown in
 * npm_package.test.ts, where there is a package to be imported.
 */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { runCreate } from "../../adapters/cli/create.ts";
import { StartError } from "../../adapters/cli/exit.ts";
import { UsageError } from "../../adapters/cli/options.ts";
import { ROOT, start, withFolder } from "../support/server_process.ts";

async function create(cwd: string, ...args: readonly string[]) {
  const started = start("mod.ts", ["create", ...args], { cwd });
  const { code } = await started.ended;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

test("mod.ts create writes an application into a new folder, and says what to do next", async () => {
  await withFolder(async (folder) => {
    const { code, stdout, stderr } = await create(folder, "apps/my-app");
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.match(
      stdout,
      /^Created my-app\. What next:\n\n {2}cd apps\/my-app\n {2}npm install && /,
    );
    const app = join(folder, "apps/my-app");
    assert.deepEqual(readdirSync(app).sort(), [
      ".gitignore",
      "README.md",
      "deno.json",
      "main.test.ts",
      "main.ts",
      "package.json",
      "tsconfig.json",
    ]);
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const { name, dependencies } = JSON.parse(readFileSync(join(app, "package.json"), "utf8"));
    assert.deepEqual({ name, dependencies }, {
      name: "my-app",
      dependencies: { alcedo: `^${version}` },
    });
  });
});

test("mod.ts create leaves a folder that is not empty as it is, and says so in one line", async () => {
  await withFolder(async (folder) => {
    const here = join(folder, "here");
    mkdirSync(here);
    await writeFile(join(here, "precious"), "");
    const { code, stdout, stderr } = await create(here, ".");
    assert.match(stderr, /^alcedo: cannot create ".*": the folder is not empty\n$/);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
    assert.deepEqual(readdirSync(here), ["precious"]);
  });
});

test("create refuses what cannot be the name of a package, and anything else than a folder", async () => {
  await withFolder(async (folder) => {
    for (const name of ["My-App", "my app", ".hidden", "_own", "alcedo", "node_modules"]) {
      const path = join(folder, name);
      assert.throws(() => runCreate([path]), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, new RegExp(`"${name}" cannot be the name of a package; write`));
        return true;
      });
      assert.ok(!existsSync(path), name);
    }
    assert.throws(() => runCreate([]), UsageError);
    assert.throws(() => runCreate([join(folder, "a"), "b"]), UsageError);
    assert.throws(() => runCreate([join(folder, "a"), "--force"]), UsageError);
    assert.deepEqual(readdirSync(folder), []);
    await writeFile(join(folder, "file"), "");
    assert.throws(() => runCreate([join(folder, "file")]), StartError);
  });
});
