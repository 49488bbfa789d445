/**
 * Deno runs a copy of the project that has never seen npm, for an application outside of it,
 * with no more than what the gate has fetched for it: the packages that run, and no others.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { installed } from "./command.ts";
import { ROOT } from "./source_files.ts";

const COPIED = ["deno.json", "package.json", "mod.ts", "adapters", "runtime"];

test("deno serves an application outside of the project, and without node_modules", async () => {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-fresh-"));
  const [project, outside] = [join(folder, "project"), join(folder, "outside")];
  mkdirSync(project);
  for (const path of COPIED) cpSync(join(ROOT, path), join(project, path), { recursive: true });
  cpSync(join(ROOT, "examples/hello_world"), outside, { recursive: true });
  const args = ["run", "-A", "--cached-only", join(project, "mod.ts"), "main.ts", "--addr", ":0"];
  const server = spawn(installed("deno"), args, { cwd: outside });
  const { pid } = server;
  assert.ok(pid !== undefined);
  const errors: unknown[] = [];
  server.stderr.on("data", (data) => errors.push(String(data)));
  const closed = once(server, "close");
  try {
    const lines = createInterface(server.stdout);
    const [line] = await Promise.race([once(lines, "line"), closed]);
    const address = /^Listening on (\S+)$/.exec(String(line))?.[1];
    assert.ok(address, errors.join(""));
    assert.equal(await (await fetch(address)).text(), "Hello World\n");
    // Not server.kill(): after it, Deno says that the signal was the end, whatever was.
    process.kill(pid, "SIGTERM");
    assert.deepEqual(await closed, [0, null], errors.join(""));
  } finally {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});
