/**
 * The rules of this code base that no tool at hand checks: names, headers, sizes, words.
 * Each rule looks at the files and returns what is wrong with them; `imports.ts` has the rules
 * about who may import whom. A rule that makes the code worse somewhere is to be changed here.
 */

import { codeOnly, lineAt, type SourceFile, withoutComments } from "./source_files.ts";

/** Twice the size at which a file most likely holds two ideas. */
const LINES_MAX = 500;

const TOP_LEVEL: readonly string[] = [
  ".ci",
  ".gitignore",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "adapters",
  "bench",
  "bunfig.toml",
  "deno.json",
  "docs",
  "examples",
  "llms.txt",
  "mod.ts",
  "package-lock.json",
  "package.json",
  "runtime",
  "tests",
];

/** Folders are nouns of the domain; these say nothing about what is in them. */
const EMPTY_FOLDER_NAMES = /(?:^|\/)(?:utils?|helpers?|common|shared|misc|types|lib)\//;

const SNAKE_CASE =
  /^(?:_?[a-z0-9]+(?:_[a-z0-9]+)*\/)*_?[a-z0-9]+(?:_[a-z0-9]+)*(?:\.test|\.d)?\.ts$/;

interface Pattern {
  readonly pattern: RegExp;
  readonly why: string;
}

// Written so that none of them finds itself.
const IN_CODE: readonly Pattern[] = [
  { pattern: /\bexport\s*\*/g, why: "name what is exported" },
  { pattern: /\bas\s+any\b/g, why: "say what it is" },
  { pattern: /\benum\s+\w+\s*\{/g, why: "a union of literals needs no code" },
];

const IN_TESTS: readonly Pattern[] = [
  { pattern: /\b(?:test|it)\.only\b|\bonly\s*:\s*true/g, why: "all tests are run" },
  {
    pattern: /\bdescribe\s*\(|\bt\.test\s*\(/g,
    why: "tests are flat: runners count others differently",
  },
  { pattern: /\bt\.(?:skip|todo)\s*\(/g, why: "Deno counts it as passed: use needs()" },
];

const IN_ANY_TEXT: readonly Pattern[] = [
  {
    pattern: /\b(?:TO[D]O|FIX[M]E|XX[X])\b/g,
    why: "do it, or write down elsewhere that it is to be done",
  },
  {
    pattern: /\bissue #[0-9]|\bsessio[n]\b/gi,
    why: "the project speaks of itself, not of how it was made",
  },
  { pattern: /(?<![\w.:}/])\/(?:work|root|home)\/\w/g, why: "is a path of one machine" },
  {
    pattern: /"resolved":\s*"http|\bregistry\.[a-z]+js\.org/g,
    why: "npm config set omit-lockfile-registry-resolved",
  },
];

/** All that is untidy in these files. */
export function tidyComplaints(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...placeComplaints(file.path),
    ...matches(file, file.text, IN_ANY_TEXT),
    ...(file.path.endsWith(".ts") ? codeComplaints(file) : []),
  ]);
}

function placeComplaints(path: string): string[] {
  const top = path.split("/")[0] ?? "";
  return [
    ...(TOP_LEVEL.includes(top) ? [] : [`${path}: "${top}" is not agreed on for the top level`]),
    ...(EMPTY_FOLDER_NAMES.test(path) ? [`${path}: the folder's name says nothing`] : []),
    ...(/(?:^|\/)index\.ts$/.test(path) ? [`${path}: name the file after what it exports`] : []),
    ...(path.endsWith(".ts") && !SNAKE_CASE.test(path) ? [`${path}: is not snake_case`] : []),
  ];
}

function codeComplaints(file: SourceFile): string[] {
  const { path, text } = file;
  const code = codeOnly(text);
  const lines = text.split("\n").length - 1;
  return [
    ...(/^(?:#!.*\n)?\s*(?:\/\*\*|\/\/)/.test(text) ? [] : [`${path}: does not say what it owns`]),
    ...(lines <= LINES_MAX ? [] : [`${path}: ${lines} lines, more than ${LINES_MAX}`]),
    ...matches(file, code, IN_CODE),
    ...(path.startsWith("tests/") ? matches(file, code, IN_TESTS) : []),
    ...unexplained(file),
  ];
}

/** What goes around the types or the linter, and does not say why on its line or above. */
function unexplained({ path, text }: SourceFile): string[] {
  const lines = text.split("\n");
  const code = withoutComments(text).split("\n");
  return lines.flatMap((line, index) => {
    const ignores = /deno-lint-ignor[e]\b/.test(line) && !/ -- \S/.test(line);
    const casts = /\bas unknown as\b/.test(code[index] ?? "") &&
      !line.includes("//") && !/^\s*(?:\/\/|\*)/.test(lines[index - 1] ?? "");
    return ignores || casts ? [`${path}:${index + 1}: say why`] : [];
  });
}

function matches({ path }: SourceFile, text: string, patterns: readonly Pattern[]): string[] {
  return patterns.flatMap(({ pattern, why }) =>
    [...text.matchAll(pattern)].map((match) =>
      `${path}:${lineAt(text, match.index)}: "${match[0]}": ${why}`
    )
  );
}
