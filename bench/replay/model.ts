/**
 * Makes the model of the replay without any replay: what it takes by itself, the runtime
 * included.
 *
 *     RUNTIME bench/replay/model.ts ENTRIES
 */

import process from "node:process";
import type { Accounts } from "./events.ts";
import { printOutcome } from "./outcome.ts";

const start = performance.now();
const accounts: Accounts = new Map();
for (let id = 0; id < Number(process.argv[2]); id++) {
  accounts.set(id, { balance: id % 2001, changes: 1, at: 1_700_000_000 + id });
}
printOutcome(accounts, performance.now() - start, 0);
