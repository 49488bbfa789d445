/**
 * Keeps snapshots of a log that is being served: each is made by a process of its own, so that the
 * server never pauses for it. When, and what becomes of one that fails, is decided here; what that
 * process does is in `snapshot_task.ts`.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { dirname, extname, resolve } from "node:path";
import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath } from "node:url";
import { messageOf } from "../runtime/errors.ts";
import { SNAPSHOT_RETRY_MS, SNAPSHOT_RETRY_MS_MAX } from "../runtime/limits.ts";
import type { EventLog } from "../runtime/log/event_log.ts";
import { Snapshots } from "../runtime/log/find_snapshot.ts";
import { removeUnfinished } from "../runtime/log/snapshot_file.ts";
import { clock } from "./clock.ts";
import { disk } from "./files.ts";
import { isExecutable, runtimeName } from "./listen.ts";
import { environmentFor, type SnapshotAnswer, type SnapshotTask } from "./snapshot_task.ts";

/** Milliseconds between two looks at how long the log is. */
const LOOK_MS = 1000;

/** Bytes kept of what a process prints, to say what happened if it ends without an answer. */
const PRINTED_MAX = 2000;

/** Options of {@linkcode keepSnapshots}. */
export interface KeepSnapshotsOptions {
  /** The log: its name is a path. */
  readonly log: Pick<EventLog, "name" | "durable" | "durableBytes">;
  /** The URL of the module whose default export is the application. */
  readonly module: string;
  readonly modelVersion: string;
  /** Bytes of log after which a new snapshot is made. 0: never by itself. */
  readonly snapshotBytes: number;
  /** Called with what the operator should know. */
  readonly warn: (message: string) => void;
}

/** Makes snapshots of one log. */
export interface SnapshotKeeper {
  /** Makes none any more, and ends the process that makes one. */
  stop(): Promise<void>;
  /**
   * Makes one if there are commits that the newest one does not show, else resolves with `undefined`.
   * One that is being made is waited for. Never rejects.
   */
  makeNow(): Promise<SnapshotAnswer | undefined>;
  /** The same after it was stopped. */
  makeLast(): Promise<void>;
}

/**
 * Makes a snapshot whenever the log has grown by `snapshotBytes` since the last one, and by no less
 * than that one has itself: so snapshots never write more than the log does.
 */
export function keepSnapshots(options: KeepSnapshotsOptions): SnapshotKeeper {
  return new Keeper(options);
}

class Keeper implements SnapshotKeeper {
  readonly #options: KeepSnapshotsOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  /** How much of the log the newest snapshot shows, and how large it is. */
  #sequence = 0;
  #logBytes = 0;
  #bytes = 0;
  #running: SnapshotProcess | undefined;
  /** Resolves when `#running` is over, and what has come of it is known here. */
  #making: Promise<SnapshotAnswer> | undefined;
  #isStopped = false;
  #retryMs = SNAPSHOT_RETRY_MS;
  /** Not before, after a failure. */
  #notBefore = 0;

  constructor(options: KeepSnapshotsOptions) {
    this.#options = options;
    try {
      removeUnfinished(options.log.name, disk);
      this.#lookAtNewest();
    } catch (error) {
      const { log, warn } = options;
      warn(`The snapshots of "${log.name}" cannot be looked at: ${messageOf(error)}`);
    }
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  #lookAtNewest(): void {
    const { log: { name }, modelVersion } = this.#options;
    const file = disk.openToRead(name);
    if (file === undefined) return;
    try {
      // Whoever opened the log has warned of those that are of no use.
      const newest = new Snapshots(name, disk, () => {}).newest(file, modelVersion);
      if (newest === undefined) return;
      this.#sequence = newest.sequence;
      this.#logBytes = newest.offset;
      this.#bytes = newest.bodyBytes;
    } finally {
      file.close();
    }
  }

