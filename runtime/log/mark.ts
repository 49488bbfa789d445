/**
 * The mark, `<log>.mark`: how much of the log was durable when it was written last. A log
 * alone cannot tell damage to its last acknowledged commit from a torn tail; this can.
 *
 * Two slots of 32 bytes are written in turn and not synced, so that one of them is always
 * whole: file id u64 (plain: 0), durable u64, last sequence u64, zero u32, CRC u32. A plain
 * log, which has no room for it in itself, keeps a third record here: its history (16 bytes),
 * how it is being written (u8: 0 always, 1 everysec, 2 no), zeros, and a CRC.
 *
 * A mark that cannot be written is a warning: the log itself is whole.
 */

import { decodeHex, encodeHex } from "#std/encoding/hex";
import { crc32c } from "./crc32c.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { Durability } from "./event_log.ts";
import { readUpTo } from "./file_bytes.ts";
import { getUint64, setUint64 } from "./frame.ts";

/** What a slot says. */
export interface Mark {
  readonly fileId: bigint;
  /** Bytes of the log that were durable. */
  readonly durable: number;
  /** The sequence of the newest durable commit. */
  readonly sequence: number;
}

/** What a plain log keeps beside its mark. */
export interface PlainNote {
  readonly history: string;
  /** Whether every commit was synced before it was acknowledged, while this was in force. */
  readonly alwaysDurable: boolean;
}

/** What the mark beside a log says. */
export interface FoundMark {
  /** The newest slot that is whole. */
  readonly newest: Mark | undefined;
  readonly note: PlainNote | undefined;
}

/** How a log says in one byte in what way it is written. */
export function durabilityCode(durability: Durability): number {
  return durability === "always" ? 0 : durability === "everysec" ? 1 : 2;
}

const SLOT_BYTES = 32;
const NOTE_AT = 2 * SLOT_BYTES;
const HISTORY_BYTES = 16;

/** What is added to the path of a mark that is not whole yet. */
export const NEW_MARK = "-new";

/** The path of the mark of the log at `path`. */
export function markPath(path: string): string {
  return `${path}.mark`;
}

/** Reads the mark of the log at `path`; `undefined` if it has none. */
export function readMark(disk: Disk, path: string): FoundMark | undefined {
  const file = disk.openToRead(markPath(path));
  if (file === undefined) return undefined;
  try {
    const bytes = readRecords(file);
    return { newest: readSlot(bytes, newestSlot(bytes)), note: readNote(bytes) };
  } finally {
    file.close();
  }
}

function readRecords(file: DiskFile): Uint8Array {
  const bytes = new Uint8Array(3 * SLOT_BYTES);
  readUpTo(file, bytes, 0);
  return bytes;
}

/** Where the slot is that says more; the first one, if neither is whole. */
function newestSlot(bytes: Uint8Array): number {
  const [first, second] = [readSlot(bytes, 0), readSlot(bytes, SLOT_BYTES)];
  return second !== undefined && second.durable > (first?.durable ?? -1) ? SLOT_BYTES : 0;
}

function readSlot(bytes: Uint8Array, at: number): Mark | undefined {
  if (!isSound(bytes, at)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    fileId: view.getBigUint64(at, true),
    durable: getUint64(view, at + 8),
    sequence: getUint64(view, at + 16),
  };
}

function readNote(bytes: Uint8Array): PlainNote | undefined {
  if (!isSound(bytes, NOTE_AT)) return undefined;
  const history = encodeHex(bytes.subarray(NOTE_AT, NOTE_AT + HISTORY_BYTES));
  return { history, alwaysDurable: bytes[NOTE_AT + HISTORY_BYTES] === 0 };
}

/** Whether the record at `at` ends with its CRC. A record of zeros is none: its CRC is not 0. */
function isSound(bytes: Uint8Array, at: number): boolean {
  const end = at + SLOT_BYTES - 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return crc32c(bytes, at, end) === view.getUint32(end, true);
}

