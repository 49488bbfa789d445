/**
 * The public face, name by name, as Deno's documentation tool sees it. A change of it is a
 * change of `public_names.txt`, and so is seen by whoever reads the change.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { installed, runCommand } from "./command.ts";
import { ROOT } from "./source_files.ts";

/** Holds the expected names; `--pin` writes it. */
export const PINNED_NAMES: string = join(ROOT, "tests/gate/public_names.txt");

interface PackageJson {
  readonly exports: Record<string, string>;
}
interface DenoDoc {
  readonly nodes: Record<string, { readonly symbols: readonly { readonly name: string }[] }>;
}

/** The public names, one per line: `alcedo: serve`. */
export async function publicNames(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(publicModules()).map(async ([subpath, path]) => {
      const names = await documentedNames(path);
      return names.map((name) => `${subpath.replace(/^\./, "alcedo")}: ${name}`);
    }),
  );
  return lines.flat().sort().join("\n") + "\n";
}

/** How the public names differ from those that were agreed on. */
export async function publicNameComplaints(): Promise<string[]> {
  const pinned = existsSync(PINNED_NAMES) ? readFileSync(PINNED_NAMES, "utf8").split("\n") : [];
  const actual = (await publicNames()).split("\n");
  const complaints = [
    ...actual.filter((line) => !pinned.includes(line)).map((line) => `new: ${line}`),
    ...pinned.filter((line) => !actual.includes(line)).map((line) => `gone: ${line}`),
  ];
  if (complaints.length > 0) complaints.push("If it is meant: node tests/gate/main.ts --pin");
  return complaints;
}

/** The public names, and members of what they name, that do not say what they are. */
export async function undocumentedComplaints(): Promise<string[]> {
  const modules = Object.values(publicModules());
  const { ok, output } = await runCommand([installed("deno"), "doc", "--lint", ...modules]);
  if (ok) return [];
  const errors = output.split(/^(?=error\[)/m).filter((text) => text.startsWith("error["));
  const ours = errors.filter((text) => !HONO_TYPES.test(text));
  return errors.length === 0 ? [output] : ours;
}

/** Hono's own types, which `honoHandler` names: Hono documents them. */
const HONO_TYPES = /^error\[private-type-ref\]: .* references private type '(?:Env|Hono|Schema)'/;

/** The public modules: their paths, by subpath. */
function publicModules(): PackageJson["exports"] {
  return (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as PackageJson).exports;
}

async function documentedNames(path: string): Promise<string[]> {
  const { ok, output } = await runCommand([installed("deno"), "doc", "--quiet", "--json", path]);
  if (!ok) throw new Error(`Cannot read the public names of "${path}": ${output}`);
  return Object.values((JSON.parse(output) as DenoDoc).nodes).flatMap((node) =>
    node.symbols.map((symbol) => symbol.name)
  );
}
