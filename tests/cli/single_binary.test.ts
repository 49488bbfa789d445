/**
 * An application as one executable file: application, Alcedo and runtime in it, and nothing else on
 * the machine. Bun makes it, whatever runs the tests. `deno compile` would fetch a runtime to put in,
 * so here it is only seen that it would find all that an application needs.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { installed, runCommand } from "../gate/command.ts";
import { withoutComments } from "../gate/source_files.ts";
import {
  listening,
  ROOT,
  RUN,
  signal,
  startProgram,
  withFolder,
} from "../support/server_process.ts";

for (
  const [what, flags, command] of [
    ["executable", ["--compile"], []],
    // What bundlers make, and Node puts into an executable of its own.
    ["bundle", ["--target=node"], RUN],
  ] as const
) {
  test(`an application that is one ${what} serves, keeps its log, and makes snapshots`, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "contacts.mjs");
      const build = ["build", ...flags, "examples/renamed_field/main.ts", "--outfile", file];
      const { ok, output } = await runCommand([installed("bun"), ...build]);
      assert.ok(ok, output);

      const serve = async (
        options: readonly string[],
        body: (url: string) => Promise<void>,
      ) => {
        const [program, ...args] = [...command, file, "--addr", "localhost:0", ...options];
        // Nothing of the project can be found from there.
        const server = startProgram(program ?? file, args, { cwd: folder });
        try {
          await body(await listening(server));
          signal(server, "SIGTERM");
          assert.deepEqual(await server.ended, { code: 0, signal: null });
          assert.equal(server.stderr(), "");
        } finally {
          server.child.kill("SIGKILL");
        }
      };

      const ada = { name: "Ada", email: "ada@example.org" };
      await serve(["--snapshot-on-stop"], async (url) => {
        const posted = await fetch(url, { method: "POST", body: JSON.stringify(ada) });
        assert.equal(await posted.text(), "added\n");
      });
      const log = join(folder, "db.events");
      assert.ok(existsSync(`${log}.snapshot-0000000000000001`));

      // What the snapshot shows is not read from the log: here it could not be.
      const bytes = readFileSync(log);
      bytes[bytes.indexOf("Ada")] = 0;
      writeFileSync(log, bytes);
      await serve([], async (url) => {
        assert.deepEqual(await (await fetch(url)).json(), [ada]);
      });
    });
  });
}

test("a program that is started again for a snapshot makes none of a log that it does not serve", async () => {
  await withFolder(async (folder) => {
    const [runtime = "", ...rest] = RUN;
    const task = { module: "", log: join(folder, "other"), folder, parent: process.pid };
    const args = [join(ROOT, "tests/support/snapshot_app.ts"), "--events-file", "served"];
    const child = spawn(runtime, [...rest, ...args], {
      env: { ...process.env, ALCEDO_SNAPSHOT_TASK: JSON.stringify(task) },
      stdio: ["ignore", "ignore", "inherit", "pipe"],
    });
    let answer = "";
    const [, , , pipe] = child.stdio;
    assert.ok(pipe);
    pipe.on("data", (data) => answer += data);
    const [[code]] = await Promise.all([once(child, "close"), once(pipe, "end")]);
    assert.equal(code, 0);
    assert.match(JSON.parse(answer).error, /^this program serves "served" first:/);
  });
});

test("deno finds all modules that an application needs in its module graph", async () => {
  const info = ["info", "--json", "examples/hello_world/main.ts"];
  const { ok, output } = await runCommand([installed("deno"), ...info]);
  assert.ok(ok, output);
  const modules: { readonly specifier: string; readonly error?: string }[] =
    JSON.parse(output).modules;
  assert.deepEqual(modules.filter(({ error }) => error !== undefined), []);
  const paths = modules.map(({ specifier }) => specifier.replace(pathToFileURL(ROOT).href, ""));
  const needed = ["cli/serve_app.ts", "deno.ts", "snapshot_task.ts"].map((path) =>
    `adapters/${path}`
  );
  for (const path of [...needed, "package.json"]) assert.ok(paths.includes(path), path);
  const unfollowed = paths.filter((path) =>
    path.endsWith(".ts") &&
    /\bimport\s*\((?!"|\$\{)/.test(withoutComments(readFileSync(join(ROOT, path), "utf8")))
  );
  // It loads what is named on the command line of `mod.ts`, which is not what is compiled.
  assert.deepEqual(unfollowed, ["adapters/cli/load_module.ts"]);
});
