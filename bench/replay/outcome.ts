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
  /** Processor time of the whole process: others on the machine hardly change it. */
  readonly cpuMs: number;
  readonly hash: number;
  /** The most memory that the process had. */
  readonly peakBytes: number;
}

/** Prints the outcome. */
export function printOutcome(accounts: Accounts, ms: number, openMs: number): void {
  const { user, system } = process.cpuUsage();
  const cpuMs = (user + system) / 1000;
  const outcome: Outcome = { ms, openMs, cpuMs, hash: hashOf(accounts), peakBytes: peakBytes() };
  console.log(JSON.stringify(outcome));
}

/** The most that was resident; `resourceUsage` would count the parent's too, before the exec. */
function peakBytes(): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024; // Not on Linux.
  }
}
