/**
 * Replays a log as Alcedo does at its start: opens the log, and the engine on it.
 *
 *     RUNTIME bench/replay/alcedo.ts FILE
 */

import { defineApp, openEngine, openFileLog } from "alcedo";
import process from "node:process";
import { type Accounts, applyChanges, type Change } from "./events.ts";
import { printOutcome } from "./outcome.ts";

const app = defineApp<Accounts, Change>({
  initModel: () => new Map(),
  updateModel: applyChanges,
  handleRequest: () => new Response(),
});

const start = performance.now();
const log = await openFileLog(process.argv[2] ?? "");
const opened = performance.now();
const engine = await openEngine(app, { log });
const end = performance.now();
// The model as it is, not as a reader may see it.
const accounts = await engine.read((model) => model as Accounts);
// In order: what it leaves behind is what the next one is measured with.
await engine.close();
printOutcome(accounts, end - start, opened - start);
