/**
 * Which runtime a test runs on. For tests of what starts programs, and of the gate: a test of
 * anything else has no need to know.
 */

import { versions } from "node:process";

export type Runtime = "node" | "bun" | "deno";

export const RUNTIME: Runtime = versions.deno !== undefined
  ? "deno"
  : versions.bun !== undefined
  ? "bun"
  : "node";

/** Its version, as numbers. */
export const RUNTIME_VERSION: readonly number[] = (versions[RUNTIME] ?? "").split(".").map(Number);
