/**
 * Verifies a log as `events verify` does, and says how long that took.
 *
 *     RUNTIME bench/verify/library.ts FILE
 */

import process from "node:process";
import { disk } from "../../adapters/files.ts";
import { verifyLog } from "../../runtime/log/verify.ts";

/** What verifying a log took. */
export interface VerifyOutcome {
  readonly ms: number;
  /** Processor time of all threads, in milliseconds: others on the machine hardly change it. */
  readonly cpuMs: number;
  readonly bytes: number;
  readonly events: number;
}

const before = process.cpuUsage();
const start = performance.now();
const { found, events } = verifyLog(process.argv[2] ?? "", { disk, warn: console.error });
const ms = performance.now() - start;
const { user, system } = process.cpuUsage(before);
const outcome: VerifyOutcome = { ms, cpuMs: (user + system) / 1000, bytes: found.size, events };
console.log(JSON.stringify(outcome));
