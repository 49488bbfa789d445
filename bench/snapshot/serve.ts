/**
 * Serves the entries, begun with a snapshot, and makes snapshots beside that when it is asked to: one
 * after the other, each in a process of its own, as a server's are.
 *
 *     RUNTIME bench/snapshot/serve.ts FILE
 *
 * Prints the port; then answers each line: `start`, `stop`, `make`, and `make from scratch`.
 */

import { openEngine, openFileLog } from "alcedo";
import process from "node:process";
import { createInterface } from "node:readline";
import { listen } from "../../adapters/listen.ts";
import { startSnapshotProcess } from "../../adapters/snapshots.ts";
import app, { MODEL_VERSION } from "./app.ts";

/** What snapshots have been made, since the last question. */
export interface SnapshotsMade {
  readonly count: number;
  /** Of the last one. */
  readonly ms: number;
  readonly bytes: number;
  readonly error?: string;
}

const path = process.argv[2] ?? "";
const log = await openFileLog(path, { readOnly: true, modelVersion: MODEL_VERSION });
const engine = await openEngine(app, { log });
const server = await listen(engine.fetch, { hostname: "127.0.0.1", port: 0 });

let isRunning = false;
let made: SnapshotsMade = { count: 0, ms: 0, bytes: 0 };
let last: Promise<void> = Promise.resolve();

async function make(isFromScratch: boolean): Promise<void> {
  const module = new URL("app.ts", import.meta.url).href;
  const answer = await startSnapshotProcess({ log: path, module, isFromScratch }).answer;
  made = "error" in answer
    ? { ...made, error: answer.error }
    : { count: made.count + 1, ms: answer.ms, bytes: answer.bytes };
}

async function makeAll(): Promise<void> {
  while (isRunning && made.error === undefined) await make(false);
}

async function answer(line: string): Promise<SnapshotsMade> {
  if (line.startsWith("make")) await make(line === "make from scratch");
  if (line === "start") {
    isRunning = true;
    made = { count: 0, ms: 0, bytes: 0 };
    last = makeAll();
  }
  if (line === "stop") {
    isRunning = false;
    await last;
  }
  return made;
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => void answer(line).then((made) => console.log(JSON.stringify(made))));
lines.on("close", () => process.exit(0));
console.log(server.addr.port);
