/**
 * Logs on real files: the public way to open one.
 */

import type { Durability, EventLog } from "../runtime/log/event_log.ts";
import { openLog } from "../runtime/log/open_log.ts";
import type { LogFormat } from "../runtime/log/recovery.ts";
import { clock } from "./clock.ts";
import { disk } from "./files.ts";
import { printWarning } from "./print.ts";

/** Options of {@linkcode openFileLog}. */
export interface FileLogOptions {
  /**
   * The format of a log that is made: `checked` has sums and knows commits; `plain` is a size
   * and an event, again and again, as other programs write it. A log that is there keeps its own.
   * @default {"checked"}
   */
  format?: LogFormat;
  /**
   * What an answer waits for: `always`, until its commit is synced; `everysec` and `no`, until it
   * is written, so that a loss of power may undo the last one or two seconds, or more.
   * @default {"always"}
   */
  durability?: Durability;
  /**
   * Opens it to be read alone: nothing is changed, locked or created.
   * @default {false}
   */
  readOnly?: boolean;
  /**
   * Makes a new log where it is missing, though its mark or a snapshot is still there; these
   * are kept under other names.
   * @default {false}
   */
  isNew?: boolean;
  /**
   * The application's `modelVersion`: if there is a snapshot of a model of this version, what it
   * shows of the log is not looked at again.
   * @default all of the log is looked at
   */
  modelVersion?: string | undefined;
  /**
   * Called after each sync of events, with the milliseconds that it took and the commits that it
   * made durable.
   * @default nothing is measured
   */
  onSync?: ((ms: number, commits: number) => void) | undefined;
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
 * file is no log, or damaged; nothing was changed then.
 */
export function openFileLog(path: string, options: FileLogOptions = {}): Promise<EventLog> {
  return openLog(path, {
    disk,
    clock,
    warn: printWarning,
    timeOfDay: Date.now,
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    ...options,
  });
}
