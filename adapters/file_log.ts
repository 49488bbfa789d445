/**
 * Logs on real files: the public way to open one.
 */

import type { EventLog } from "../runtime/log/event_log.ts";
import { openPlainLog } from "../runtime/log/plain_log.ts";
import { clock } from "./clock.ts";
import { disk } from "./files.ts";
import { printWarning } from "./print.ts";

/** Options of {@linkcode openFileLog}. */
export interface FileLogOptions {
  /**
   * Called with what the owner of the file should know.
   * @default prints to standard error
   */
  warn?: (message: string) => void;
}

/**
 * Opens the log in the file at `path`, or creates an empty one. One process at a time may
 * have a log open.
 *
 * @throws {AlcedoError} `log_locked` if another process has it open, `log_unreadable` if the
 * file is no log; nothing was changed then.
 */
export function openFileLog(path: string, options: FileLogOptions = {}): Promise<EventLog> {
  return openPlainLog(path, {
    disk,
    warn: options.warn ?? printWarning,
    now: clock.now,
    timeOfDay: Date.now,
  });
}
