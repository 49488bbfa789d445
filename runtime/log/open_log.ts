/**
 * Opens a log in a file: creates it, takes its lock, looks at it (`recovery.ts`), and makes of it
 * what can be written: the torn tail kept aside and cut, what may be in memory only written again.
 *
 * At whatever step it is stopped, opening it again finds all that was acknowledged.
 */

import { decodeHex, encodeHex } from "#std/encoding/hex";
import type { Clock } from "../clock.ts";
import { AlcedoError } from "../errors.ts";
import { COMMIT_BYTES_MAX } from "../limits.ts";
import type { Disk, DiskFile, DiskLock } from "./disk.ts";
import type { Durability, EventLog } from "./event_log.ts";
import { codeOf, copyBytes, writeFully } from "./file_bytes.ts";
import { FileLog, ROOM, ZEROS_AHEAD_MAX } from "./file_log.ts";
import { Snapshots } from "./find_snapshot.ts";
import { FILE_HEAD, OPEN, smallFrame } from "./frame.ts";
import { CheckedFramer, PlainFramer } from "./framer.ts";
import { findLog } from "./hold_log.ts";
import { unreadable } from "./log_reader.ts";
import { durabilityCode, markPath, MarkWriter, NEW_MARK, readMark } from "./mark.ts";
import { firstBytes, logToRead } from "./open_log_reader.ts";
import { HISTORY_BYTES, type LogFormat, type Subject, type Survey, survey } from "./recovery.ts";
import { listSnapshots, sequenceIn } from "./snapshot_file.ts";

/** Options of {@linkcode openLog}. */
export interface LogOptions {
  disk: Disk;
  clock: Clock;
  /** Called with what the owner of the file should know: a tail that was cut. */
  warn: (message: string) => void;
  /** The time of day, in milliseconds since 1970. */
  timeOfDay: () => number;
  /** So many random bytes. */
  random: (bytes: number) => Uint8Array;
  /**
   * The format of a log that is made.
   * @default {"checked"}
   */
  format?: LogFormat;
  /** @default {"always"} */
  durability?: Durability;
  /** Opens it to be read alone: nothing is changed, locked, or created. */
  readOnly?: boolean;
  /** Makes a new log where one is missing, though something is left of one. */
  isNew?: boolean;
  /**
   * The version of the model that is to be made of it: if there is a snapshot of one, what it shows
   * is not looked at again.
   */
  modelVersion?: string | undefined;
}

/**
 * Opens the log at `path`, or creates an empty one, and takes its lock.
 *
 * @throws {AlcedoError} `log_locked` if another process writes it; `log_unreadable` if it is no
 * log, is damaged, or is missing though something of it is left. Nothing was changed then.
 */
export async function openLog(path: string, options: LogOptions): Promise<EventLog> {
  if (options.readOnly) return openToRead(path, options);
  const { disk } = options;
  for (;;) {
    const identity = disk.identityOf(path);
    if (identity === undefined) {
      refuseLeftovers(path, "missing", options);
      create(path, options);
      continue;
    }
    // Whoever made it may have been stopped before its name was durable.
    disk.syncFolder(path);
    const lock = await disk.lock(path);
    let file: DiskFile | undefined;
    try {
      // Until it was ours, the path could come to lead elsewhere.
      file = openToWrite(path, disk);
      const isOurs = file?.identity === identity;
      if (isOurs && file !== undefined && file.size() === 0 && mayReplace(path, options)) {
        createChecked(path, options, (made) => disk.rename(made, path));
      } else if (isOurs && file !== undefined) {
        return openLocked(path, { file, lock, options });
      }
    } catch (error) {
      file?.close();
      lock.release();
      throw error;
    }
    file?.close();
    lock.release();
  }
}

function openToWrite(path: string, disk: Disk): DiskFile | undefined {
  try {
    return disk.open(path);
  } catch (cause) {
    const code = codeOf(cause);
    if (code !== "EROFS" && code !== "EACCES" && code !== "EPERM") throw cause;
    throw unreadable(path, "it can only be read: make it writable, or start with --read-only", {
      cause,
    });
  }
}

