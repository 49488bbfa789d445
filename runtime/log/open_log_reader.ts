/**
 * Opens a log to be read up to what is durable, beside whoever writes it: for copies, snapshots
 * and all who follow. Nothing is locked or changed.
 *
 * What is durable is what the mark says. Behind it there may be a flush that is being written:
 * it is never looked at, so it can never be taken for damage.
 */

import { encodeHex } from "#std/encoding/hex";
import type { Clock } from "../clock.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { EventLog } from "./event_log.ts";
import { FileLog, type FileLogParts } from "./file_log.ts";
import { Snapshots } from "./find_snapshot.ts";
import { FIRST, FrameReader } from "./frame_reader.ts";
import { findLog, type FoundLog } from "./hold_log.ts";
import { HISTORY_BYTES, type Survey, survey, type SurveyStart } from "./recovery.ts";

/** Options of {@linkcode openLogReader}. */
export interface LogReaderOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** So many random bytes: a plain log without a mark has no history of its own. */
  readonly random: (bytes: number) => Uint8Array;
  readonly warn: (message: string) => void;
  /** Where a snapshot lets the walk begin. What is before it can be read, but was not looked at. */
  readonly start?: SurveyStart | undefined;
  /**
   * The version of the model that is to be made of it: then snapshots of one are used.
   * @default no snapshot is used, and all of the log looked at
   */
  readonly modelVersion?: string | undefined;
}

/** A log that is open to be read, and what was found when it was opened. */
export interface LogAsRead {
  /** Ends at what was durable when it was opened. */
  readonly log: EventLog;
  /** Its file: closed with the log. */
  readonly file: DiskFile;
  /** `found.end` is where it ends, `found.chain` the frame that it ends with. */
  readonly found: Survey;
}

/**
 * Opens the log at `path` to be read, up to what is durable.
 *
 * @throws {AlcedoError} `log_unreadable` if there is none, or it is damaged.
 */
export function openLogReader(path: string, options: LogReaderOptions): LogAsRead {
  const { disk, clock, random, warn, modelVersion } = options;
  const log = findLog(path, disk);
  const { file } = log;
  try {
    const snapshots = modelVersion === undefined ? undefined : new Snapshots(path, disk, warn);
    const start = options.start ?? snapshots?.start(file, modelVersion);
    const found = surveyDurable(log, path, { warn, start });
    const history = found.history ?? encodeHex(random(HISTORY_BYTES));
    const parts = { path, disk, clock, file, snapshots, warn, history };
    return { log: logToRead(parts, found, start), file, found };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A log of which so much was found, and which is only read. */
export function logToRead(
  parts: Pick<
    FileLogParts,
    "path" | "disk" | "clock" | "file" | "snapshots" | "warn" | "history"
  >,
  { index, end, sequence, chain }: Survey,
  start: SurveyStart | undefined,
): EventLog {
  return new FileLog({
    ...parts,
    index,
    end,
    sequence,
    fileId: chain?.fileId,
    summedFrom: start?.link.offset ?? 0,
    writing: undefined,
    readOnly: "it was opened to be read only",
  });
}

/**
 * Looks at the durable part of a log, which may be written meanwhile.
 *
 * @throws {AlcedoError} `log_unreadable` if it is no log, or damaged.
 */
export function surveyDurable(
  { file, mark, size }: FoundLog,
  path: string,
  { warn, start }: Pick<LogReaderOptions, "warn" | "start">,
): Survey {
  const marked = durableByMark({ file, mark, size });
  const found = survey({ file: firstBytes(file, marked ?? size), path, mark, warn, start });
  // A plain log without a mark is one from elsewhere, and all there is.
  if (marked !== undefined || found.format === "plain" || found.durable >= found.end) return found;
  return survey({ file: firstBytes(file, found.durable), path, mark, warn, start });
}

/** How many bytes of the log are durable, if its mark knows. */
export function durableByMark({ file, mark, size }: FoundLog): number | undefined {
  if (mark?.newest === undefined) return undefined;
  const reader = new FrameReader(file, size, FIRST);
  const fileId = reader.next() === "frame" ? reader.link.fileId : 0n;
  // Also if the file is shorter: that is for the survey to say.
  return mark.newest.fileId === fileId ? mark.newest.durable : undefined;
}

/** A file as if it ended after so many bytes, if it is not shorter. */
export function firstBytes(file: DiskFile, bytes: number): DiskFile {
  const size = () => Math.min(bytes, file.size());
  return {
    identity: file.identity,
    size,
    read(into, offset) {
      const left = Math.max(0, bytes - offset);
      return file.read(left < into.length ? into.subarray(0, left) : into, offset);
    },
    write: () => notToBeWritten(),
    truncate: () => notToBeWritten(),
    syncNow: () => notToBeWritten(),
    sync: () => notToBeWritten(),
    close: () => file.close(),
  };
}

function notToBeWritten(): never {
  throw new TypeError("Cannot write file: it was opened to be read only");
}
