/**
 * Copies a log as far as it is durable, beside whoever writes it; and brings such a copy back.
 *
 * A copy is read once more and looked at before it gets its name: under it there is never half a
 * copy, and never a damaged one.
 */

import { encodeHex } from "#std/encoding/hex";
import { copySnapshot } from "./copy_snapshot.ts";
import type { DiskFile } from "./disk.ts";
import { codeOf, copyBytes, writeFully } from "./file_bytes.ts";
import { OPEN } from "./frame.ts";
import { CheckedFramer } from "./framer.ts";
import {
  findLog,
  type FoundLog,
  type HeldLog,
  holdLog,
  refused,
  type UpkeepOptions,
} from "./hold_log.ts";
import { openBody } from "./open_log.ts";
import { durableByMark, firstBytes, surveyDurable } from "./open_log_reader.ts";
import { type MadeLog, makeLog, putInstead, putNew } from "./put_in_place.ts";
import { HISTORY_BYTES, type LogFormat, type Survey, survey } from "./recovery.ts";

/** What a copy holds. */
export interface Copied {
  readonly format: LogFormat;
  /** The newest commit (or event) in it. */
  readonly sequence: number;
  readonly bytes: number;
  /** The newest commit that the snapshot shows that was copied, too, if there was one. */
  readonly snapshot: number | undefined;
}

/**
 * Copies the durable part of the log at `path` to `dest`, with a mark beside it, and durably; and
 * the newest snapshot of it. The log may be written meanwhile: what is durable at the begin is in
 * the copy.
 *
 * @throws {AlcedoError} `log_refused` if there is something at `dest`; `log_unreadable` if the log
 * is damaged. There is no copy then.
 */
export async function backupLog(
  path: string,
  dest: string,
  options: UpkeepOptions,
): Promise<Copied> {
  const { disk, warn } = options;
  if (disk.identityOf(dest) !== undefined) {
    throw refused("back up", path, `"${dest}" is there already; choose another name`);
  }
  const whole = await wholeEnd(path, options);
  const source = findLog(path, disk);
  try {
    const { file, mark } = source;
    const isWhole = whole?.identity === file.identity;
    const end = isWhole ? whole.end : durableEnd(source, path, options);
    return await makeLog(dest, options, (copy, name) => {
      copyStart(file, copy, { path, name, end, options });
      const found = survey({ file: copy, path, mark, warn });
      const made = madeOf(name, found, found.history);
      putNew(dest, made, options);
      const snapshot = copySnapshot(path, dest, { ...made, file: copy }, options);
      return { format: found.format, sequence: found.sequence, bytes: found.end, snapshot };
    });
  } finally {
    source.file.close();
  }
}

/**
 * Where a log ends that nobody writes: at its last whole frame, which the next start will keep. The
 * mark may say less, after a loss of power. `undefined` if it is in use, or cannot be written.
 */
async function wholeEnd(
  path: string,
  { disk, warn }: UpkeepOptions,
): Promise<{ identity: string; end: number } | undefined> {
  let held: HeldLog;
  try {
    held = await holdLog(path, disk);
  } catch (error) {
    if (NOT_HELD.has(codeOf(error))) return undefined;
    throw error;
  }
  try {
    const { file, mark } = held;
    return { identity: file.identity, end: survey({ file, path, mark, warn }).end };
  } finally {
    held.release();
  }
}

/** Why a log cannot be held, though it can be read. */
const NOT_HELD: ReadonlySet<unknown> = new Set(["log_locked", "EROFS", "EACCES", "EPERM"]);

/** Where the durable part of a log ends that may be written meanwhile. */
function durableEnd(log: FoundLog, path: string, { warn }: UpkeepOptions): number {
  const { file, mark, size } = log;
  const marked = durableByMark(log);
  if (marked === undefined) return surveyDurable(log, path, { warn }).end;
  // It is not all there: this says so.
  if (marked > size) survey({ file: firstBytes(file, size), path, mark, warn });
  return marked;
}

/** Options of {@linkcode restoreLog}. */
export interface RestoreOptions extends UpkeepOptions {
  /**
   * Whether a log that is there is put aside.
   * @default {false}: then nothing is done
   */
  readonly isReplacing?: boolean;
}

/** What a restored log holds. */
export interface Restored extends Copied {
  /** Where the log is that was there before. */
  readonly old: string | undefined;
}

/**
 * Makes a log at `path` of the whole commits of the one at `backup`, under a new history: so that
 * a position of what was lost never means something else.
 *
 * @throws {AlcedoError} `log_refused` if there is a log at `path` that is not to be replaced;
 * `log_locked` if that is in use; `log_unreadable` if the backup is damaged. Nothing was changed
 * then.
 */
export async function restoreLog(
  backup: string,
  path: string,
  options: RestoreOptions,
): Promise<Restored> {
  const { disk, warn, isReplacing = false } = options;
  const isThere = disk.identityOf(path) !== undefined;
  if (isThere && !isReplacing) {
    throw refused("restore", path, "it is there; say --replace if it is to be put aside");
  }
  const held = isThere ? await holdLog(path, disk) : undefined;
  let file: DiskFile | undefined;
  try {
    const source = findLog(backup, disk);
    const { mark, size } = source;
    file = source.file;
    if (file.identity === held?.file.identity) throw refused("restore", path, "it is the backup");
    const { end } = survey({ file: firstBytes(file, size), path: backup, mark, warn });
    return await makeLog(path, options, (copy, name) => {
      copyStart(source.file, copy, { path: backup, name, end, options });
      const made = beginHistory(copy, name, options);
      const old = held === undefined ? undefined : putInstead(path, made, options);
      if (held === undefined) putNew(path, made, options);
      const snapshot = copySnapshot(backup, path, { ...made, file: copy, end }, options);
      return {
        snapshot,
        format: made.history === undefined ? "checked" : "plain",
        sequence: made.sequence,
        bytes: made.end,
        old,
      };
    });
  } finally {
    file?.close();
    held?.release();
  }
}

/** Looks at a copy, and lets a new history begin at its end. */
function beginHistory(copy: DiskFile, name: string, options: UpkeepOptions): MadeLog {
  const { random, warn } = options;
  const history = encodeHex(random(HISTORY_BYTES));
  const found = survey({ file: copy, path: name, mark: undefined, warn });
  if (found.chain === undefined) return madeOf(name, found, history);
  const framer = new CheckedFramer(found.chain, { ...options, name });
  const place = { offset: found.end, durable: found.end };
  const frame = framer.note(OPEN, openBody(history, "always"), place);
  writeFully(copy, frame, found.end, name);
  copy.syncNow();
  return { ...madeOf(name, found, undefined), end: found.end + frame.length };
}

function madeOf(path: string, found: Survey, history: string | undefined): MadeLog {
  const { chain, end, sequence } = found;
  const fileId = chain?.fileId ?? 0n;
  return { path, fileId, end, sequence, history: chain === undefined ? history : undefined };
}

interface CopyOfStart {
  /** The paths of the log and of its copy. */
  readonly path: string;
  readonly name: string;
  /** How many bytes are copied. */
  readonly end: number;
  readonly options: UpkeepOptions;
}

function copyStart(from: DiskFile, to: DiskFile, { path, name, end, options }: CopyOfStart): void {
  copyBytes(from, to, {
    from: 0,
    to: end,
    at: 0,
    path,
    name,
    onProgress: (bytes) => options.onProgress?.({ bytes, bytesTotal: end }),
  });
  to.syncNow();
}
