/**
 * The rules about imports, on small made-up projects.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { importComplaints, mapComplaints } from "./imports.ts";

function complaintsOf(imports: Record<string, string>): string[] {
  return importComplaints(
    Object.entries(imports).map(([path, specifier]) => ({ path, text: `import "${specifier}";` })),
  );
}

test("import rules accept what points from mod.ts over adapters/ to runtime/", () => {
  const complaints = complaintsOf({
    "mod.ts": "./adapters/serve.ts",
    "adapters/serve.ts": "../runtime/engine.ts",
    "runtime/engine.ts": "./log/event_log.ts",
    "examples/a/main.ts": "alcedo",
    "tests/a.test.ts": "../runtime/engine.ts",
  });
  assert.deepEqual(complaints, []);
});

for (
  const [path, specifier] of [
    ["runtime/a.ts", "../adapters/b.ts"],
    ["runtime/log/a.ts", "../../mod.ts"],
    ["adapters/a.ts", "alcedo"],
    ["adapters/a.ts", "../tests/support/b.ts"],
    ["examples/a/main.ts", "../../runtime/b.ts"],
  ] as const
) {
  test(`import rules refuse ${specifier} in ${path}`, () => {
    assert.match(complaintsOf({ [path]: specifier }).join("\n"), /^\S+: may not import "\S+"$/);
  });
}

test("import rules find a circle", () => {
  const complaints = complaintsOf({
    "runtime/a.ts": "./b.ts",
    "runtime/b.ts": "./c.ts",
    "runtime/c.ts": "./b.ts",
  });
  assert.deepEqual(complaints, [
    "runtime/b.ts -> runtime/c.ts -> runtime/b.ts: imports go in a circle",
  ]);
});

test("import maps must name the same files and versions", () => {
  const npm = { exports: { ".": "./mod.ts" }, imports: { "#std/*": "deno-std/*.js" } };
  const lock = {
    packages: {
      "node_modules/deno-std": { version: "1.4.0" },
      "node_modules/@hono/node-server": { version: "2.1.8" },
      "node_modules/hono": { version: "4.13.19" },
    },
  };
  const imports = {
    "alcedo": "./mod.ts",
    "#std/http/status": "npm:deno-std@1.4.0/http/status.js",
    "@hono/node-server": "npm:@hono/node-server@2.1.8",
    "hono/": "npm:/hono@4.13.19/",
  };
  const check = (deno: Record<string, string>) =>
    mapComplaints(...[npm, lock, { imports: deno }].map((file) => JSON.stringify(file)) as Texts);
  assert.deepEqual(check(imports), []);
  assert.equal(check({ ...imports, "alcedo": "./main.ts" }).length, 1);
  assert.equal(check({ ...imports, "hono/": "npm:/hono@4.13.18/" }).length, 1);
  assert.equal(
    check({ ...imports, "#std/http/status": "npm:deno-std@1.4.0/http/etag.js" }).length,
    1,
  );
});

type Texts = [packageJson: string, lock: string, denoJson: string];
