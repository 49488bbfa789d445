/**
 * The snapshots of a log that is open: which of them shows a part of this very log, and the model
 * in it. One that is damaged, or of another log, is passed over with a warning, one of another
 * version of the model as well; then an older one is tried, and in the end none.
 */

import { messageOf } from "../errors.ts";
import { SMALL_READ_BYTES } from "../limits.ts";
import { crc32c } from "./crc32c.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { Snapshot } from "./event_log.ts";
import { readFully } from "./file_bytes.ts";
import { FIRST, FrameReader } from "./frame_reader.ts";
import type { Survey, SurveyStart } from "./recovery.ts";
import {
  type FoundSnapshotHead,
  listSnapshots,
  readSnapshotBody,
  readSnapshotHead,
  sequenceIn,
} from "./snapshot_file.ts";

/** Bytes before its end by which a part of a plain log is known again. */
const PLAIN_CRC_BYTES = 64 * 1024;

/** The snapshots beside a log. */
export class Snapshots {
  readonly #path: string;
  readonly #disk: Disk;
  readonly #warn: (message: string) => void;
  /** What was said already: the same files are looked at more than once. */
  readonly #warned = new Set<string>();

  constructor(path: string, disk: Disk, warn: (message: string) => void) {
    this.#path = path;
    this.#disk = disk;
    this.#warn = warn;
  }

  /**
   * Where a look at the log in `file` may begin, because the newest snapshot of a model of this
   * version ends there: at the start if there is none.
   */
  start(file: DiskFile, modelVersion: string | undefined): SurveyStart | undefined {
    if (modelVersion === undefined) return undefined;
    for (const { head } of this.#fitting(file, modelVersion)) {
      const { offset, sequence, crc, fileId, frameTime: time, ...rest } = head;
      const before = fileId === 0n ? undefined : crc;
      const { history, alwaysDurable, isSealed } = rest;
      const link = { offset, sequence: sequence + 1, before, fileId };
      return { link, time, history, alwaysDurable, isSealed };
    }
    return undefined;
  }

  /** What the newest one of a model of this version that fits the log says about itself. */
  newest(file: DiskFile, modelVersion: string): FoundSnapshotHead | undefined {
    for (const { head } of this.#fitting(file, modelVersion)) return head;
    return undefined;
  }

  /** The newest model of this version that shows a part of the log in `file`. */
  load(file: DiskFile, modelVersion: string): Snapshot | undefined {
    for (const { name, head } of this.#fitting(file, modelVersion)) {
      const model = readSnapshotBody(name, head, this.#disk);
      if (model instanceof Uint8Array) {
        return { sequence: head.sequence, time: head.time / 1000, model };
      }
      this.#passOver(name, model.fault);
    }
    return undefined;
  }

  /** One of this very log that shows more than there is in it: more of it was durable once. */
  newerThan({ sequence, chain }: Pick<Survey, "sequence" | "chain">): string | undefined {
    // A plain log has nothing by which it is known.
    if (chain === undefined) return undefined;
    return this.#list().find((name) => {
      if (sequenceIn(name) <= sequence) return false;
      const head = readSnapshotHead(name, sequenceIn(name), this.#disk);
      return !("fault" in head) && head.fileId === chain.fileId;
    });
  }

  *#fitting(
    file: DiskFile,
    modelVersion: string,
  ): Generator<{ readonly name: string; readonly head: FoundSnapshotHead }> {
    let fileId: bigint | undefined;
    for (const name of this.#list()) {
      const head = readSnapshotHead(name, sequenceIn(name), this.#disk);
      if ("fault" in head) {
        this.#passOver(name, head.fault);
      } else if (head.modelVersion !== modelVersion) {
        const [its, ours] = [head.modelVersion, modelVersion].map((it) => JSON.stringify(it));
        this.#passOver(name, `its model has version ${its}, and the application's has ${ours}`);
      } else {
        fileId ??= fileIdOf(file);
        const fault = this.#misfitOf(file, fileId, head);
        if (fault === undefined) yield { name, head };
        else this.#passOver(name, fault);
      }
    }
  }

  /** Why a snapshot does not show a part of the log in `file`, if so. */
  #misfitOf(file: DiskFile, fileId: bigint, head: FoundSnapshotHead): string | undefined {
    if (head.fileId !== fileId) return "it belongs to another log";
    if (head.offset > file.size()) return "it shows more than there is in the log";
    try {
      const crc = crcBefore({ file, fileId, path: this.#path }, head.offset);
      return crc === head.crc ? undefined : "the log has something else where it ends";
    } catch (error) {
      return `the log cannot be read where it ends (${messageOf(error)})`;
    }
  }

  #list(): string[] {
    try {
      return listSnapshots(this.#path, this.#disk);
    } catch (error) {
      this.#passOver(`${this.#path}.snapshot-*`, `they cannot be listed (${messageOf(error)})`);
      return [];
    }
  }

  #passOver(name: string, why: string): void {
    if (this.#warned.has(name)) return;
    this.#warned.add(name);
    this.#warn(
      `The snapshot "${name}" is passed over: ${why}. An older one is taken, or the whole log is ` +
        `replayed.`,
    );
  }
}

/** The id of the file that a log is in; 0 in the plain format. */
function fileIdOf(file: DiskFile): bigint {
  const frames = new FrameReader(file, file.size(), FIRST, { readBytes: SMALL_READ_BYTES });
  return frames.next() === "frame" ? frames.link.fileId ?? 0n : 0n;
}

/**
 * What tells the part of a log before `offset` from any other: in the checked format the CRC that
 * ends the frame there, which follows from all before it; in the plain format the CRC of its last
 * 64 KiB.
 */
export function crcBefore(log: LogBytes, offset: number): number {
  const { file, fileId, path } = log;
  const isChecked = fileId !== 0n;
  const bytes = new Uint8Array(Math.min(isChecked ? 4 : PLAIN_CRC_BYTES, offset));
  readFully(file, bytes, offset - bytes.length, path);
  if (!isChecked) return crc32c(bytes);
  return bytes.reduce((crc, byte, i) => crc + byte * 256 ** i, 0);
}

/** A log as bytes. */
export interface LogBytes {
  readonly file: DiskFile;
  /** 0 in the plain format. */
  readonly fileId: bigint;
  /** The path, for messages. */
  readonly path: string;
}
