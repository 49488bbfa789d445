/**
 * A frame of the checked format as bytes: one flush, or the head, a start or a clean stop of
 * the file. `FORMAT`: `uvarint(payload bytes) head[64] body crc[4]`, integers little-endian.
 *
 * Here is what one frame says by itself. How frames follow each other is in
 * `frame_reader.ts`, and what a fault among them means in `recovery.ts`.
 */

import { crc32c } from "./crc32c.ts";
import { uvarintLength, writeUvarint } from "./uvarint.ts";

/** F5 never occurs in UTF-8, so no text and no JSON event looks like it. */
const MAGIC = 0xf54c4f47;
/** The byte with which the magic begins. */
export const MAGIC_BYTE: number = 0xf5;
export const VERSION = 1;
export const HEAD_BYTES = 64;
const CRC_BYTES = 4;
/** What a frame has beside its size and its body. */
export const FRAME_BYTES_MIN: number = HEAD_BYTES + CRC_BYTES;
/** No frame's body is larger: checked before anything is allocated. */
export const BODY_BYTES_MAX: number = 256 * 1024 * 1024;

/** What a frame is about. */
export const FILE_HEAD = 0, COMMITS = 1, SEAL = 2, OPEN = 3;
/** The last kind that this version knows. */
export const KIND_MAX: number = OPEN;

/** Where each field stands in the head. */
const AT = {
  version: 4,
  kind: 5,
  headBytes: 6,
  sequence: 8,
  time: 16,
  offset: 24,
  durable: 32,
  before: 40,
  commits: 44,
  bodyBytes: 48,
  fileId: 52,
  crc: 60,
} as const;

/** The head of a frame. */
export interface FrameHead {
  kind: number;
  /** Of the first commit in the frame; in the other kinds, of the next commit. */
  sequence: number;
  /** Microseconds since 1970. */
  time: number;
  /** Where the frame (its size) stands in the file. */
  offset: number;
  /** How many bytes of the file were known to be durable when it was written. */
  durable: number;
  /** The CRC that ends the frame before. */
  before: number;
  commits: number;
  bodyBytes: number;
}

/** A head that is to be written. */
export interface NewHead extends FrameHead {
  /** The id of the file. */
  readonly fileId: bigint;
}

/** How many bytes a frame with such a body has. */
export function frameBytes(bodyBytes: number): number {
  const payload = FRAME_BYTES_MIN + bodyBytes;
  return uvarintLength(payload) + payload;
}

/** Where the body begins in a frame of which `bytes` are the first. */
export function bodyAt(bodyBytes: number): number {
  return uvarintLength(FRAME_BYTES_MIN + bodyBytes) + HEAD_BYTES;
}

/**
 * Completes a frame: writes size, head and CRC around a body that stands in `bytes` already, at
 * {@linkcode bodyAt}. Returns the frame's CRC.
 */
export function writeFrame(bytes: Uint8Array, head: NewHead): number {
  const payload = FRAME_BYTES_MIN + head.bodyBytes;
  const at = writeUvarint(bytes, 0, payload);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(at, MAGIC);
  bytes[at + AT.version] = VERSION;
  bytes[at + AT.kind] = head.kind;
  view.setUint16(at + AT.headBytes, HEAD_BYTES, true);
  setUint64(view, at + AT.sequence, head.sequence);
  setUint64(view, at + AT.time, head.time);
  setUint64(view, at + AT.offset, head.offset);
  setUint64(view, at + AT.durable, head.durable);
  view.setUint32(at + AT.before, head.before, true);
  view.setUint32(at + AT.commits, head.commits, true);
  view.setUint32(at + AT.bodyBytes, head.bodyBytes, true);
  view.setBigUint64(at + AT.fileId, head.fileId, true);
  const headCrc = crc32c(bytes, at, at + AT.crc);
  view.setUint32(at + AT.crc, headCrc, true);
  const end = at + HEAD_BYTES + head.bodyBytes;
  const crc = crc32c(bytes, at + AT.crc, end, headCrc);
  view.setUint32(end, crc, true);
  return crc;
}

/** A frame without commits. */
export function smallFrame(head: NewHead, body: Uint8Array): { bytes: Uint8Array; crc: number } {
  const bytes = new Uint8Array(frameBytes(body.length));
  bytes.set(body, bodyAt(body.length));
  const crc = writeFrame(bytes, { ...head, bodyBytes: body.length });
  return { bytes, crc };
}

/** Whether a head that says what it is stands at `at`: the magic, and a CRC that is right. */
export function isHead(bytes: Uint8Array, view: DataView, at: number): boolean {
  return hasMagic(view, at) &&
    crc32c(bytes, at, at + AT.crc) === view.getUint32(at + AT.crc, true);
}

/** Whether the magic stands at `at`. */
export function hasMagic(view: DataView, at: number): boolean {
  return view.getUint32(at) === MAGIC;
}

/** The version, and the size, of a head at `at`: only where both are known is the rest. */
export function isKnown(bytes: Uint8Array, view: DataView, at: number): boolean {
  return bytes[at + AT.version] === VERSION && (bytes[at + AT.kind] ?? 0) <= KIND_MAX &&
    view.getUint16(at + AT.headBytes, true) === HEAD_BYTES;
}

/** What a head that is not {@linkcode isKnown} says it is. */
export function describeUnknown(bytes: Uint8Array, at: number): string {
  const version = bytes[at + AT.version];
  return version === VERSION ? `frame kind ${bytes[at + AT.kind]}` : `version ${version}`;
}

/** Reads the head at `at` into `head`, but for the file's id. */
export function readHead(bytes: Uint8Array, view: DataView, at: number, head: FrameHead): void {
  head.kind = bytes[at + AT.kind] ?? 0;
  head.sequence = getUint64(view, at + AT.sequence);
  head.time = getUint64(view, at + AT.time);
  head.offset = getUint64(view, at + AT.offset);
  head.durable = getUint64(view, at + AT.durable);
  head.before = view.getUint32(at + AT.before, true);
  head.commits = view.getUint32(at + AT.commits, true);
  head.bodyBytes = view.getUint32(at + AT.bodyBytes, true);
}

/** The id of the file for which the frame was written: by itself, since a bigint is dear. */
export function readFileId(view: DataView, at: number): bigint {
  return view.getBigUint64(at + AT.fileId, true);
}

/** Whether the frame at `at` was written for the file with this id, as 8 bytes. */
export function hasSameFileId(view: DataView, at: number, id: DataView): boolean {
  const field = at + AT.fileId;
  return view.getUint32(field, true) === id.getUint32(0, true) &&
    view.getUint32(field + 4, true) === id.getUint32(4, true);
}

/** The CRC that a frame with this head at `at` should end with, and the one that it does. */
export function isBodyWhole(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  bodyBytes: number,
): boolean {
  const end = at + HEAD_BYTES + bodyBytes;
  // The head's own CRC was checked: go on from there.
  const headCrc = view.getUint32(at + AT.crc, true);
  return crc32c(bytes, at + AT.crc, end, headCrc) === view.getUint32(end, true);
}

/** An empty head, to read into. */
export function emptyHead(): FrameHead {
  return {
    kind: 0,
    sequence: 0,
    time: 0,
    offset: 0,
    durable: 0,
    before: 0,
    commits: 0,
    bodyBytes: 0,
  };
}

/** A safe integer as 64 bits: twice as quick as by way of a bigint. */
export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** 64 bits as a number; what is not a safe integer comes out too large for anything. */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
