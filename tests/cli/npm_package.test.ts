/**
 * What is published on npm, installed into an empty project as npm installs it: the first application
 * of the README, word for word, and the one that `npm create alcedo` writes, both on the runtime that
 * the tests run on.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { makePackages, packPackages } from "../../adapters/npm/pack.ts";
import { RUNTIME } from "../support/runtime.ts";
import { listening, ROOT, signal, start } from "../support/server_process.ts";

const folder = mkdtempSync(join(tmpdir(), "alcedo-npm-"));
after(() => rmSync(folder, { recursive: true }));

/** How an application's tests are run. */
const TEST = { node: ["--test"], bun: ["test"], deno: ["test", "-A"] }[RUNTIME];

/** Runs a program in a folder, with the project's runtimes in its path; returns what it prints. */
function run(program: string, args: readonly string[], cwd: string): string {
  const path = [join(ROOT, "node_modules/.bin"), process.env.PATH].join(delimiter);
  // Npm tells whatever it starts where it is, and Node's test runner that it is at work.
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:npm_|NODE_TEST_)/i.test(name));
  const env = { ...Object.fromEntries(kept), PATH: path, NO_COLOR: "1" };
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env,
    encoding: "utf8",
  });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${error}\n${stdout}${stderr}`);
  return stdout;
}

let project: string | undefined;

/** A project that has installed both packages, and nothing else. It is there once for all tests. */
function installedProject(): string {
  if (project !== undefined) return project;
  const packages = makePackages(join(folder, "dist"));
  // There may be no network: what the packages depend on is taken from where it is installed.
  const { dependencies } = JSON.parse(readFileSync(join(packages.alcedo, "package.json"), "utf8"));
  const names = [...Object.keys(dependencies), "@types/node"];
  const here = names.map((name) => [name, `file:${join(ROOT, "node_modules", name)}`]);
  const [alcedo, createAlcedo] = packPackages(packages, folder);
  const path = join(folder, "project");
  mkdirSync(path);
  writeFileSync(
    join(path, "package.json"),
    JSON.stringify({
      type: "module",
      dependencies: {
        alcedo: `file:${alcedo}`,
        "create-alcedo": `file:${createAlcedo}`,
        ...Object.fromEntries(here),
      },
    }),
  );
  // Scripts of those that are linked are for their own developers.
  run("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"], path);
  return project = path;
}

/** Serves an application of a folder while `body` runs, then ends it with a signal. */
async function serving(
  cwd: string,
  command: readonly [file: string, ...args: string[]],
  by: NodeJS.Signals,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const [file, ...args] = command;
  const server = start(join(cwd, file), [...args, "--addr", "localhost:0"], { cwd });
  try {
    await body(await listening(server));
  } finally {
    signal(server, by);
    await server.ended;
  }
  assert.equal(server.stderr(), "");
}

const get = async (url: string) => (await fetch(url)).text();
const post = async (url: string, body: string) =>
  (await fetch(url, { method: "POST", body })).text();

test("the npm package runs the first application of the README, and keeps its data", async () => {
  const app = join(installedProject(), "readme");
  mkdirSync(app);
  const [, code] = /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, "README.md"), "utf8")) ?? [];
  assert.ok(code);
  writeFileSync(join(app, "main.ts"), code);
  await serving(app, ["main.ts"], "SIGKILL", async (url) => {
    assert.equal(await get(url), "Hello World\n");
    assert.equal(await post(url, "Ada"), "Ada");
  });
  await serving(app, ["main.ts"], "SIGKILL", async (url) => {
    assert.equal(await get(url), "Hello Ada\n");
  });
});

test("npm create writes an application whose types and tests hold, and that serves", async () => {
  const project = installedProject();
  const printed = run("npm", ["create", "--offline", "alcedo", "my-app"], project);
  assert.match(printed, /^Created my-app\. What next:\n\n {2}cd my-app\n/m);
  const app = join(project, "my-app");
  // What its own installation would have brought.
  symlinkSync("../node_modules", join(app, "node_modules"));
  run("tsc", [], app);
  run(process.execPath, TEST, app);
  const command = "node_modules/alcedo/adapters/npm/alcedo.js";
  await serving(app, [command, "main.ts", "--snapshot-on-stop"], "SIGTERM", async (url) => {
    assert.equal(await post(url, "buy milk"), '{"id":1,"text":"buy milk"}');
    assert.equal(await get(url), '[{"id":1,"text":"buy milk"}]');
  });
  assert.ok(existsSync(join(app, "db.events.snapshot-0000000000000001")));
});
