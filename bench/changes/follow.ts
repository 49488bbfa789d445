/**
 * Follows a log with many consumers at once, each from a random position to the end.
 *
 *     RUNTIME bench/changes/follow.ts FILE CONSUMERS
 */

import { bytes, defineApp, openEngine, openFileLog } from "alcedo";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";

/** What was found. */
export interface FollowOutcome {
  readonly commitsInLog: number;
  readonly logBytes: number;
  /** Commits that all consumers together got, and should have got. */
  readonly given: number;
  readonly expected: number;
  /** How long they took, what was read meanwhile, and how much more memory there was at most. */
  readonly ms: number;
  readonly bytesRead: number;
  readonly peakBytes: number;
  /** How long one consumer takes for all of the log, and how long reading it takes. */
  readonly oneMs: number;
  readonly scanMs: number;
}

const [path = "", count = ""] = process.argv.slice(2);
const app = defineApp<number, Uint8Array>({
  initModel: () => 0,
  updateModel: (model, events) => model + events.length,
  handleRequest: () => new Response(),
  codec: bytes,
});
const log = await openFileLog(path);
let commitsRead = 0;
let bytesOfCommits = 0;
const engine = await openEngine(app, {
  log: Object.defineProperty(log, "readCommits", {
    value: countingRead(log.readCommits.bind(log)),
  }),
});
const { durable, logBytes } = engine.health();
await scan(); // Warms up.
const scanMs = await timed(scan);
await timed(() => follow(0));
const oneMs = await timed(() => follow(0));
let state = 1;
const starts = Array.from({ length: Number(count) }, () => {
  state = Math.imul(state, 0x5851f42d) + 0x14057b7d >>> 0;
  return Math.floor(state / 2 ** 32 * durable);
});
let given = 0;
commitsRead = bytesOfCommits = 0;
const readBefore = bytesReadByProcess();
const memoryBefore = process.memoryUsage.rss();
const ms = await timed(async () => {
  for (const taken of await Promise.all(starts.map(follow))) given += taken;
});
const readByProcess = bytesReadByProcess();
const outcome: FollowOutcome = {
  commitsInLog: durable,
  logBytes,
  given,
  expected: starts.reduce((sum, after) => sum + durable - after, 0),
  ms,
  bytesRead: readBefore === undefined || readByProcess === undefined
    ? bytesOfCommits
    : readByProcess - readBefore,
  peakBytes: peakBytesOfProcess() - memoryBefore,
  oneMs,
  scanMs,
};
assert.ok(commitsRead > 0);
console.log(JSON.stringify(outcome));
await engine.close();

async function follow(after: number): Promise<number> {
  let taken = 0;
  for await (const { sequence } of engine.changes(`${log.history}.${after}`)) {
    assert.equal(sequence, after + ++taken);
    if (sequence === durable) break;
  }
  return taken;
}

async function scan(): Promise<void> {
  let events = 0;
  for await (const batch of log.read(durable)) events += batch.count;
  assert.equal(events, durable);
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

/** Bytes that the process has asked the system for, where the system says so. */
function bytesReadByProcess(): number | undefined {
  try {
    return Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
  } catch {
    return undefined; // Not on Linux.
  }
}

/** The most that was resident; `resourceUsage` would count the parent's too, before the exec. */
function peakBytesOfProcess(): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024; // Not on Linux.
  }
}

function countingRead(read: typeof log.readCommits): typeof log.readCommits {
  return async (after, bytesMax) => {
    const commits = await read(after, bytesMax);
    commitsRead += commits.length;
    for (const { events } of commits) for (const { length } of events) bytesOfCommits += length;
    return commits;
  };
}
