/**
 * Makes a log in the other format of one. The old one is kept, whole: beside the new one under
 * another name, or where it was.
 *
 * What the plain format cannot say is lost in it: which events were one commit, when, and what the
 * runtime had noted with them. So is the history, always: what is a commit's sequence in the one
 * format is an event's in the other.
 */

import { type HeldLog, holdLog, refused, type UpkeepOptions } from "./hold_log.ts";
import { NewLog } from "./new_log.ts";
import { type MadeLog, makeLog, putInstead, putNew } from "./put_in_place.ts";
import { allCommits } from "./read_commits.ts";
import { firstBytes } from "./open_log_reader.ts";
import { type LogFormat, type Survey, survey } from "./recovery.ts";
import { unreadable } from "./log_reader.ts";

/** Options of {@linkcode convertLog}. */
export interface ConvertOptions extends UpkeepOptions {
  /** The format of the new log. */
  readonly to: LogFormat;
  /**
   * The path of the new log, at which nothing may be.
   * @default the log's own; the old one is kept aside
   */
  readonly dest?: string | undefined;
  /**
   * Whether what the runtime has noted with commits may be lost.
   * @default {false}: then a log that has such notes is not converted to the plain format
   */
  readonly mayDropMeta?: boolean;
}

/** What a conversion has done. */
export interface Converted {
  /** The path of the new log. */
  readonly path: string;
  /** Where the old one is now. */
  readonly old: string;
  readonly events: number;
  /** How many commits they were in. */
  readonly commits: number;
  /** How many commits had a note that the new log has not. */
  readonly metaDropped: number;
  /** The size of the new log in bytes. */
  readonly bytes: number;
}

/**
 * Converts the log at `path`.
 *
 * @throws {AlcedoError} `log_refused` if it is in that format, or something would be lost or
 * overwritten; `log_unreadable`, `log_locked`, `log_full`. Nothing was changed then.
 */
export async function convertLog(path: string, options: ConvertOptions): Promise<Converted> {
  const { disk, dest, warn } = options;
  if (dest !== undefined && disk.identityOf(dest) !== undefined) {
    throw refused("convert", path, `"${dest}" is there already; choose another name`);
  }
  const held = await holdLog(path, disk);
  try {
    const { file, mark } = held;
    const found = survey({ file, path, mark, warn });
    if (found.format === options.to) {
      throw refused("convert", path, `it is in the ${options.to} format already`);
    }
    if (found.end < found.dataEnd) {
      warn(
        `The log "${path}" ends with ${found.dataEnd - found.end} bytes that were never ` +
          `acknowledged: they are not in the new log.`,
      );
    }
    const target = dest ?? path;
    return await makeLog(target, options, (made, name) => {
      const log = new NewLog(made, name, { ...options, format: options.to, name: path });
      const counted = copyEvents(held, path, { found, log, options });
      const complete = log.finish();
      // What was written is read once more before anything depends on it.
      checkMade(
        complete,
        counted.events,
        survey({
          file: firstBytes(made, complete.end),
          path: name,
          mark: undefined,
          warn,
        }),
      );
      let old = path;
      if (dest === undefined) old = putInstead(path, complete, options);
      else putNew(dest, complete, options);
      return { path: target, old, ...counted, bytes: complete.end };
    });
  } finally {
    held.release();
  }
}

interface Work {
  readonly found: Survey;
  readonly log: NewLog;
  readonly options: ConvertOptions;
}

function copyEvents(
  { file }: HeldLog,
  path: string,
  { found, log, options }: Work,
): Pick<Converted, "events" | "commits" | "metaDropped"> {
  const { mayDropMeta = false, onProgress } = options;
  let events = 0, commits = 0, metaDropped = 0, bytes = 0;
  for (const stretch of allCommits(file, path, found)) {
    for (const commit of stretch) {
      commits++;
      if (commit.meta.length > 0) {
        metaDropped++;
        if (!mayDropMeta) {
          throw refused(
            "convert",
            path,
            `the plain format has no place for what the runtime noted with commit ` +
              `${commit.sequence}; say --drop-meta if it may be lost`,
          );
        }
      }
      for (const event of commit.events) {
        log.add(event);
        events++;
        bytes += event.length;
      }
    }
    onProgress?.({ bytes, bytesTotal: found.end, events });
  }
  return { events, commits, metaDropped };
}

/** Whether a log that was made is found to be what was to be made. */
export function checkMade(made: MadeLog, events: number, found: Survey): void {
  if (found.end === made.end && found.sequence === events && made.sequence === events) return;
  throw unreadable(
    made.path,
    `${found.sequence} of ${events} events are found in it, though all were written: the disk ` +
      `does not keep what it is given`,
  );
}
