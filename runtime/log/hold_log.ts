/**
 * A log in the hands of somebody who does not append to it: who keeps its writer out while the file
 * is changed as a whole, or who reads it beside its writer.
 */

import { AlcedoError } from "../errors.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { unreadable } from "./log_reader.ts";
import { type FoundMark, readMark } from "./mark.ts";

/** What work on whole logs asks of the platform. */
export interface UpkeepOptions {
  readonly disk: Disk;
  /** The time of day, in milliseconds since 1970. */
  readonly timeOfDay: () => number;
  /** So many random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  /** Called with what the owner of the file should know. */
  readonly warn: (message: string) => void;
  /** Called now and then with how far it has come. */
  readonly onProgress?: ((progress: WorkProgress) => void) | undefined;
}

/** How far work on a whole log has come. */
export interface WorkProgress {
  readonly bytes: number;
  readonly bytesTotal: number;
  /** How many events were seen, where they are looked at. */
  readonly events?: number;
}

/** A log that was opened, and its mark. */
export interface FoundLog {
  readonly file: DiskFile;
  readonly mark: FoundMark | undefined;
  /** How long the file was, right after the mark was read: so no less than the mark says. */
  readonly size: number;
}

/**
 * Opens the log at `path` to be read, beside whoever writes it. The mark is read when the file is
 * open, and belongs to it: whoever puts another log in its place moves the mark first.
 *
 * @throws {AlcedoError} `log_unreadable` if there is none.
 */
export function findLog(path: string, disk: Disk): FoundLog {
  for (;;) {
    const file = disk.openToRead(path);
    if (file === undefined) throw unreadable(path, "there is no such file");
    try {
      const mark = readMark(disk, path);
      const size = file.size();
      if (disk.identityOf(path) === file.identity) return { file, mark, size };
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/** A log that nobody else writes. */
export interface HeldLog extends FoundLog {
  release(): void;
}

/**
 * Takes the writer's lock of the log at `path`, and opens it.
 *
 * @throws {AlcedoError} `log_unreadable` if there is none, `log_locked` if it is being written.
 */
export async function holdLog(path: string, disk: Disk): Promise<HeldLog> {
  for (;;) {
    const identity = disk.identityOf(path);
    if (identity === undefined) throw unreadable(path, "there is no such file");
    // Whoever made it may have been stopped before its name was durable.
    disk.syncFolder(path);
    const lock = await disk.lock(path);
    let file: DiskFile | undefined;
    const release = () => {
      file?.close();
      lock.release();
    };
    try {
      file = disk.open(path);
      // Until it was ours, the path could come to lead elsewhere.
      if (file?.identity === identity) {
        return { file, mark: readMark(disk, path), size: file.size(), release };
      }
    } catch (error) {
      release();
      throw error;
    }
    release();
  }
}

/** The error for what cannot be done with a log as it is. */
export function refused(doing: string, path: string, why: string): AlcedoError {
  return new AlcedoError("log_refused", `Cannot ${doing} log "${path}": ${why}`);
}
