/**
 * Keeps `runtime/` on web standards: no `node:`, no globals of one platform, nothing of ours
 * from outside, and only packages that keep to the same. Two checks that know nothing of each
 * other: this one reads the text, and `web_only.tsconfig.json` compiles with the web's types.
 */

import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { codeOnly, importsOf, lineAt, ROOT, type SourceFile } from "./source_files.ts";

/** What `runtime/` may import of npm; each is read with the same eyes as `runtime/` itself. */
const PACKAGES: readonly string[] = [
  "#std/assert/equal",
  "#std/data_structures/binary_heap",
  "#std/encoding/base64url",
  "#std/encoding/hex",
  "#std/encoding/varint",
  "#std/http/etag",
  "#std/http/negotiation",
  "#std/http/status",
  "#std/media_types/content_type",
  "@bare-ts/lib",
  "@msgpack/msgpack",
];

/** Where those packages begin that have not one file for each thing, as `#std` has. */
const ENTRIES: Readonly<Record<string, string>> = {
  "@bare-ts/lib": "node_modules/@bare-ts/lib/dist/index.js",
  "@msgpack/msgpack": "node_modules/@msgpack/msgpack/dist.esm/index.mjs",
};

/** What packages import by names of their own, and what that is where there is no platform. */
const INNER_IMPORTS: Readonly<Record<string, string>> = { "#dev": "../../imports/dev.js" };

/** What `runtime/` may import with `import type` alone. */
const TYPE_PACKAGES: readonly string[] = ["hono"];

const PLATFORM_GLOBALS =
  /\b(?:Deno|Bun|Buffer|__dirname|__filename|require)\b|\bprocess\s*[.?[]|\bimport\.meta\.(?:main|dirname|filename)\b/g;

/** What in these files, all of `runtime/`, would not run in a browser; and what prints. */
export function webOnlyComplaints(files: readonly SourceFile[]): string[] {
  return files.filter((file) => file.path.endsWith(".ts")).flatMap((file) => [
    ...importComplaints(file),
    ...globalComplaints(
      file,
      PLATFORM_GLOBALS,
      "is of one platform: take what it gives as an argument",
    ),
    ...globalComplaints(file, /\bconsole\s*\./g, "prints: report to the one who runs it"),
  ]);
}

/** The same for the code of the packages that `runtime/` may import. */
export function packageComplaints(): string[] {
  const paths = PACKAGES.map((name) =>
    ENTRIES[name] ?? name.replace(/^#std\/(.*)$/, "node_modules/deno-std/$1.js")
  );
  const complaints: string[] = [];
  for (const path of paths) { // Grows while it is read: what they import is read as well.
    const file = { path, text: readFileSync(join(ROOT, path), "utf8") };
    complaints.push(...globalComplaints(file, PLATFORM_GLOBALS, "is of one platform"));
    for (const { specifier: imported } of importsOf(file.text)) {
      const specifier = INNER_IMPORTS[imported] ?? imported;
      const target = posix.join(posix.dirname(path), specifier);
      if (!specifier.startsWith(".")) complaints.push(`${path}: imports "${specifier}"`);
      else if (!paths.includes(target)) paths.push(target);
    }
  }
  return complaints;
}

function importComplaints({ path, text }: SourceFile): string[] {
  return importsOf(text).flatMap(({ specifier, typeOnly }) => {
    if (specifier.startsWith(".")) {
      const target = posix.join(posix.dirname(path), specifier);
      return target.startsWith("runtime/")
        ? []
        : [`${path}: imports "${target}" from outside runtime/`];
    }
    const allowed = PACKAGES.includes(specifier) || (typeOnly && TYPE_PACKAGES.includes(specifier));
    return allowed
      ? []
      : [`${path}: imports "${specifier}", which is not on the list in web_only.ts`];
  });
}

function globalComplaints({ path, text }: SourceFile, pattern: RegExp, why: string): string[] {
  const code = codeOnly(text);
  return [...code.matchAll(pattern)].map((match) =>
    `${path}:${lineAt(code, match.index)}: "${match[0]}" ${why}`
  );
}
