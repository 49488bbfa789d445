/**
 * The rules about who may import whom: `mod.ts` -> `adapters/` -> `runtime/`, never back and
 * never in a circle; and that npm and Deno are told the same about what is imported and published.
 */

import { posix } from "node:path";
import { equal } from "#std/assert/equal";
import { importsOf, type SourceFile } from "./source_files.ts";

/** Each may import itself and what stands before it. */
const LAYERS: readonly string[] = ["runtime", "adapters", "mod.ts"];

type Graph = ReadonlyMap<string, readonly string[]>;

/** All that is wrong with the imports of these files. */
export function importComplaints(files: readonly SourceFile[]): string[] {
  const graph: Graph = new Map(
    files.filter((file) => file.path.endsWith(".ts")).map((file) => [file.path, targets(file)]),
  );
  return [
    ...[...graph].flatMap(([path, imports]) =>
      imports.flatMap((to) => directionComplaint(path, to))
    ),
    ...cycles(graph).map((path) => `${path.join(" -> ")}: imports go in a circle`),
  ];
}

/** What a file imports: paths of our own files, and names of packages. */
function targets({ path, text }: SourceFile): string[] {
  return importsOf(text).map(({ specifier }) => {
    if (specifier === "alcedo") return "mod.ts";
    if (specifier.startsWith("alcedo/")) return specifier.replace(/^alcedo(.*)$/, "adapters$1.ts");
    return specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier;
  });
}

function directionComplaint(path: string, to: string): string[] {
  const [from, target] = [topOf(path), topOf(to)];
  const layer = LAYERS.indexOf(from);
  const allowed = layer < 0
    ? from !== "examples" || !LAYERS.includes(target) || to === "mod.ts" || isSubpath(to)
    : LAYERS.includes(target)
    ? LAYERS.indexOf(target) <= layer
    : !["examples", "tests", "bench"].includes(target);
  return allowed ? [] : [`${path}: may not import "${to}"`];
}

/** Whether it is one of the adapters that have a public name. */
function isSubpath(path: string): boolean {
  return /^adapters\/\w+\.ts$/.test(path);
}

function topOf(path: string): string {
  return path.split("/")[0] ?? "";
}

/** One circle for each import that closes one. */
function cycles(graph: Graph): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push([...trail.slice(start), path]);
    if (start >= 0 || done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

interface PackageJson {
  readonly version: string;
  readonly imports: Record<string, string>;
  readonly exports: Record<string, string>;
}
interface PackageLock {
  readonly packages: Record<string, { readonly version?: string }>;
}
interface DenoJson {
  readonly version: string;
  readonly exports: Record<string, string>;
  readonly imports: Record<string, string>;
}

/**
 * Where Deno's import map does not say what package.json and its lock say, or leaves something
 * out: for one package that is named in package.json alone, Deno would resolve all of them.
 */
export function mapComplaints(files: readonly SourceFile[]): string[] {
  const npm = readJson<PackageJson>(files, "package.json");
  const { packages } = readJson<PackageLock>(files, "package-lock.json");
  const published = readJson<DenoJson>(files, "deno.json");
  const deno = published.imports;
  const expected = new Map([
    ...Object.entries(npm.exports).map(([subpath, path]) =>
      [subpath.replace(/^\./, "alcedo"), path] as const
    ),
    ...Object.entries(deno).filter(([, target]) => target.startsWith("npm:")).map(([name]) =>
      [name, npmTarget(name, npm.imports, packages)] as const
    ),
  ]);
  const differing = [...expected].filter(([name, target]) => deno[name] !== target);
  const unnamed = files.filter((file) => file.path.endsWith(".ts")).flatMap((file) =>
    importsOf(file.text).map(({ specifier }) => specifier).filter((specifier) =>
      !/^(?:\.|node:|bun:)/.test(specifier) &&
      !Object.keys(deno).some((name) =>
        specifier === name || (name.endsWith("/") && specifier.startsWith(name))
      )
    )
  );
  const isSame = published.version === npm.version && equal(published.exports, npm.exports);
  return [
    ...(isSame ? [] : ["deno.json: version or exports are not those of package.json"]),
    ...differing.map(([name, target]) => `deno.json: "${name}" is not "${target}", as npm has it`),
    ...new Set(unnamed.map((name) => `deno.json: does not say where "${name}" is`)),
  ];
}

function readJson<T>(files: readonly SourceFile[], path: string): T {
  return JSON.parse(files.find((file) => file.path === path)?.text ?? "") as T;
}

/** What Deno's map must say for a name, as npm resolves it. */
function npmTarget(
  name: string,
  map: PackageJson["imports"],
  packages: PackageLock["packages"],
): string {
  const pattern = Object.keys(map).find((key) => name.startsWith(key.replace("*", "")));
  const target = pattern === undefined
    ? name
    : map[pattern]?.replace("*", name.slice(pattern.length - 1)) ?? name;
  const [, packageName = target, rest = ""] = /^((?:@[^/]+\/)?[^/]+)(.*)$/.exec(target) ?? [];
  const version = packages[`node_modules/${packageName}`]?.version ?? "not installed";
  return `npm:${rest === "/" ? "/" : ""}${packageName}@${version}${rest}`;
}
