/**
 * Lines on their way to standard output: written in the background, as many as there are at a time.
 * Whoever reads them may be slow, or gone; then lines are left out and counted, and nothing waits.
 */

import process from "node:process";
import { clock } from "./clock.ts";
import { runtimeName } from "./listen.ts";

/** Characters that may wait: a few thousand lines, some seconds of a busy server. */
const WAITING_CHARS_MAX = 1024 * 1024;

/** What this file uses of Deno. */
declare const Deno: {
  readonly stdout: { write(bytes: Uint8Array): Promise<number> };
};

/** Options of {@linkcode LineOutput}. */
export interface LineOutputOptions {
  /**
   * Characters that may wait; what comes when there are more is left out.
   * @default {1 Mi}
   */
  waitingCharsMax?: number;
  /** Called when lines begin to be left out, and when they no longer are. */
  warn: (message: string) => void;
}

/** Writes lines, each of which has its end. */
export class LineOutput {
  readonly #write: (text: string) => Promise<void>;
  readonly #charsMax: number;
  readonly #warn: (message: string) => void;
  #waiting: string[] = [];
  /** Characters that wait, and those that are being written. */
  #chars = 0;
  #running: Promise<void> | undefined;
  #isBroken = false;
  #dropped = 0;
  /** How many had been left out when the last lines were written. */
  #droppedBefore = 0;

  /** `write` resolves when `text` was taken: one is asked for at a time. */
  constructor(write: (text: string) => Promise<void>, options: LineOutputOptions) {
    this.#write = write;
    this.#charsMax = options.waitingCharsMax ?? WAITING_CHARS_MAX;
    this.#warn = options.warn;
  }

  /** How many lines were left out. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line; never waits. */
  readonly line = (line: string): void => {
    if (this.#isBroken || this.#chars + line.length > this.#charsMax) return this.#drop();
    this.#chars += line.length;
    this.#waiting.push(line);
    this.#running ??= this.#run();
  };

  /** Resolves when all lines were written, or cannot be. */
  async flush(): Promise<void> {
    await this.#running;
  }

  #drop(): void {
    if (!this.#isBroken && this.#dropped === this.#droppedBefore) {
      this.#warn("access log: whoever reads it is too slow; lines are left out meanwhile");
    }
    this.#dropped++;
  }

  async #run(): Promise<void> {
    // All lines of a turn are one write.
    await new Promise<void>((resolve) => clock.defer(resolve));
    try {
      while (this.#waiting.length > 0) {
        const text = this.#waiting.join("");
        this.#waiting = [];
        await this.#write(text);
        this.#chars -= text.length;
        if (this.#dropped > this.#droppedBefore) {
          this.#warn(`access log: ${this.#dropped - this.#droppedBefore} lines were left out`);
          this.#droppedBefore = this.#dropped;
        }
      }
    } catch (error) {
      this.#isBroken = true;
      this.#dropped += this.#waiting.length;
      this.#waiting = [];
      this.#warn(`access log: it cannot be written, and ends here (${String(error)})`);
    }
    this.#running = undefined;
  }
}

/**
 * What writes to standard output and resolves when that has taken all of it, without holding up
 * anything else. (Deno's `process.stdout` would, if its reader is slow; so does every synchronous
 * write.)
 */
export function standardOutput(): (text: string) => Promise<void> {
  if (runtimeName() === "deno") return writeOnDeno;
  const { stdout } = process;
  // What fails is told to whoever writes, and to nobody else.
  stdout.on("error", () => {});
  return (text) =>
    new Promise((resolve, reject) => {
      stdout.write(text, (error) => error ? reject(error) : resolve());
    });
}

async function writeOnDeno(text: string): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(await Deno.stdout.write(bytes));
}
