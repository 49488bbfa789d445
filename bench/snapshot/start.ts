/**
 * Starts on a log: opens it, and the engine on it, with the newest snapshot or without.
 *
 *     RUNTIME bench/snapshot/start.ts FILE snapshot|replay
 */

import { openEngine, openFileLog } from "alcedo";
import process from "node:process";
import { type Entries, hashOf, makeApp, MODEL_VERSION } from "./app.ts";

/** What a start took. */
export interface StartOutcome {
  readonly ms: number;
  readonly hash: number;
  /** The newest commit that the snapshot shows, with which it began; 0 if there was none. */
  readonly snapshot: number;
}

const [, , path = "", how] = process.argv;
const modelVersion = how === "snapshot" ? MODEL_VERSION : undefined;
const start = performance.now();
const log = await openFileLog(path, { readOnly: true, modelVersion });
const engine = await openEngine(makeApp(modelVersion), { log });
const ms = performance.now() - start;
// The model as it is, not as a reader may see it.
const hash = hashOf(await engine.read((entries) => entries as Entries));
const outcome: StartOutcome = { ms, hash, snapshot: engine.health().snapshot?.sequence ?? 0 };
await engine.close();
console.log(JSON.stringify(outcome));
