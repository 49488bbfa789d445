/** What a process that has replayed a log says of it. */

import { readFileSync } from "node:fs";
import process from "node:process";
import { type Accounts, hashOf } from "./events.ts";

/** What a replay took. */
export interface Outcome {
  /** From the closed file to the model. */
  readonly ms: number;
  /** Of these: opening the log, before it is replayed. */
  readonly openMs: number;
  readonly hash: number;
  /** The most memory that the process had, and what it has when all garbage is gone. */
  readonly peakBytes: number;
  readonly modelBytes: number;
}

/** Prints the outcome. Called while the model is all there is. */
export function printOutcome(accounts: Accounts, ms: number, openMs: number): void {
  const peakBytes = statusBytes("VmHWM");
  collectGarbage();
  const modelBytes = statusBytes("VmRSS");
  const outcome: Outcome = { ms, openMs, hash: hashOf(accounts), peakBytes, modelBytes };
  console.log(JSON.stringify(outcome));
}

/** A figure of `/proc/self/status`; elsewhere than on Linux the peak alone can be known. */
function statusBytes(name: "VmHWM" | "VmRSS"): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1];
    return Number(kibibytes) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

function collectGarbage(): void {
  const collect: unknown = "Bun" in globalThis
    ? Reflect.get(Reflect.get(globalThis, "Bun") as object, "gc")
    : Reflect.get(globalThis, "gc");
  if (typeof collect === "function") collect(true);
}
