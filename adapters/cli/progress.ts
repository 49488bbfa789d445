/**
 * Shows how far a replay has come: on a terminal, and only if it takes its time.
 */

import process from "node:process";
import type { ReplayProgress } from "../../runtime/replay.ts";
import { clock } from "../clock.ts";

/** Milliseconds that a replay may take without a word, and between two words. */
const QUIET_MS = 1000;
const EVERY_MS = 100;

/** A line on a terminal that is written over and over. */
export interface ProgressLine {
  show(progress: ReplayProgress): void;
  /** Takes the line away. */
  end(): void;
}

/** Where a {@linkcode ProgressLine} is written, and the clock that it goes by. */
export interface ProgressOptions {
  /** @default standard error */
  out?: { isTTY?: boolean; write(text: string): unknown };
  /** @default the platform's */
  now?: () => number;
}

/** Starts a line for the replay of the log called `name`. */
export function progressLine(name: string, options: ProgressOptions = {}): ProgressLine {
  const { out = process.stderr, now = clock.now } = options;
  let next = now() + QUIET_MS;
  let isShown = false;
  return {
    show({ events, bytes, bytesTotal }): void {
      if (out.isTTY !== true || now() < next) return;
      next = now() + EVERY_MS;
      isShown = true;
      const percent = Math.floor(100 * bytes / Math.max(1, bytesTotal));
      out.write(`\r\x1b[KReplaying ${name}: ${percent} %, ${events.toLocaleString("en")} events`);
    },
    end(): void {
      if (isShown) out.write("\r\x1b[K");
    },
  };
}
