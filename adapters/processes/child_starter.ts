/**
 * Children of one command: started, watched until they end, asked or made to end, and never left
 * behind, not even by a front that is killed. What passes through their channels is others' business:
 * `packet_worker.ts` for the pool's packets.
 *
 * A child begins as a shell that waits for a line, so that nothing runs before it is guarded; then it
 * becomes the command, with the same pid.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { Duplex, Readable, Writable } from "node:stream";
import { WORKER_STOP_MS, WORKER_TERM_MS } from "../../runtime/limits.ts";
import { clock } from "../clock.ts";
import { OrphanGuard } from "./orphan_guard.ts";
import { readLines } from "./output_lines.ts";

/** How a child has ended: its exit code or a signal, or why it was not started. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error: Error | undefined;
}

/** What is told of a child, each at most once, and nothing before `start` has returned. */
export interface ChildListener {
  /** It has ended, was waited for, and its channel is read to its end. */
  ended(end: ChildEnd): void;
}

/** Options of {@linkcode ChildStarter}. */
export interface ChildStarterOptions {
  /** What is run: a program, found in `PATH`, and its arguments. */
  readonly command: readonly string[];
  /** Called with each line that a child prints, on its standard output or error. */
  readonly print: (line: string, pid: number) => void;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Waits for its line, and becomes the command: 127 or 126 if there is none, or none that may run. */
const WAIT_AND_RUN = 'read -r _ && exec "$@"';

/** Milliseconds after a child's end in which its channel may still be read; somebody else may hold it. */
const CHANNEL_END_MS = 200;

/** Starts children of one command, and guards them. */
export class ChildStarter {
  readonly #options: ChildStarterOptions;
  readonly #guard = new OrphanGuard();
  readonly #program: string;
  readonly #args: readonly string[];

  constructor(options: ChildStarterOptions) {
    this.#options = options;
    const shell = ["/bin/sh", "-c", WAIT_AND_RUN, "sh", ...options.command];
    [this.#program = "", ...this.#args] = [...diesWithParent(), ...shell];
  }

  /**
   * Starts a child whose file descriptor 3 is a channel; `undefined` if the system has no room for
   * one, such as descriptors for its pipes. `ended` is called then, too.
   */
  start(listener: ChildListener): Child | undefined {
    const { env, print } = this.#options;
    const failed = (error: Error) => listener.ended({ code: null, signal: null, error });
    try {
      const child = spawn(this.#program, this.#args, {
        stdio: ["pipe", "pipe", "pipe", "pipe"],
        detached: true,
        ...env && { env: { ...process.env, ...env } },
      });
      // Its type does not know that there may be none.
      const { stdio }: Partial<ChildProcess> = child;
      if (stdio?.[3]) return new Child(child, this.#guard, listener, print);
      child.on("error", failed);
    } catch (error) {
      clock.defer(() => failed(error as Error));
    }
    return undefined;
  }

  /** Ends what guards the children, and kills those that are left. */
  close(): void {
    this.#guard.close();
  }
}

/** One child. */
export class Child {
  readonly pid: number | undefined;
  /** What it reads on file descriptor 3 is written here, and what it writes there can be read. */
  readonly channel: Duplex;
  readonly #stdin: Writable;
  readonly #guard: OrphanGuard;
  /** What is to be written once it may run; `undefined` from then on. */
  #held: Uint8Array[] | undefined = [];
  #hasEnded = false;
  #isInputOver = false;
  #cancelStop = (): void => {};

  constructor(
    child: ChildProcess,
    guard: OrphanGuard,
    listener: ChildListener,
    print: (line: string, pid: number) => void,
  ) {
    this.pid = child.pid;
    this.#guard = guard;
    // They are there: it was started with four pipes.
    this.#stdin = child.stdin as Writable;
    this.channel = child.stdio[3] as Duplex;
    this.#stdin.on("error", () => {}); // It reads no more; its end tells.
    const { pid = 0 } = child;
    for (const stream of [child.stdout, child.stderr] as Readable[]) {
      readLines(stream, (line) => print(line, pid));
    }
    this.#watch(child, listener);
    if (child.pid !== undefined) guard.add(child.pid, () => this.#run());
  }

  /** Writes to its standard input, in the background. */
  write(bytes: Uint8Array): void {
    if (this.#held !== undefined) this.#held.push(bytes);
    else if (!this.#isInputOver) this.#stdin.write(bytes);
  }

  /**
   * Asks it to end: it finds the end of its input, is asked by SIGTERM if that has not moved it, and
   * is killed if nothing does.
   */
  stop(): void {
    if (this.#isInputOver) return;
    this.#isInputOver = true;
    if (this.#held === undefined) this.#stdin.end();
    this.#cancelStop = clock.after(WORKER_TERM_MS, () => {
      this.#signal("SIGTERM");
      this.#cancelStop = clock.after(WORKER_STOP_MS, () => this.kill());
    });
  }

  /** Kills it and its process group. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  /** It is guarded: it may run. */
  #run(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (this.#hasEnded) return;
    this.#stdin.write("\n");
    for (const bytes of held) this.#stdin.write(bytes);
    if (this.#isInputOver) this.#stdin.end();
  }

  #signal(name: NodeJS.Signals): void {
    if (this.pid === undefined || this.#hasEnded) return;
    try {
      process.kill(-this.pid, name);
    } catch {
      // It has just ended, which is what was wanted.
    }
  }

  #watch(child: ChildProcess, listener: ChildListener): void {
    let end: ChildEnd | undefined;
    let isRead = false;
    const finish = (): void => {
      if (end === undefined || !isRead || this.#hasEnded) return;
      // What it has left behind in its group, nobody talks to any more.
      this.kill();
      this.#hasEnded = true;
      this.#cancelStop();
      if (this.pid !== undefined) this.#guard.remove(this.pid);
      this.channel.destroy();
      this.#stdin.destroy();
      listener.ended(end);
    };
    const read = (): void => {
      isRead = true;
      finish();
    };
    const exited = (how: ChildEnd): void => {
      if (end !== undefined) return;
      end = how;
      // Bun tells of the end of a child before the last that it wrote.
      if (!isRead) clock.after(CHANNEL_END_MS, read);
      finish();
    };
    child.on("exit", (code, signal) => exited({ code, signal, error: undefined }));
    child.on("error", (error) => {
      if (child.pid !== undefined) return; // A signal that could not be sent.
      isRead = true;
      exited({ code: null, signal: null, error });
    });
    this.channel.on("end", read);
    this.channel.on("close", read);
    this.channel.on("error", () => {}); // `close` follows.
  }
}

/**
 * What stands before a command to have the kernel kill it with its parent: nothing where there is no
 * `setpriv` of util-linux. (That of BusyBox knows no such thing.)
 */
function diesWithParent(): string[] {
  const setpriv = findProgram("setpriv");
  if (setpriv === undefined) return [];
  const [program, ...args] = [setpriv, "--pdeathsig", "KILL", "--"];
  const { status } = spawnSync(program, [...args, "/bin/sh", "-c", ":"], { stdio: "ignore" });
  return status === 0 ? [program, ...args] : [];
}

/** Where `PATH` has a program that may be run. */
export function findProgram(name: string): string | undefined {
  const folders = name.includes("/") ? [""] : (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => folder === "" ? name : join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false; // Not there, or not for us.
    }
  });
}
