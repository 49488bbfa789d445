/**
 * Gives a log that was made under another name its place: where no log is, or instead of one, which
 * is then kept aside with its mark and its snapshots, whole, as `FILE.old-TIME`.
 *
 * At whatever step it is stopped, the path leads to a whole log, the old one or the new one, or
 * still to none; and never does a log stand beside a mark that could be taken for its own.
 */

import { encodeHex } from "#std/encoding/hex";
import type { Disk, DiskFile } from "./disk.ts";
import { codeOf } from "./file_bytes.ts";
import { refused, type UpkeepOptions } from "./hold_log.ts";
import { markPath, MarkWriter, readMark } from "./mark.ts";

/** A log that was made: whole, and synced. */
export interface MadeLog {
  /** The path that it has for now. */
  readonly path: string;
  /** The id of a checked log's file; 0 for a plain one. */
  readonly fileId: bigint;
  /** Its size in bytes. */
  readonly end: number;
  /** The sequence of its newest commit. */
  readonly sequence: number;
  /** The history of a plain log, which its mark keeps. */
  readonly history: string | undefined;
}

/**
 * Makes a file that is to become the log at `path`; if `fill` fails, it is removed again. One that
 * is left behind when it is stopped is removed by the next try, or the next start.
 */
export async function makeLog<Result>(
  path: string,
  { disk, random }: Pick<UpkeepOptions, "disk" | "random">,
  fill: (file: DiskFile, name: string) => Promise<Result> | Result,
): Promise<Result> {
  for (const left of disk.list(`${path}.new-`)) disk.remove(left);
  const name = `${path}.new-${encodeHex(random(4))}`;
  const file = disk.create(name);
  try {
    return await fill(file, name);
  } catch (error) {
    disk.remove(name);
    throw error;
  } finally {
    file.close();
  }
}

/**
 * Puts a log where none is. A mark or snapshots that are left of one are kept aside.
 *
 * @throws {AlcedoError} `log_refused` if there is a file meanwhile.
 */
export function putNew(path: string, made: MadeLog, options: UpkeepOptions): void {
  const { disk } = options;
  const aside = asidePath(path, options);
  try {
    if (disk.identityOf(path) !== undefined) throw refused("write", path, IS_THERE);
    // Before the log has its name: from then on a server may open it, and write the mark itself.
    putMark(path, aside, made, options);
    disk.syncFolder(path);
    // Only now: without mark and snapshots a server would begin an empty log here.
    if (moveSnapshots(path, aside, disk)) disk.syncFolder(path);
    linkNew(made.path, path, disk);
    disk.remove(made.path);
  } finally {
    disk.remove(markPath(made.path));
  }
  disk.syncFolder(path);
}

const IS_THERE = "there is such a file now";

/** Makes the mark of a log that is put where none is, in one step in place of one that is left. */
function putMark(path: string, aside: string, made: MadeLog, options: UpkeepOptions): void {
  const { disk } = options;
  const mark = markPath(path);
  const isLeft = disk.identityOf(mark) !== undefined;
  writeMark(made.path, made, options);
  const isMade = disk.identityOf(markPath(made.path)) !== undefined;
  if (isLeft) disk.link(mark, markPath(aside));
  if (isLeft && isMade) disk.rename(markPath(made.path), mark);
  else if (isLeft) disk.remove(mark);
  // Somebody who begins a log there may have made one meanwhile.
  else if (isMade) linkNew(markPath(made.path), mark, disk);
}

/** @throws {AlcedoError} `log_refused` if there is something at `path`. */
function linkNew(made: string, path: string, disk: Disk): void {
  try {
    disk.link(made, path);
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw cause;
    throw refused("write", path, IS_THERE);
  }
}

/** Puts a log in place of the one that is there, whose lock is held; returns where that is now. */
export function putInstead(path: string, made: MadeLog, options: UpkeepOptions): string {
  const { disk } = options;
  const aside = asidePath(path, options);
  disk.link(path, aside);
  moveSnapshots(path, aside, disk);
  moveMark(path, aside, made, options);
  // Only now: else the old log could be gone, or the new one have a mark that is not its own.
  disk.syncFolder(path);
  disk.rename(made.path, path);
  disk.syncFolder(path);
  writeMark(path, made, options);
  return aside;
}

/**
 * Gives a log's mark to what it will be called, `aside`, before another log is put in its place.
 *
 * Where the new log is a checked one with another id, the old mark stays as well: beside the new log
 * it says nothing. If the ids are the same, a mark of no log at all takes its place: so a damaged
 * end of the old log is still refused, and not taken for a torn one.
 */
function moveMark(path: string, aside: string, made: MadeLog, options: UpkeepOptions): void {
  const { disk } = options;
  const mark = markPath(path);
  const found = readMark(disk, path);
  if (found === undefined) return;
  const old = found.newest;
  if (made.fileId !== 0n && old !== undefined && old.fileId !== made.fileId) {
    const history = old.fileId === 0n ? found.note?.history : undefined;
    writeMark(aside, { ...old, end: old.durable, history }, options);
    return;
  }
  const isChecked = made.fileId !== 0n;
  const fileId = BigInt.asUintN(64, ~made.fileId);
  if (isChecked) writeMark(made.path, { ...made, fileId, end: 0, sequence: 1 }, options);
  const between = markPath(made.path);
  if (isChecked && disk.identityOf(between) !== undefined) {
    disk.link(mark, markPath(aside));
    disk.rename(between, mark);
  } else {
    disk.rename(mark, markPath(aside));
  }
}

/** A path that nothing has, for what is put aside now. */
function asidePath(path: string, { disk, timeOfDay }: UpkeepOptions): string {
  for (let time = Math.floor(timeOfDay());; time++) {
    const aside = `${path}.old-${time}`;
    if (disk.list(aside).length === 0) return aside;
  }
}

/** The snapshots beside the log at `path`. */
export function snapshotPaths(path: string, disk: Disk): string[] {
  return disk.list(`${path}.snapshot-`).filter((name) => /\.snapshot-\d+$/.test(name));
}

/** Renames the snapshots of a log as if it were called `aside`; whether there were any. */
function moveSnapshots(path: string, aside: string, disk: Disk): boolean {
  const names = snapshotPaths(path, disk);
  for (const name of names) disk.rename(name, aside + name.slice(path.length));
  return names.length > 0;
}

/** Writes the mark of a log, in both slots, durably. */
export function writeMark(
  path: string,
  { fileId, end: durable, sequence, history }: Omit<MadeLog, "path">,
  { disk, warn }: Pick<UpkeepOptions, "disk" | "warn">,
): void {
  const note = history === undefined ? undefined : { history, durability: "always" } as const;
  new MarkWriter({ disk, path, mark: { fileId, durable, sequence }, note, warn }).close();
}
