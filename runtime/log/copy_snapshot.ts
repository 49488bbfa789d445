/**
 * Copies the newest snapshot of a log along with the log.
 */

import { encodeHex } from "#std/encoding/hex";
import { messageOf } from "../errors.ts";
import type { Disk } from "./disk.ts";
import { copyBytes } from "./file_bytes.ts";
import { crcBefore, type LogBytes } from "./find_snapshot.ts";
import type { UpkeepOptions } from "./hold_log.ts";
import {
  type FoundSnapshotHead,
  listSnapshots,
  readSnapshotHead,
  snapshotPath,
} from "./snapshot_file.ts";

/** A log that was copied. */
export interface CopiedLog extends LogBytes {
  /** How many bytes of it are those of the log that it is a copy of. */
  readonly end: number;
}

/**
 * Copies the newest snapshot of the log at `from` that shows a part of its copy at `to`, durably.
 * Returns its sequence. It is only a shortcut: if it cannot be copied, that is a warning.
 */
export function copySnapshot(
  from: string,
  to: string,
  copy: CopiedLog,
  options: UpkeepOptions,
): number | undefined {
  const { disk, warn } = options;
  try {
    for (const name of listSnapshots(from, disk)) {
      const head = readSnapshotHead(name, Number(/\d+$/.exec(name)?.[0]), disk);
      if ("fault" in head || !isOf(head, copy)) continue;
      const target = snapshotPath(to, head.sequence);
      if (copyFile(name, target, `${to}.snapshot-new-`, options)) return head.sequence;
    }
  } catch (error) {
    warn(`The snapshot of "${from}" could not be copied: ${messageOf(error)}`);
  }
  return undefined;
}

function isOf(head: FoundSnapshotHead, copy: CopiedLog): boolean {
  return head.fileId === copy.fileId && head.offset <= copy.end &&
    crcBefore(copy, head.offset) === head.crc;
}

/** Whether it was there to be copied: its log may have a newer one by now. */
function copyFile(
  path: string,
  to: string,
  prefix: string,
  { disk, random }: { disk: Disk; random: (bytes: number) => Uint8Array },
): boolean {
  const source = disk.openToRead(path);
  if (source === undefined) return false;
  try {
    const made = `${prefix}${encodeHex(random(8))}`;
    const target = disk.create(made);
    try {
      copyBytes(source, target, { from: 0, to: source.size(), at: 0, path, name: made });
      target.syncNow();
      disk.rename(made, to);
    } catch (error) {
      disk.remove(made);
      throw error;
    } finally {
      target.close();
    }
    disk.syncFolder(to);
    return true;
  } finally {
    source.close();
  }
}
