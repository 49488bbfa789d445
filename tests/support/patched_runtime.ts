/**
 * A copy of the runtime with a mistake in it, and of the harness that must find it, in a folder
 * of its own: for promises that no wrapper around a port can break.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type * as Lives from "./lives.ts";
import type * as LogLives from "./log_lives.ts";
import type * as LogPlans from "./log_plans.ts";
import type * as Plans from "./plans.ts";
import type * as Storages from "./storages.ts";

/** A mistake: in `file` of the runtime, `from`, which is found there once, becomes `to`. */
export interface Patch {
  readonly file: string;
  readonly from: RegExp;
  readonly to: string;
}

/** The harness, on a runtime of its own. */
export type Harness =
  & typeof Lives
  & typeof Plans
  & typeof Storages
  & typeof LogLives
  & typeof LogPlans;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What the harness and the runtime are made of; a whole server needs more. */
const HARNESS = ["package.json", "runtime", "tests/support"];
const SERVER = [...HARNESS, "adapters", "deno.json", "mod.ts"];

/** Calls `use` with the harness on a runtime with `patches`. */
export function withPatchedRuntime<Result>(
  patches: readonly Patch[],
  use: (harness: Harness) => Promise<Result>,
): Promise<Result> {
  return withCopy(HARNESS, patches, async (folder) => {
    const load = (name: string) => import(pathToFileURL(join(folder, "tests/support", name)).href);
    return await use({
      ...await load("lives.ts"),
      ...await load("plans.ts"),
      ...await load("storages.ts"),
      ...await load("log_lives.ts"),
      ...await load("log_plans.ts"),
    });
  });
}

/** Calls `use` with the folder of a whole server, from which processes can be started. */
export function withPatchedServer<Result>(
  patches: readonly Patch[],
  use: (folder: string) => Promise<Result>,
): Promise<Result> {
  return withCopy(SERVER, patches, use);
}

async function withCopy<Result>(
  names: readonly string[],
  patches: readonly Patch[],
  use: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-patched-"));
  try {
    for (const name of names) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    for (const patch of patches) apply(join(folder, "runtime", patch.file), patch);
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function apply(path: string, { file, from, to }: Patch): void {
  const text = readFileSync(path, "utf8");
  const times = [...text.matchAll(new RegExp(from, "g"))].length;
  if (times !== 1) {
    throw new Error(`Cannot patch ${file}: ${from} is found ${times} times, not once`);
  }
  writeFileSync(path, text.replace(from, to));
}
