/**
 * The process that makes a snapshot, where the application is a module that can be imported. What
 * it does is in `snapshot_task.ts`.
 */

import { carryOut, takeSnapshotTask } from "./snapshot_task.ts";

const task = takeSnapshotTask();
if (task !== undefined) await carryOut(task, async () => (await import(task.module)).default);
