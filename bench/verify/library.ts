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
  readonly bytes: number;
  readonly events: number;
}

const start = performance.now();
const { found, events } = verifyLog(process.argv[2] ?? "", { disk, warn: console.error });
const outcome: VerifyOutcome = { ms: performance.now() - start, bytes: found.size, events };
console.log(JSON.stringify(outcome));
