/**
 * Stretches of a file, read, written and copied as a whole: what is short is an error.
 */

import { AlcedoError } from "../errors.ts";
import { READ_BYTES } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import { unreadable } from "./log_reader.ts";

/** Bytes to read at a time, from the end, when zeros are looked for there. */
const ZEROS_BYTES = 4096;

/** From where to where, and how both are called. */
export interface Copy {
  readonly from: number;
  readonly to: number;
  /** Where in the target it begins. */
  readonly at: number;
  /** The paths of source and target, for messages. */
  readonly path: string;
  readonly name: string;
  /** Called after each piece, with how many bytes were copied. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Copies a stretch of one file to another, or over itself.
 *
 * @throws {AlcedoError} `log_unreadable` if the source is shorter, `log_full` if the target does
 * not take it.
 */
export function copyBytes(source: DiskFile, target: DiskFile, copy: Copy): void {
  const { from, to, at, path, name, onProgress } = copy;
  const buffer = new Uint8Array(Math.min(READ_BYTES, to - from));
  for (let offset = from; offset < to; offset += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, to - offset));
    readFully(source, part, offset, path);
    writeFully(target, part, at + offset - from, name);
    onProgress?.(offset - from + part.length);
  }
}

/** Fills `into` with the bytes from `offset` on, as far as there are any; returns how many. */
export function readUpTo(file: DiskFile, into: Uint8Array, offset: number): number {
  let filled = 0;
  for (let read = -1; read !== 0 && filled < into.length; filled += read) {
    read = file.read(into.subarray(filled), offset + filled);
  }
  return filled;
}

/** Fills `into` with the bytes from `offset` on. */
export function readFully(file: DiskFile, into: Uint8Array, offset: number, name: string): void {
  if (readUpTo(file, into, offset) === into.length) return;
  throw unreadable(name, `it became shorter while it was read`);
}

/** The code of an error: a POSIX name, or one of our own. */
export function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

/** Errors of a write that mean that there is no room, and that nothing else is wrong. */
const NO_ROOM: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Whether an error says that there is no room on the disk. */
export function isNoRoom(error: unknown): boolean {
  return NO_ROOM.has(codeOf(error));
}

/**
 * Writes `bytes` with one call.
 *
 * @throws {AlcedoError} `log_full` if there is no room; a part may have been written then.
 */
export function writeFully(file: DiskFile, bytes: Uint8Array, offset: number, name: string): void {
  let cause: unknown;
  try {
    if (file.write(bytes, offset) === bytes.length) return;
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    cause = error;
  }
  throw new AlcedoError("log_full", `Cannot write "${name}": no space left on the disk`, { cause });
}

/** From where on, but not before `from`, a file of `size` bytes holds nothing but zeros. */
export function zerosFrom(file: DiskFile, from: number, size: number): number {
  let end = size;
  while (end > from) {
    const bytes = new Uint8Array(Math.min(ZEROS_BYTES, end - from));
    readUpTo(file, bytes, end - bytes.length);
    const last = bytes.findLastIndex((byte) => byte !== 0);
    end -= bytes.length - 1 - last;
    if (last >= 0) break;
  }
  return end;
}
