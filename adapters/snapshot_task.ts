/**
 * The work of a process that makes a snapshot: `snapshots.ts` starts it with what is to be done in
 * its environment, and reads one line of JSON from its file descriptor 3. It ends when its work is
 * done, or soon after the process that started it is gone.
 *
 * It never serves, locks or appends; it prints nothing.
 */

import { writeSync } from "node:fs";
import process from "node:process";
import { type App, faultOfApp } from "../runtime/app.ts";
import { messageOf } from "../runtime/errors.ts";
import { type MadeSnapshot, makeSnapshot } from "../runtime/make_snapshot.ts";
import { clock } from "./clock.ts";
import { disk } from "./files.ts";

/** What is to be done. */
export interface SnapshotTask {
  /** The URL of the module whose default export is the application. */
  readonly module: string;
  /** The path of the log. */
  readonly log: string;
  /** The folder in which relative paths begin. */
  readonly folder: string;
  readonly isFromScratch: boolean;
  /** The process that wants it. */
  readonly parent: number;
}

/** What has come of it. */
export type SnapshotAnswer =
  | MadeSnapshot & { readonly ms: number; readonly warnings: readonly string[] }
  | { readonly error: string };

const VARIABLE = "ALCEDO_SNAPSHOT_TASK";
const ANSWER = 3;

/** Milliseconds between two looks whether the parent is still there. */
const PARENT_CHECK_MS = 100;

/** What says to a process that is to be started that it makes a snapshot. */
export function environmentFor(task: SnapshotTask): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(task) };
}

/** The snapshot that this process was started to make, if it was started for that. */
export function takeSnapshotTask(): SnapshotTask | undefined {
  const text = process.env[VARIABLE];
  if (text === undefined) return undefined;
  // What the application starts is started for something else.
  delete process.env[VARIABLE];
  return JSON.parse(text);
}

/** Makes the snapshot of the application that `load` gives, tells what has come of it, and ends. */
export async function carryOut(task: SnapshotTask, load: () => unknown): Promise<never> {
  const answer = await makeAnswer(task, load);
  writeSync(ANSWER, `${JSON.stringify(answer)}\n`);
  process.exit(0);
}

async function makeAnswer(task: SnapshotTask, load: () => unknown): Promise<SnapshotAnswer> {
  const start = clock.now();
  try {
    process.chdir(task.folder);
    const app = await load();
    const fault = faultOfApp(app);
    if (fault !== undefined) return { error: `Cannot load "${task.module}": ${fault}` };
    const warnings: string[] = [];
    const made = await makeSnapshot(app as App<unknown, unknown>, task.log, {
      disk,
      clock,
      timeOfDay: Date.now,
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
      warn: (message) => void warnings.push(message),
      isFromScratch: task.isFromScratch,
      onProgress: endWithout(task.parent),
    });
    return { ...made, ms: Math.round(clock.now() - start), warnings };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

/** Ends this process when its parent has ended, however that was. A replay leaves timers no turn. */
function endWithout(parent: number): () => void {
  let next = 0;
  return () => {
    const now = clock.now();
    if (now < next) return;
    next = now + PARENT_CHECK_MS;
    if (process.ppid !== parent) process.exit(1);
  };
}
