/**
 * What the three platforms' own servers do otherwise than the conformance suite says, where no
 * adapter can see it. Each is shown on the bare server whenever the suite runs, byte by byte;
 * one that has healed is a failure. There is no other list.
 */

import type { ConformanceGap } from "../../adapters/conformance.ts";
import type { Runtime } from "../support/runtime.ts";

/** The gaps of each. */
export const GAPS: Readonly<Record<Runtime, readonly ConformanceGap[]>> = {
  node: [],
  bun: [],
  deno: [],
};
