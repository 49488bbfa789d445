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

const PUBLISHED = { version: "1.2.3", exports: { ".": "./mod.ts" } };
const PACKAGE_JSON = { ...PUBLISHED, imports: { "#std/*": "deno-std/*.js" } };
const PACKAGE_LOCK = {
  packages: {
    "node_modules/deno-std": { version: "1.4.0" },
    "node_modules/@hono/node-server": { version: "2.1.8" },
    "node_modules/hono": { version: "4.13.19" },
  },
};
const DENO_IMPORTS = {
  "alcedo": "./mod.ts",
  "#std/http/status": "npm:deno-std@1.4.0/http/status.js",
  "@hono/node-server": "npm:@hono/node-server@2.1.8",
  "hono/": "npm:/hono@4.13.19/",
};

function mapComplaintsOf(
  changes: Record<string, string>,
  imported: string,
  published: object = PUBLISHED,
): string[] {
  const texts = {
    "package.json": JSON.stringify(PACKAGE_JSON),
    "package-lock.json": JSON.stringify(PACKAGE_LOCK),
    "deno.json": JSON.stringify({ ...published, imports: { ...DENO_IMPORTS, ...changes } }),
    "adapters/a.ts": `import "node:fs"; import "./b.ts"; import "${imported}";`,
  };
  return mapComplaints(Object.entries(texts).map(([path, text]) => ({ path, text })));
}

test("import maps may name the same files and versions, and all that is imported", () => {
  assert.deepEqual(mapComplaintsOf({}, "hono/cors"), []);
});

test("import maps may not differ", () => {
  for (
    const change of [
      { "alcedo": "./main.ts" },
      { "hono/": "npm:/hono@4.13.18/" },
      { "#std/http/status": "npm:deno-std@1.4.0/http/etag.js" },
    ]
  ) {
    assert.match(mapComplaintsOf(change, "alcedo").join("\n"), /^deno\.json: ".*" is not ".*"/);
  }
});

test("import map of Deno may not leave out what is imported", () => {
  assert.deepEqual(mapComplaintsOf({}, "hono"), ['deno.json: does not say where "hono" is']);
});

test("what is published for Deno may not differ from what is published for npm", () => {
  for (
    const published of [
      { version: "1.2.4", exports: PUBLISHED.exports },
      { version: "1.2.3", exports: { ".": "./mod.ts", "./deno": "./adapters/deno.ts" } },
    ]
  ) {
    assert.deepEqual(mapComplaintsOf({}, "alcedo", published), [
      "deno.json: version or exports are not those of package.json",
    ]);
  }
});
