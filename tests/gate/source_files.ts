/**
 * The project's own files: which there are, what they say without their comments, and what
 * they import. Plain text work: nothing here judges. `tidy.ts` and `web_only.ts` do.
 */

import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds the project, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** A text file, with its path from the root. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** An import, export-from or dynamic import. */
export interface Import {
  readonly specifier: string;
  /** Whether it is gone when the types are: `import type` as a whole. */
  readonly typeOnly: boolean;
}

/** Paths of all files that belong to the project, or are about to: git's view where there is one. */
export function listFiles(): string[] {
  const git = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const paths = git.status === 0
    ? git.stdout.split("\0")
    : globSync("**/*", { cwd: ROOT, exclude: ["**/node_modules/**", ".git/**", "dist/**"] });
  return [...new Set(paths)].sort();
}

/** Reads the files that are text, of `paths`. What git lists and is gone by now is left out. */
export function readSources(paths: readonly string[], root: string = ROOT): SourceFile[] {
  return paths.flatMap((path) => {
    const text = readText(join(root, path));
    return text === undefined || text.includes("\0") ? [] : [{ path, text }];
  });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // A folder, or a file that was deleted and not yet committed.
  }
}

// Strings and regular expressions are matched so that what looks like a comment in them is none.
const TOKENS = new RegExp(
  [
    /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)/,
    /(?<quoted>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')/,
    /(?<template>`(?:\\[\s\S]|[^`\\])*`)/,
    /(?<regexp>(?<=[(,=:[!&|?{};>]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*)/,
  ].map((part) => part.source).join("|"),
  "g",
);

type TokenKind = "comment" | "quoted" | "template" | "regexp";

/** The text without the tokens of which `keep` says no: blanked out, so that lines stay. */
function blank(text: string, keep: (kind: TokenKind, before: string) => boolean): string {
  return text.replaceAll(TOKENS, (token: string, ...rest: unknown[]) => {
    const groups = rest.at(-1) as Record<TokenKind, string | undefined>;
    const kind = (Object.keys(groups) as TokenKind[]).find((name) => groups[name] !== undefined);
    const before = text.slice(0, rest.at(-3) as number).slice(-20);
    return kind !== undefined && keep(kind, before) ? token : token.replaceAll(/[^\n]/g, " ");
  });
}

/** The text without its comments. */
export function withoutComments(text: string): string {
  return blank(text, (kind) => kind !== "comment");
}

/** The code alone: without comments, strings and regular expressions; templates can hold code. */
export function codeOnly(text: string): string {
  return blank(text, (kind) => kind === "template");
}

const FROM = /\b(?:import|export)\b(?<type>\s+type\b)?[^"'`;()]*?\bfrom\s*"(?<specifier>[^"]+)"/g;
const BARE_OR_DYNAMIC = /\bimport\s*\(?\s*"(?<specifier>[^"]+)"/g;

/** What the file imports, by whatever form. */
export function importsOf(text: string): Import[] {
  const code = blank(
    text,
    (kind, before) => kind === "quoted" && /\b(?:from|import)\s*\(?\s*$/.test(before),
  );
  return [...code.matchAll(FROM), ...code.matchAll(BARE_OR_DYNAMIC)].map(({ groups }) => ({
    specifier: groups?.specifier ?? "",
    typeOnly: groups?.type !== undefined,
  }));
}

/** The number of the line that holds the character at `index`, from 1. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