/** A log that is missing or empty, of which something is left, is not begun anew unasked. */
function refuseLeftovers(path: string, what: string, options: LogOptions): void {
  const { disk, isNew } = options;
  const mark = readMark(disk, path);
  const left = listSnapshots(path, disk);
  // A log in which nothing was written was empty, too.
  if (mark !== undefined && mark.newest?.sequence !== 0) left.unshift(markPath(path));
  if (left.length === 0) return;
  if (isNew) {
    const time = options.timeOfDay();
    for (const name of left) disk.rename(name, `${name}.old-${time}`);
    disk.syncFolder(path);
    return;
  }
  const durable = mark?.newest === undefined ? "" : `, and ${mark.newest.durable} bytes of it ` +
    `(${mark.newest.sequence} commits) were acknowledged`;
  throw unreadable(
    path,
    `it is ${what}, though "${left.join('", "')}" is there${durable}. Nothing was changed: bring ` +
      `the log back, restore it from a backup with: events restore, or begin a new one with --new`,
  );
}

/** Whether an empty file may become a log in the checked format. */
function mayReplace(path: string, options: LogOptions): boolean {
  refuseLeftovers(path, "empty", options);
  const isPlain = readMark(options.disk, path)?.newest?.fileId === 0n;
  return !isPlain && options.format !== "plain";
}

function create(path: string, options: LogOptions): void {
  const { disk } = options;
  try {
    if (options.format === "plain") {
      disk.create(path).close(); // Synced when it is opened.
    } else {
      createChecked(path, options, (made) => {
        disk.link(made, path);
        disk.remove(made);
      });
    }
  } catch (error) {
    // Somebody was quicker, and may have tidied up: theirs is opened, or found to be locked. Nothing
    // else is passed over: above all no sync that failed, since the next one would say that all is well.
    const code = codeOf(error);
    const isThere = code === "EEXIST" || code === "ENOENT" && disk.identityOf(path) !== undefined;
    if (!isThere) throw error;
  }
}

/** Makes a file with the head of a log, and then gives it its name. */
function createChecked(path: string, options: LogOptions, name: (made: string) => void): void {
  const { disk, random } = options;
  // With a name of its own, so that two that begin the same log never write to one file.
  const made = `${path}.new-${encodeHex(random(4))}`;
  const file = disk.create(made);
  try {
    writeFully(file, firstFrames(options), 0, made);
    file.syncNow();
    name(made);
  } catch (error) {
    disk.remove(made);
    throw error;
  } finally {
    file.close();
  }
  disk.syncFolder(path);
}

/** The bytes of a new log: its head, and that it is open. */
export function firstFrames(
  options: Pick<LogOptions, "random" | "timeOfDay" | "durability">,
): Uint8Array {
  const { random, durability = "always" } = options;
  const time = Math.floor(options.timeOfDay() * 1000);
  const fileId = new DataView(random(8).slice().buffer).getBigUint64(0, true);
  const common = { sequence: 1, time, durable: 0, commits: 0, bodyBytes: 0, fileId };
  const head = smallFrame(
    { ...common, kind: FILE_HEAD, offset: 0, before: 0 },
    new Uint8Array(0),
  );
  const open = smallFrame(
    { ...common, kind: OPEN, offset: head.bytes.length, before: head.crc },
    openBody(encodeHex(random(HISTORY_BYTES)), durability),
  );
  const bytes = new Uint8Array(head.bytes.length + open.bytes.length);
  bytes.set(head.bytes);
  bytes.set(open.bytes, head.bytes.length);
  return bytes;
}

/** What the frame of a start holds: the history, and, if it is not `always`, the durability. */
export function openBody(history: string, durability: Durability): Uint8Array {
  const code = durabilityCode(durability);
  return Uint8Array.of(...decodeHex(history), ...(code === 0 ? [] : [code]));
}

interface Locked {
  readonly file: DiskFile;
  readonly lock: DiskLock;
  readonly options: LogOptions;
}