  #look(): void {
    const { snapshotBytes, log } = this.#options;
    if (this.#making !== undefined || snapshotBytes === 0 || clock.now() < this.#notBefore) return;
    const more = log.durableBytes - this.#logBytes;
    if (more >= Math.max(snapshotBytes, this.#bytes)) void this.#make();
  }

  #make(): Promise<SnapshotAnswer> {
    const { log: { name }, module } = this.#options;
    const task = { log: name, module, isFromScratch: false };
    const running = this.#running = startSnapshotProcess(task);
    return this.#making = running.answer.then((answer) => {
      this.#running = undefined;
      this.#making = undefined;
      if (!running.isKilled) this.#note(answer);
      return answer;
    });
  }

  #note(answer: SnapshotAnswer): void {
    const { log: { name }, warn } = this.#options;
    if ("error" in answer) {
      const minutes = this.#retryMs / 60_000;
      warn(
        `No snapshot of "${name}" could be made, so the next start takes longer; it is tried again ` +
          `in ${minutes} min: ${answer.error}`,
      );
      this.#notBefore = clock.now() + this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, SNAPSHOT_RETRY_MS_MAX);
      return;
    }
    for (const warning of answer.warnings) warn(warning);
    this.#sequence = answer.sequence;
    this.#logBytes = answer.logBytes;
    this.#bytes = answer.bytes;
    this.#retryMs = SNAPSHOT_RETRY_MS;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    const running = this.#running;
    if (running === undefined) return;
    running.kill();
    await running.answer;
    try {
      removeUnfinished(this.#options.log.name, disk);
    } catch (error) {
      this.#options.warn(`An unfinished snapshot could not be removed: ${messageOf(error)}`);
    }
  }

  async makeNow(): Promise<SnapshotAnswer | undefined> {
    const { durable } = this.#options.log;
    while (this.#making !== undefined) await this.#making;
    const answer = this.#isStopped || durable <= this.#sequence ? undefined : await this.#make();
    const isMade = answer !== undefined && !("error" in answer);
    return this.#isStopped && !isMade ? { error: "the server is stopping" } : answer;
  }

  async makeLast(): Promise<void> {
    if (this.#options.log.durable > this.#sequence) await this.#make();
  }
}

/** A process that makes a snapshot. */
export interface SnapshotProcess {
  /** What has come of it. Never rejects. */
  readonly answer: Promise<SnapshotAnswer>;
  /** Whether it was ended before it was done. */
  readonly isKilled: boolean;
  kill(): void;
}

/** Starts a process that makes a snapshot. It ends by itself, and at the latest with this one. */
export function startSnapshotProcess(
  task: Pick<SnapshotTask, "log" | "module" | "isFromScratch">,
): SnapshotProcess {
  const folder = process.cwd();
  const whole: SnapshotTask = { ...task, log: resolve(task.log), folder, parent: process.pid };
  let child: ChildProcess | undefined;
  let isKilled = false;
  return {
    answer: answerOf(whole, (started) => child = started),
    get isKilled(): boolean {
      return isKilled;
    },
    kill(): void {
      isKilled = true;
      child?.kill("SIGKILL");
    },
  };
}

async function answerOf(
  task: SnapshotTask,
  onStarted: (child: ChildProcess) => void,
): Promise<SnapshotAnswer> {
  try {
    const { args, input, folder } = commandLine();
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, ...environmentFor(task) },
      stdio: ["pipe", "ignore", "pipe", "pipe"],
    });
    onStarted(child);
    const failed = once(child, "error").then(([error]) => Promise.reject(error));
    let answer = "";
    let printed = "";
    const [stdin, , stderr, pipe] = child.stdio;
    if (stdin === null || stderr === null || pipe === null || pipe === undefined) {
      return await failed;
    }
    lowerPriority(child.pid);
    stdin.on("error", () => {}); // It is gone already: that is told by its end.
    stdin.end(input);
    stderr.on("data", (data) => printed = (printed + data).slice(-PRINTED_MAX));
    pipe.on("data", (data) => answer += data);
    // Bun may say that it is over before the last of the answer is here.
    const over = Promise.all([once(child, "close"), once(pipe, "end")]);
    const [[code, signal]] = await Promise.race([over, failed]);
    if (answer !== "") return JSON.parse(answer);
    const end = signal === null ? `code ${code}` : `signal ${signal}`;
    return { error: `its process ended with ${end}${printed === "" ? "" : `: ${printed.trim()}`}` };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

/** The server's own requests come first. Where it may not be done, or is too late, so be it. */
function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // A snapshot is then made as quickly as anything.
  }
}

/** How the process is run: on this runtime, as this one is. */
function commandLine(): { args: readonly string[]; input: string; folder: string } {
  const script = new URL(`./snapshot_process${extname(import.meta.url)}`, import.meta.url);
  const folder = process.cwd();
  const [, main = "", ...rest] = process.argv;
  // No module can be imported from an executable or a bundle: `serve` has the application there.
  if (isExecutable()) return { args: rest, input: "", folder };
  const isDeno = runtimeName() === "deno";
  const flags = isDeno
    ? ["run", "-A"]
    : process.execArgv.filter((flag) => !/^--(?:inspect|watch|test)\b/.test(flag));
  if (script.protocol === "file:" && !existsSync(script)) {
    return { args: [...flags, main, ...rest], input: "", folder };
  }
  if (!isDeno) return { args: [...flags, fileURLToPath(script)], input: "", folder };
  // What an application may import is said in the deno.json of the folder that it was started
  // from: from there a script is run that is given on the standard input.
  return {
    args: [...flags, "-"],
    input: `await import(${JSON.stringify(script.href)});`,
    folder: existsSync(main) ? dirname(main) : folder,
  };
}
