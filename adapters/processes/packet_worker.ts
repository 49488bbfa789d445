/**
 * Workers of a pool as processes: packets go to a child's standard input and come from its file
 * descriptor 3.
 */

import type {
  SpawnWorker,
  WorkerEnd,
  WorkerListener,
  WorkerProcess,
} from "../../runtime/processes/worker_process.ts";
import { clock } from "../clock.ts";
import type { ChildEnd, ChildStarter } from "./child_starter.ts";

/** Exit codes by which a shell says that a command may not be executed, or is not there. */
const CANNOT_RUN: readonly (number | null)[] = [126, 127];

/** What an operating system says of a program that is not one, or is not there. */
const NO_PROGRAM: readonly unknown[] = ["ENOENT", "EACCES", "ENOEXEC", "EPERM", "ENOTDIR"];

/** Milliseconds that a worker may live on when it has closed its file descriptor 3. */
const MUTE_MS = 1000;

/** A worker of which there is nothing but its end. */
const NOT_STARTED: WorkerProcess = { pid: undefined, send() {}, stop() {}, kill() {} };

/** Starts workers as children of `starter`. */
export function packetWorkers(starter: ChildStarter): SpawnWorker {
  return (listener: WorkerListener) => {
    const child = starter.start({ ended: (end) => listener.ended(workerEnd(end)) });
    if (child === undefined) return NOT_STARTED;
    child.channel.on("data", (bytes: Uint8Array<ArrayBuffer>) => listener.received(bytes));
    // It can answer no more.
    child.channel.on("end", () => clock.after(MUTE_MS, () => child.kill()));
    return {
      pid: child.pid,
      send: (packet) => child.write(packet),
      stop: () => child.stop(),
      kill: () => child.kill(),
    };
  };
}

function workerEnd({ code, signal, error }: ChildEnd): WorkerEnd {
  if (error !== undefined) {
    const reason: unknown = Reflect.get(error, "code");
    return { how: `not started: ${reason}`, cannotRun: NO_PROGRAM.includes(reason), isExit: true };
  }
  const isExit = signal === null;
  return {
    how: isExit ? `exit code ${code}` : signal,
    cannotRun: isExit && CANNOT_RUN.includes(code),
    isExit,
  };
}