function openLocked(path: string, { file, lock, options }: Locked): EventLog {
  const { disk, clock, warn, random, durability = "always" } = options;
  const snapshots = new Snapshots(path, disk, warn);
  const start = snapshots.start(file, options.modelVersion);
  const subject = { file, path, mark: readMark(disk, path), warn, start };
  const found = survey(subject);
  refuseLoss(path, found, snapshots);
  // Not before: where it is refused, nothing is changed.
  for (const left of [...disk.list(`${path}.new-`), markPath(path) + NEW_MARK, path + ROOM]) {
    disk.remove(left);
  }
  if (found.end < found.size) cutTail(file, path, found, options);
  // Also a log that was closed in order: the sync of its last frame may have failed.
  rewrite(file, path, found);
  if (!isStillThere(subject, found)) return openLocked(path, { file, lock, options });
  const isCarriedOn = found.history !== undefined && (found.isClean || found.alwaysDurable);
  const history = isCarriedOn && found.history !== undefined
    ? found.history
    : encodeHex(random(HISTORY_BYTES));
  let { end } = found;
  // Before anything is appended: should that be torn, no mark of another log is beside it.
  const mark = new MarkWriter({
    disk,
    path,
    mark: { fileId: found.chain?.fileId ?? 0n, durable: end, sequence: found.sequence },
    note: found.chain === undefined ? { history, durability } : undefined,
    warn,
  });
  let framer: CheckedFramer | PlainFramer;
  if (found.chain === undefined) {
    framer = new PlainFramer(found.sequence);
  } else {
    framer = new CheckedFramer(found.chain, { ...options, name: path });
    // A start of which nothing came needs no second frame.
    const isSame = found.isJustOpened && isCarriedOn && found.end === found.size &&
      found.alwaysDurable === (durability === "always");
    if (!isSame) {
      const place = { offset: end, durable: end };
      const frame = framer.note(OPEN, openBody(history, durability), place);
      try {
        appendNow(file, frame, end, path);
        framer.accept();
        end += frame.length;
        mark.write(end, found.sequence);
      } catch (error) {
        // Where it has nothing new to say, the log is as good without, and can be read meanwhile.
        const hasNews = !isCarriedOn || !found.alwaysDurable || durability !== "always";
        if (hasNews || !(error instanceof AlcedoError) || error.code !== "log_full") {
          mark.close();
          throw error;
        }
        warn(`The disk of the log "${path}" is full: nothing can be saved until there is room.`);
      }
    }
  }
  // A plain log keeps it with its mark: there it would go on as if nothing could be undone.
  const isNoted = found.chain !== undefined || durability === "always" || !mark.hasFailed;
  return new FileLog({
    path,
    disk,
    clock,
    file,
    index: found.index,
    history: isNoted ? history : encodeHex(random(HISTORY_BYTES)),
    end,
    sequence: found.sequence,
    fileId: found.chain?.fileId,
    summedFrom: start?.link.offset ?? 0,
    writing: { framer, lock, mark, durability },
    readOnly: undefined,
    snapshots,
    warn,
  });
}

/** A snapshot is made of what is durable: a log that has less has lost it. */
function refuseLoss(path: string, found: Survey, snapshots: Snapshots): void {
  const newer = snapshots.newerThan(found);
  if (newer === undefined) return;
  const shown = sequenceIn(newer);
  throw unreadable(
    path,
    `it ends at offset ${found.end}, after commit ${found.sequence}, but "${newer}" shows commit ` +
      `${shown}, which was acknowledged. Nothing was changed: bring the log back; or, if this ` +
      `older one is wanted, restore it with: events restore, or put that snapshot aside`,
  );
}

/** Keeps what follows the last whole frame in a file of its own, then cuts it off. */
function cutTail(file: DiskFile, path: string, found: Survey, options: LogOptions): void {
  const { warn } = options;
  const { dataEnd, end, size, sequence } = found;
  const isPlain = found.format === "plain";
  const after = (bytes: number) =>
    `${bytes} bytes after ${isPlain ? "event" : "commit"} ${sequence}`;
  if (dataEnd === end) {
    // A checked log that was not closed ends in zeros of its own.
    if (isPlain || size - end > ZEROS_AHEAD_MAX) {
      const cut = after(size - end);
      warn(`The log "${path}" ended in zeros, as a crash may leave them: ${cut} were cut off.`);
    }
  } else {
    const kept = keepAside(file, path, found, options);
    warn(
      `The log "${path}" ended inside ${isPlain ? "an event" : "a frame"}: ` +
        `${after(dataEnd - end)} were never acknowledged, and are now kept in "${kept}".`,
    );
  }
  file.truncate(end);
  file.syncNow();
}

