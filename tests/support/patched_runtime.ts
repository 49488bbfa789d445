/**
 * A copy of the runtime with a mistake in it, and of the harness that must find it, in a folder
 * of its own: for promises that no wrapper around a port can break.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type * as Lives from "./lives.ts";
import type * as Plans from "./plans.ts";
import type * as Storages from "./storages.ts";

/** A mistake: in `file` of the runtime, `from`, which stands there once, becomes `to`. */
export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The harness, on a runtime of its own. */
export type Harness = typeof Lives & typeof Plans & typeof Storages;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Calls `use` with the harness on a runtime with `patches`. */
export async function withPatchedRuntime<Result>(
  patches: readonly Patch[],
  use: (harness: Harness) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-patched-"));
  try {
    for (const name of ["package.json", "runtime", "tests/support"]) {
      cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    for (const { file, from, to } of patches) {
      const path = join(folder, "runtime", file);
      const parts = readFileSync(path, "utf8").split(from);
      if (parts.length !== 2) {
        throw new Error(
          `Cannot patch ${file}: it has "${from}" ${parts.length - 1} times, not once`,
        );
      }
      writeFileSync(path, parts.join(to));
    }
    const load = (name: string) => import(pathToFileURL(join(folder, "tests/support", name)).href);
    return await use({
      ...await load("lives.ts"),
      ...await load("plans.ts"),
      ...await load("storages.ts"),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
