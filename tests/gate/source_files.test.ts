/**
 * The reading of source text that the tidy and the web-only check stand on.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOnly, importsOf, withoutComments } from "./source_files.ts";

test("source reader blanks comments and keeps what only looks like one", () => {
  const text = `const a = "// no"; // yes\nconst b = /[/"]*/; /* yes\n */ const c = \`/* no */\`;`;
  const code = withoutComments(text);
  assert.equal(code.length, text.length);
  assert.doesNotMatch(code, /yes/);
  assert.equal(code.match(/no/g)?.length, 2);
  assert.match(code, /const c/);
});

test("source reader keeps of strings only what templates can hold of code", () => {
  const code = codeOnly('f("process.pid", `${process.pid}`, /process.pid/);');
  assert.equal(code.match(/process\.pid/g)?.length, 1);
});

test("source reader finds every form of import", () => {
  const text = [
    'import "a";',
    'import b from "b";',
    'import type {\n  C,\n} from "c";',
    'export { d } from "d";',
    'const e = await import("e");',
    'import f, { type F } from "f";',
    '// import g from "g";',
    `const g = 'import "g";' + \`import "g";\`;`,
    'export const from = "h";',
  ].join("\n");
  const imports = importsOf(text).sort((a, b) => a.specifier < b.specifier ? -1 : 1);
  assert.deepEqual(imports.map((found) => found.specifier), ["a", "b", "c", "d", "e", "f"]);
  assert.deepEqual(imports.filter((found) => found.typeOnly).map((found) => found.specifier), [
    "c",
  ]);
});