/** Copies the bytes of a log from `found.end` to `found.dataEnd` to a file beside it, durably; returns its path. */
export function keepAside(
  file: DiskFile,
  path: string,
  found: Pick<Survey, "end" | "dataEnd">,
  { disk, timeOfDay }: Pick<LogOptions, "disk" | "timeOfDay">,
): string {
  const kept = `${path}.cut-${found.end}-${timeOfDay()}`;
  disk.remove(kept); // Of the same moment: a start that was stopped here.
  const aside = disk.create(kept);
  try {
    copyBytes(file, aside, { from: found.end, to: found.dataEnd, at: 0, path, name: kept });
    aside.syncNow();
  } catch (error) {
    disk.remove(kept); // Half a copy is none: the tail is still where it was.
    if (codeOf(error) !== "log_full") throw error;
    throw new AlcedoError(
      "log_full",
      `Cannot keep what is to be cut off the log "${path}": no space left on the disk. Nothing was ` +
        `changed: make room, or start with --read-only meanwhile`,
      { cause: error },
    );
  } finally {
    aside.close();
  }
  disk.syncFolder(kept);
  return kept;
}

/**
 * Writes what may not be on the disk over itself, and syncs it. A sync that failed may have marked
 * pages clean that are not on the disk: they read back well, and a later sync would skip them.
 */
function rewrite(file: DiskFile, path: string, { durable, end, format }: Survey): void {
  // Without a mark a plain log says nothing: no more than one flush can have been in doubt.
  const from = format === "plain" && durable === 0
    ? Math.max(0, end - COMMIT_BYTES_MAX)
    : Math.min(durable, end);
  copyBytes(file, file, { from, to: end, at: from, path, name: path });
  // Also where there is nothing to write: the file may have been cut, and not synced.
  file.syncNow();
}

/**
 * Whether what was written over itself is what was looked at before: pages that a failed sync has
 * marked clean may go from the system's cache in between. The plain format cannot tell.
 */
function isStillThere(subject: Subject, found: Survey): boolean {
  const { durable, end, chain, history = "", index } = found;
  const place = index.before(durable);
  if (chain === undefined || durable >= end || place === undefined) return true;
  const link = { ...place, before: undefined, fileId: chain.fileId };
  const start = { link, time: 0, history, alwaysDurable: true };
  const again = survey({ ...subject, start });
  return again.end === end && again.chain?.crc === chain.crc;
}

/** Appends a frame durably; without room, the file is as it was. */
function appendNow(file: DiskFile, frame: Uint8Array, end: number, path: string): void {
  try {
    writeFully(file, frame, end, path);
    file.syncNow();
  } catch (error) {
    file.truncate(end);
    throw error;
  }
}

function openToRead(path: string, options: LogOptions): EventLog {
  const { disk, clock, warn, random } = options;
  const { file, mark, size } = findLog(path, disk);
  try {
    if (size === 0) refuseLeftovers(path, "empty", { ...options, isNew: false });
    const snapshots = new Snapshots(path, disk, warn);
    const start = snapshots.start(file, options.modelVersion);
    // It may be written meanwhile: what comes behind must not be held against what was half written.
    const found = survey({ file: firstBytes(file, size), path, mark, warn, start });
    // Nobody knows whether what was not synced stays; if not, its places in the history go to others.
    const isCertain = found.isClean || !found.alwaysDurable || found.end <= found.durable;
    if (found.end < found.dataEnd) {
      warn(
        `The log "${path}" ends with ${found.dataEnd - found.end} bytes that were never ` +
          `acknowledged: they are not shown.`,
      );
    }
    const history = isCertain && found.history || encodeHex(random(HISTORY_BYTES));
    return logToRead({ path, disk, clock, file, snapshots, warn, history }, found, start);
  } catch (error) {
    file.close();
    throw error;
  }
}
