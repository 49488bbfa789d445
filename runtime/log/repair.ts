/**
 * Cuts a damaged log at a place where a frame (or event) ends, as its owner has decided. What is cut
 * off is kept in a file of its own, and the log gets a new history.
 *
 * At whatever step it is stopped, the log is as it was, or refused until it is cut again, or cut
 * and under its new history: never does an old position lead to something new.
 */

import { encodeHex } from "#std/encoding/hex";
import { AlcedoError, messageOf } from "../errors.ts";
import { COMMIT_BYTES_MAX } from "../limits.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { copyBytes, writeFully, zerosFrom } from "./file_bytes.ts";
import { OPEN } from "./frame.ts";
import { FIRST, FrameReader } from "./frame_reader.ts";
import { framesBehind } from "./frame_search.ts";
import { type ChainEnd, CheckedFramer } from "./framer.ts";
import { type HeldLog, holdLog, refused, type UpkeepOptions } from "./hold_log.ts";
import { keepAside, openBody } from "./open_log.ts";
import { PlainReader } from "./plain_reader.ts";
import { snapshotPaths, writeMark } from "./put_in_place.ts";
import { formatOf, HISTORY_BYTES, type LogFormat } from "./recovery.ts";
import { SparseIndex } from "./sparse_index.ts";

/** Options of {@linkcode repairLog}. */
export interface RepairOptions extends UpkeepOptions {
  /** Where to cut, in bytes from the start: where a frame or an event ends. */
  readonly cutAt: number;
  /**
   * Asked before anything is changed.
   * @default yes
   */
  readonly confirm?: (plan: RepairPlan) => boolean | Promise<boolean>;
}

/** What a repair is about to do. */
export interface RepairPlan {
  readonly format: LogFormat;
  /** The last commit (or event) that stays. */
  readonly sequence: number;
  /** Commits (or events) that are known to have been behind it; they are given up. */
  readonly lost: number;
  /** Bytes that are cut off and kept aside. */
  readonly bytes: number;
}

/** What a repair has done. */
export interface Repaired extends RepairPlan {
  /** Where the bytes that were cut off are, if there were any. */
  readonly keptAs: string | undefined;
  /** Snapshots that showed commits which are gone, and are called so now. */
  readonly snapshotsAside: readonly string[];
}

/** A place at which a log can be cut. */
interface CutPlace {
  readonly format: LogFormat;
  readonly sequence: number;
  readonly lost: number;
  /** What a checked log goes on with. */
  readonly chain: ChainEnd | undefined;
  /** What was durable when its last frame was written: what follows may be in memory only. */
  readonly durable: number;
  /** Where what is to be cut off ends, but for the zeros behind a checked log. */
  readonly dataEnd: number;
}

/**
 * Cuts the log at `path`. Returns `undefined` if it was not confirmed.
 *
 * @throws {AlcedoError} `log_refused` if the log cannot be cut there: it names the nearest places;
 * `log_unreadable`, `log_locked`, `log_full`. Nothing was changed then.
 */
export async function repairLog(
  path: string,
  options: RepairOptions,
): Promise<Repaired | undefined> {
  const held = await holdLog(path, options.disk);
  try {
    const { cutAt, confirm } = options;
    const place = findPlace(held, path, cutAt);
    const plan = {
      format: place.format,
      sequence: place.sequence,
      lost: place.lost,
      bytes: place.dataEnd - cutAt,
    };
    const mark = held.mark?.newest;
    // Zeros beside a mark that is not the log's own may be refused by a start (`recovery.ts`).
    const isOthers = mark !== undefined && mark.fileId !== (place.chain?.fileId ?? 0n);
    const isInDoubt = isOthers && cutAt < held.size || (mark?.durable ?? 0) > cutAt;
    if (plan.bytes === 0 && !isInDoubt) {
      throw refused("repair", path, "it ends there, and is whole");
    }
    if (confirm !== undefined && !await confirm(plan)) return undefined;
    return { ...plan, ...cut(held, path, place, options) };
  } finally {
    held.release();
  }
}

function findPlace(held: HeldLog, path: string, cutAt: number): CutPlace {
  const { file, mark, size } = held;
  const marked = mark?.newest?.sequence ?? 0;
  if (formatOf({ file, path, mark }) === "plain") {
    const { sequence, last } = findInPlain(file, path, { cutAt, size });
    const lost = Math.max(0, last - sequence, marked - sequence);
    const durable = Math.max(0, cutAt - COMMIT_BYTES_MAX);
    return { format: "plain", sequence, lost, chain: undefined, durable, dataEnd: size };
  }
  const { chain, durable } = findInChecked(file, path, { cutAt, size });
  const known = framesBehind(file, { from: cutAt, to: size, fileId: chain.fileId }).sequence;
  const isOurs = mark?.newest?.fileId === chain.fileId;
  const last = Math.max(known, isOurs ? marked : 0);
  const { sequence } = chain;
  const lost = Math.max(0, last - sequence);
  const dataEnd = zerosFrom(file, cutAt, size);
  return { format: "checked", sequence, lost, chain, durable, dataEnd };
}

interface Cut {
  readonly cutAt: number;
  readonly size: number;
}

