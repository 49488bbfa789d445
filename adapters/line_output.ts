/**
 * Lines on their way to standard output, or standard error: written in the background, as many as there are at a time.
 * Whoever reads them may be slow, or gone; then lines are left out and counted, and nothing waits.
 */

import process from "node:process";
import { clock } from "./clock.ts";
import { runtimeName } from "./listen.ts";

/** Characters that may wait: a few thousand lines, some seconds of a busy server. */
const WAITING_CHARS_MAX = 1024 * 1024;

interface DenoWriter {
  write(bytes: Uint8Array): Promise<number>;
}

/** What this file uses of Deno. */
declare const Deno: {
  readonly stdout: DenoWriter;
  readonly stderr: DenoWriter;
};

/** Options of {@linkcode LineOutput}. */
export interface LineOutputOptions {
  /**
   * Characters that may wait; what comes when there are more is left out.
   * @default {1 Mi}
   */
  waitingCharsMax?: number;
  /**
   * What the lines are, in warnings.
   * @default {"access log"}
   */
  name?: string;
  /** Called when lines begin to be left out, and when they no longer are. */
  warn: (message: string) => void;
}

/** Writes lines, each of which has its end. */
export class LineOutput {
  readonly #write: (text: string) => Promise<void>;
  readonly #charsMax: number;
  readonly #name: string;
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
    this.#name = options.name ?? "access log";
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
      this.#warn(`${this.#name}: whoever reads it is too slow; lines are left out meanwhile`);
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
          this.#warn(`${this.#name}: ${this.#dropped - this.#droppedBefore} lines were left out`);
          this.#droppedBefore = this.#dropped;
        }
      }
    } catch (error) {
      this.#isBroken = true;
      this.#dropped += this.#waiting.length;
      this.#waiting = [];
      this.#warn(`${this.#name}: it cannot be written, and ends here (${String(error)})`);
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
  return runtimeName() === "deno" ? writerOnDeno(Deno.stdout) : writerTo(process.stdout);
}

/** Lines to standard error: beside warnings, which are printed at once. */
export function standardError(): LineOutput {
  let isTelling = false;
  const write = runtimeName() === "deno" ? writerOnDeno(Deno.stderr) : writerTo(process.stderr);
  const output = new LineOutput(write, {
    name: "output of workers",
    // It goes the same way, and may itself be left out.
    warn(message) {
      if (isTelling) return;
      isTelling = true;
      output.line(`alcedo: ${message}\n`);
      isTelling = false;
    },
  });
  return output;
}

function writerTo(stream: NodeJS.WriteStream): (text: string) => Promise<void> {
  // What fails is told to whoever writes, and to nobody else.
  stream.on("error", () => {});
  return (text) =>
    new Promise((resolve, reject) => {
      stream.write(text, (error) => error ? reject(error) : resolve());
    });
}

function writerOnDeno(stream: DenoWriter): (text: string) => Promise<void> {
  return async (text) => {
    let bytes = new TextEncoder().encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(await stream.write(bytes));
  };
}
