/**
 * Makes what is published on npm: `node adapters/npm/pack.ts` leaves two packages in `dist/`, each a
 * folder for `npm publish`: `alcedo`, and `create-alcedo`, which `npm create alcedo` runs.
 *
 * They are made, rather than being the project itself, because Node strips no types below
 * `node_modules`: a package has JavaScript and declarations. The project's own package.json names the
 * sources, which is what all else wants; npm has no way to publish other exports than it says.
 */

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What is published as it is: what people read, and what `create` copies. */
const AS_IT_IS = ["README.md", "CHANGELOG.md", "LICENSE", "examples/starter"];

/** The command of `create-alcedo`: `create` of the package `alcedo`, and nothing of its own. */
const CREATE_ALCEDO = `#!/usr/bin/env node
process.argv.splice(2, 0, "create");
await import(new URL("adapters/npm/alcedo.js", import.meta.resolve("alcedo")).href);
`;

/** What the project's package.json says that is said of the packages, too. */
interface ProjectPackage {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<"node" | "bun" | "deno", string>>;
}

/** Where the two packages are. */
export interface Packages {
  readonly alcedo: string;
  readonly createAlcedo: string;
}

/** Makes both packages in `folder`; what is there already is replaced. */
export function makePackages(folder: string): Packages {
  const packages = { alcedo: join(folder, "alcedo"), createAlcedo: join(folder, "create-alcedo") };
  for (const path of Object.values(packages)) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
  }
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const build = ["--project", join(ROOT, "adapters/npm"), "--outDir", packages.alcedo];
  run(tsc, build, ROOT);
  for (const path of AS_IT_IS) {
    cpSync(join(ROOT, path), join(packages.alcedo, path), { recursive: true });
  }
  writeFileSync(join(packages.createAlcedo, "create_alcedo.js"), CREATE_ALCEDO, { mode: 0o755 });

  const project: ProjectPackage = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  writePackageJson(packages.alcedo, alcedoPackage(project));
  writePackageJson(packages.createAlcedo, createPackage(project));
  return packages;
}

/** Puts the packages into files as npm would publish them, in `folder`; returns their paths. */
export function packPackages({ alcedo, createAlcedo }: Packages, folder: string): string[] {
  const pack = ["pack", alcedo, createAlcedo, "--silent", "--pack-destination", folder];
  return run("npm", pack, folder).trim().split("\n").map((name) => join(folder, name));
}

function alcedoPackage(project: ProjectPackage): object {
  const { version, description, license, exports, imports, dependencies } = project;
  return {
    name: "alcedo",
    version,
    description,
    license,
    type: "module",
    exports: Object.fromEntries(
      Object.entries(exports).map(([subpath, source]) => [subpath, built(source)]),
    ),
    imports,
    bin: { alcedo: "adapters/npm/alcedo.js" },
    engines: atLeast(project),
    dependencies,
  };
}

function createPackage(project: ProjectPackage): object {
  const { version, license } = project;
  return {
    name: "create-alcedo",
    version,
    description: "npm create alcedo my-app: a small application to begin with",
    license,
    type: "module",
    bin: { "create-alcedo": "create_alcedo.js" },
    engines: atLeast(project),
    dependencies: { alcedo: version },
  };
}

function built(source: string): { types: string; default: string } {
  const path = source.replace(/\.ts$/, "");
  return { types: `${path}.d.ts`, default: `${path}.js` };
}

/** The project installs the runtimes; its users have theirs. */
function atLeast({ peerDependencies }: ProjectPackage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(peerDependencies).map((
      [name, range],
    ) => [name, `>=${range.replace(/^\D+/, "")}`]),
  );
}

function writePackageJson(folder: string, content: object): void {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(content, undefined, 2)}\n`);
}

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

if (import.meta.main) {
  makePackages(join(ROOT, "dist"));
  console.log("Made. To publish: npm publish ./dist/alcedo && npm publish ./dist/create-alcedo");
}