function findInChecked(
  file: DiskFile,
  path: string,
  { cutAt, size }: Cut,
): { chain: ChainEnd; durable: number } {
  const frames = new FrameReader(file, size, FIRST);
  let before = 0;
  do {
    before = frames.link.offset;
    const step = frames.next();
    if (step !== "frame") {
      const isEnd = step === "end" || zerosFrom(file, before, size) === before;
      const what = isEnd ? "it ends" : `it is damaged (${frames.fault?.why})`;
      throw refused("cut", path, `${what} at offset ${before}: cut it there, or before`);
    }
  } while (frames.link.offset < cutAt);
  const { offset, sequence, before: crc, fileId } = frames.link;
  if (offset !== cutAt || fileId === undefined || crc === undefined) {
    throw noEnd(path, "frame", cutAt, [before, offset]);
  }
  const { time, durable } = frames.head;
  return { chain: { fileId, sequence: sequence - 1, crc, time }, durable };
}

/** The sequence of the event that ends there, and of the last one that can be read. */
function findInPlain(
  file: DiskFile,
  path: string,
  { cutAt, size }: Cut,
): { sequence: number; last: number } {
  const reader = new PlainReader({ file, name: path, index: new SparseIndex() }, 1, size);
  let sequence = cutAt === 0 ? 0 : -1;
  let end = 0;
  try {
    for (let batch = reader.batch(0, Infinity); batch !== undefined;) {
      const { bounds, count, firstSequence, offset } = batch;
      for (let i = 0; i < count; i++) {
        const before = end;
        end = offset + (bounds[2 * i + 1] ?? 0);
        if (end === cutAt) sequence = firstSequence + i;
        else if (before < cutAt && cutAt < end) throw noEnd(path, "event", cutAt, [before, end]);
      }
      batch = reader.batch(0, Infinity);
    }
  } catch (error) {
    // What is damaged is what is to be cut.
    if (!(error instanceof AlcedoError) || error.code !== "log_unreadable") throw error;
  }
  if (sequence < 0) {
    throw refused(
      "cut",
      path,
      `its last whole event ends at offset ${end}: cut it there, or before`,
    );
  }
  return { sequence, last: reader.next - 1 };
}

function noEnd(path: string, what: string, cutAt: number, places: readonly number[]): AlcedoError {
  // Without its head a checked log is none.
  const possible = places.filter((place) => place > 0 || what === "event");
  return refused(
    "cut",
    path,
    `no ${what} ends at offset ${cutAt}; the nearest that do end at ${possible.join(" and ")}`,
  );
}

function cut(
  held: HeldLog,
  path: string,
  { format, sequence, chain, durable, dataEnd }: CutPlace,
  options: RepairOptions,
): Pick<Repaired, "keptAs" | "snapshotsAside"> {
  const { cutAt, disk, random, timeOfDay, warn } = options;
  const { file, mark, size } = held;
  const history = encodeHex(random(HISTORY_BYTES));
  const keptAs = cutAt < dataEnd
    ? keepAside(file, path, { end: cutAt, dataEnd }, {
      disk,
      timeOfDay: () => Math.floor(timeOfDay()),
    })
    : undefined;
  const snapshotsAside = putSnapshotsAside(path, sequence, options);
  const fileId = chain?.fileId ?? 0n;
  const frame = chain === undefined
    ? new Uint8Array(0)
    : new CheckedFramer(chain, { timeOfDay, warn, name: path })
      .note(OPEN, openBody(history, "always"), { offset: cutAt, durable: cutAt });
  const end = cutAt + frame.length;
  const isOurs = mark?.newest?.fileId === fileId;
  // As at a start: it reads back, but it may be in memory only, or a sync of it may have failed.
  const from = Math.min(durable, cutAt);
  copyBytes(file, file, { from, to: cutAt, at: from, path, name: path });
  file.syncNow();
  // Then the mark says that more was durable than there will be: should this be stopped before all
  // of it is, the log is refused, and not taken for one that ended so by itself. What was durable is
  // kept aside by now.
  const before = {
    fileId,
    end: Math.max(size, isOurs ? mark.newest.durable : 0, end + 1),
    sequence: Math.max(sequence, isOurs ? mark.newest.sequence : 0),
    history: format === "plain" ? history : undefined,
  };
  writeMarkOrFail(path, before, disk);
  file.truncate(cutAt);
  try {
    if (frame.length > 0) writeFully(file, frame, cutAt, path);
  } catch (error) {
    throw refused("repair", path, `${messageOf(error)}; make room and do it again`);
  }
  file.syncNow();
  writeMarkOrFail(path, { ...before, end, sequence }, disk);
  return { keptAs, snapshotsAside };
}

/** What a start goes by, here: a mark that says too much is not a matter of a warning. */
function writeMarkOrFail(path: string, mark: Parameters<typeof writeMark>[1], disk: Disk): void {
  let failure: string | undefined;
  writeMark(path, mark, { disk, warn: (message) => failure ??= message });
  if (failure !== undefined) throw refused("repair", path, `${failure} Then do it again`);
}

/** A snapshot of what is gone would never be used; it is kept under another name. */
function putSnapshotsAside(
  path: string,
  sequence: number,
  { disk, timeOfDay }: { disk: Disk; timeOfDay: () => number },
): string[] {
  const aside: string[] = [];
  for (const name of snapshotPaths(path, disk)) {
    if (Number(/\d+$/.exec(name)?.[0]) <= sequence) continue;
    const other = `${name}.old-${Math.floor(timeOfDay())}`;
    disk.rename(name, other);
    aside.push(other);
  }
  if (aside.length > 0) disk.syncFolder(path);
  return aside;
}
