/**
 * Shows how far a replay, or other work on a log, has come: on a terminal, and only if it takes its
 * time.
 */

import process from "node:process";
import type { WorkProgress } from "../../runtime/log/hold_log.ts";
import { clock } from "../clock.ts";

/** Milliseconds that it may take without a word, and between two words. */
const QUIET_MS = 1000;
const EVERY_MS = 100;

/** A line on a terminal that is written over and over. */
export interface ProgressLine {
  show(progress: WorkProgress): void;
  /** Takes the line away. */
  end(): void;
}

/** Where a {@linkcode ProgressLine} is written, and the clock that it goes by. */
export interface ProgressOptions {
  /** @default standard error */
  out?: { isTTY?: boolean; write(text: string): unknown };
  /** @default the platform's */
  now?: () => number;
  /**
   * What is done with the log.
   * @default {"Replaying"}
   */
  doing?: string;
}

/** Starts a line for what is done with the log called `name`. */
export function progressLine(name: string, options: ProgressOptions = {}): ProgressLine {
  const { out = process.stderr, now = clock.now, doing = "Replaying" } = options;
  let next = now() + QUIET_MS;
  let isShown = false;
  return {
    show({ events, bytes, bytesTotal }): void {
      if (out.isTTY !== true || now() < next) return;
      next = now() + EVERY_MS;
      isShown = true;
      const percent = Math.floor(100 * bytes / Math.max(1, bytesTotal));
      const seen = events === undefined ? "" : `, ${events.toLocaleString("en")} events`;
      out.write(`\r\x1b[K${doing} ${name}: ${percent} %${seen}`);
    },
    end(): void {
      if (isShown) out.write("\r\x1b[K");
      isShown = false;
    },
  };
}