/** What {@linkcode MarkWriter} needs. */
export interface MarkOptions {
  readonly disk: Disk;
  /** The path of the log. */
  readonly path: string;
  /** What it says from now on. */
  readonly mark: Mark;
  /** What a plain log keeps with it. */
  readonly note: { readonly history: string; readonly durability: Durability } | undefined;
  readonly warn: (message: string) => void;
}

/** Writes the mark of a log that is open. */
export class MarkWriter {
  #file: DiskFile | undefined;
  readonly #name: string;
  readonly #warn: (message: string) => void;
  readonly #slot = new Uint8Array(SLOT_BYTES);
  readonly #view = new DataView(this.#slot.buffer);
  #isSecond = false;
  #hasFailed = false;

  /** Opens or makes the mark of a log. When it returns, it says what it was given, durably. */
  constructor({ disk, path, mark, note, warn }: MarkOptions) {
    this.#name = markPath(path);
    this.#warn = warn;
    this.#view.setBigUint64(0, mark.fileId, true);
    // A new one gets its name when it is whole: whatever is found under it was a mark.
    const fresh = `${this.#name}${NEW_MARK}`;
    let isFresh = false;
    this.#try(() => {
      this.#file = disk.open(this.#name);
      if (this.#file !== undefined) {
        // The older one goes first: should a crash tear it, the newer one is still there.
        this.#isSecond = newestSlot(readRecords(this.#file)) === 0;
        return;
      }
      disk.remove(fresh);
      this.#file = disk.create(fresh);
      isFresh = true;
    });
    if (note !== undefined) this.writeNote(note.history, note.durability);
    this.writeBoth(mark.durable, mark.sequence);
    this.#try(() => {
      // Never what somebody else has left there, nor half of a mark.
      if (!isFresh || this.#hasFailed) return;
      disk.rename(fresh, this.#name);
      disk.syncFolder(path);
    });
  }

  /** Whether something of it could not be written. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Notes that so much is durable, in the slot that is older. */
  write(durable: number, sequence: number): void {
    if (this.#file === undefined) return;
    setUint64(this.#view, 8, durable);
    setUint64(this.#view, 16, sequence);
    const end = SLOT_BYTES - 4;
    this.#view.setUint32(end, crc32c(this.#slot, 0, end), true);
    this.#put(this.#slot, this.#isSecond ? SLOT_BYTES : 0);
    this.#isSecond = !this.#isSecond;
  }

  /** Notes it in both slots, and makes it durable: nothing that stood there counts any more. */
  writeBoth(durable: number, sequence: number): void {
    for (let slot = 0; slot < 2; slot++) {
      this.write(durable, sequence);
      this.sync(); // Never both at once: a power cut may tear what is being written.
    }
  }

  /** Keeps the history of a plain log, durably, and how it is written from now on. */
  writeNote(history: string, durability: Durability): void {
    const note = new Uint8Array(SLOT_BYTES);
    note.set(decodeHex(history));
    note[HISTORY_BYTES] = durabilityCode(durability);
    const end = SLOT_BYTES - 4;
    new DataView(note.buffer).setUint32(end, crc32c(note, 0, end), true);
    this.#put(note, NOTE_AT);
    this.sync();
  }

  sync(): void {
    this.#try(() => this.#file?.syncNow());
  }

  close(): void {
    this.#file?.close();
  }

  #put(bytes: Uint8Array, at: number): void {
    this.#try(() => {
      const written = this.#file?.write(bytes, at) ?? bytes.length;
      if (written < bytes.length) throw new Error("no space left");
    });
  }

  /** Does what may fail: then it is said, once. */
  #try(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#warn(
        `Cannot write "${this.#name}": ${why}. The log itself is whole, but damage to its last ` +
          `commits could be taken for a torn tail: make the file writable.`,
      );
    }
  }
}
