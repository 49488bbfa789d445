/**
 * The file of a snapshot beside a log, `<log>.snapshot-<sequence>`: bytes of a model, and exactly
 * which part of which log they show. The layout is in docs/snapshot_format.md.
 *
 * It is never the truth, only a shortcut: what is not just as it was written is passed over with a
 * reason. Whether one belongs to a log is in `find_snapshot.ts`.
 */

import { decodeHex, encodeHex } from "#std/encoding/hex";
import { messageOf } from "../errors.ts";
import { READ_BYTES } from "../limits.ts";
import { crc32c } from "./crc32c.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { readFully, writeFully } from "./file_bytes.ts";
import { getUint64, setUint64 } from "./frame.ts";

/** What a snapshot says about itself. */
export interface SnapshotHead {
  /** The id of the log's file; 0 in the plain format. */
  readonly fileId: bigint;
  /** The history that was in force where it ends. */
  readonly history: string;
  /** Whether all that it shows was synced before it was acknowledged. */
  readonly alwaysDurable: boolean;
  /** Whether the frame that it ends with says that the log was closed in an orderly way. */
  readonly isSealed: boolean;
  /** The newest commit (or event) that it shows. */
  readonly sequence: number;
  /** Where in the log the frame (or event) ends that it ends with. */
  readonly offset: number;
  /** The CRC that ends this frame; in the plain format that of the bytes before `offset`. */
  readonly crc: number;
  /** When this frame was written, in microseconds since 1970; 0 in the plain format. */
  readonly frameTime: number;
  /** When the snapshot was made, in microseconds since 1970. */
  readonly time: number;
  /** The version of the model, as the application calls it. */
  readonly modelVersion: string;
}

/** A head that was read, and what follows it. */
export interface FoundSnapshotHead extends SnapshotHead {
  readonly headBytes: number;
  readonly bodyBytes: number;
  readonly headCrc: number;
}

/** What is asked of the platform to write one. */
export interface SnapshotOptions {
  readonly disk: Disk;
  /** So many random bytes. */
  readonly random: (bytes: number) => Uint8Array;
}

/** The same byte that no UTF-8 has as a log's own magic begins with. */
const MAGIC: readonly number[] = [0xf5, 0x53, 0x4e, 0x50];
const VERSION = 1;
const ALWAYS_DURABLE = 1, SEALED = 2;

/** Where each field stands in the head. */
const AT = {
  version: 4,
  flags: 5,
  headBytes: 6,
  fileId: 8,
  history: 16,
  sequence: 32,
  offset: 40,
  crc: 48,
  versionBytes: 52,
  frameTime: 56,
  time: 64,
  bodyBytes: 72,
  modelVersion: 80,
} as const;
const HISTORY_BYTES = AT.sequence - AT.history;
const CRC_BYTES = 4;
/** What the head's own size leaves for the name of a version. */
const VERSION_BYTES_MAX = 0xffff - AT.modelVersion - CRC_BYTES;

/**
 * Bytes between two syncs while one is written. All at once would make the log's own syncs wait
 * for as long as that takes.
 */
const SYNC_BYTES = 8 * 1024 * 1024;

/** How the name of a file begins that is not a snapshot yet. */
const NEW = "new-";

/** The paths of the snapshots of the log at `path`, newest first. */
export function listSnapshots(path: string, disk: Disk): string[] {
  const prefix = `${path}.snapshot-`;
  return disk.list(prefix).filter((name) => /^\d+$/.test(name.slice(prefix.length)))
    .sort((a, b) => sequenceIn(b) - sequenceIn(a));
}

/** The sequence that the name of a snapshot says. */
export function sequenceIn(name: string): number {
  return Number(/\d+$/.exec(name)?.[0]);
}

/** The path of the snapshot of the log at `path` that ends with commit `sequence`. */
export function snapshotPath(path: string, sequence: number): string {
  return `${path}.snapshot-${String(sequence).padStart(16, "0")}`;
}

/**
 * Writes a snapshot of the log at `path`; older ones are removed when it can be relied upon.
 * Returns its path.
 *
 * @throws if it cannot be written or reads back as something else; then all others are as they were.
 */
export function writeSnapshot(
  path: string,
  head: SnapshotHead,
  body: Uint8Array,
  { disk, random }: SnapshotOptions,
): string {
  const name = snapshotPath(path, head.sequence);
  const headBytes = encodeHead(head, body.length);
  const headCrc = endOf(headBytes);
  const made = `${path}.snapshot-${NEW}${encodeHex(random(8))}`;
  const older = listSnapshots(path, disk).filter((other) => sequenceIn(other) < head.sequence);
  const file = disk.create(made);
  try {
    try {
      writeAll(file, headBytes, body, made);
    } finally {
      file.close();
    }
    const fault = faultOf(made, head.sequence, headCrc, disk);
    if (fault !== undefined) {
      throw new TypeError(`Cannot keep snapshot "${name}": read back, ${fault}; check the disk`);
    }
    disk.rename(made, name);
  } catch (error) {
    disk.remove(made);
    throw error;
  }
  disk.syncFolder(path);
  for (const old of older) disk.remove(old);
  return name;
}

function writeAll(file: DiskFile, head: Uint8Array, body: Uint8Array, name: string): void {
  writeFully(file, head, 0, name);
  for (let at = 0; at < body.length; at += READ_BYTES) {
    writeFully(file, body.subarray(at, at + READ_BYTES), head.length + at, name);
    if ((at + READ_BYTES) % SYNC_BYTES === 0) file.syncNow();
  }
  const crc = new Uint8Array(CRC_BYTES);
  new DataView(crc.buffer).setUint32(0, crc32c(body, 0, body.length, endOf(head)), true);
  writeFully(file, crc, head.length + body.length, name);
  file.syncNow();
}

function encodeHead(head: SnapshotHead, bodyBytes: number): Uint8Array {
  const modelVersion = new TextEncoder().encode(head.modelVersion);
  if (modelVersion.length > VERSION_BYTES_MAX) {
    throw new RangeError(
      `Cannot write snapshot: modelVersion has ${modelVersion.length} bytes, and at most ` +
        `${VERSION_BYTES_MAX} are kept`,
    );
  }
  const bytes = new Uint8Array(AT.modelVersion + modelVersion.length + CRC_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  bytes[AT.version] = VERSION;
  bytes[AT.flags] = (head.alwaysDurable ? ALWAYS_DURABLE : 0) + (head.isSealed ? SEALED : 0);
  view.setUint16(AT.headBytes, bytes.length, true);
  view.setBigUint64(AT.fileId, head.fileId, true);
  bytes.set(decodeHex(head.history), AT.history);
  setUint64(view, AT.sequence, head.sequence);
  setUint64(view, AT.offset, head.offset);
  view.setUint32(AT.crc, head.crc, true);
  view.setUint32(AT.versionBytes, modelVersion.length, true);
  setUint64(view, AT.frameTime, head.frameTime);
  setUint64(view, AT.time, head.time);
  setUint64(view, AT.bodyBytes, bodyBytes);
  bytes.set(modelVersion, AT.modelVersion);
  const end = bytes.length - CRC_BYTES;
  view.setUint32(end, crc32c(bytes, 0, end), true);
  return bytes;
}

/**
 * Reads the head of the snapshot at `name`, which ends with `sequence`; or says why it is none that
 * can be used. Only the head is read.
 */
export function readSnapshotHead(
  name: string,
  sequence: number,
  disk: Disk,
): FoundSnapshotHead | { readonly fault: string } {
  return withFile(name, disk, (file) => headOf(file, sequence, name));
}

/**
 * Reads the model in the snapshot at `name`, whose head was read before; or says why it cannot be
 * used.
 */
export function readSnapshotBody(
  name: string,
  head: FoundSnapshotHead,
  disk: Disk,
): Uint8Array | { readonly fault: string } {
  return withFile(name, disk, (file) => {
    const fault = faultOfSize(file, head);
    if (fault !== undefined) return { fault };
    const body = new Uint8Array(head.bodyBytes);
    const isWhole = readBody(file, name, head, (from, to) => body.subarray(from, to));
    return isWhole ? body : { fault: DAMAGED_BODY };
  });
}

/** Why the snapshot at `name` is not the one that was written, if so. All of it is read. */
function faultOf(
  name: string,
  sequence: number,
  headCrc: number,
  disk: Disk,
): string | undefined {
  const head = readSnapshotHead(name, sequence, disk);
  if ("fault" in head) return head.fault;
  if (head.headCrc !== headCrc) return DAMAGED_HEAD;
  const buffer = new Uint8Array(Math.min(READ_BYTES, head.bodyBytes));
  const found = withFile(name, disk, (file) => {
    const isWhole = readBody(file, name, head, (from, to) => buffer.subarray(0, to - from));
    return isWhole ? {} : { fault: DAMAGED_BODY };
  });
  return "fault" in found ? found.fault : undefined;
}

/** Reads a body in pieces, into what `room` gives for each; whether its CRC is right. */
function readBody(
  file: DiskFile,
  name: string,
  { headBytes, bodyBytes, headCrc }: FoundSnapshotHead,
  room: (from: number, to: number) => Uint8Array,
): boolean {
  let crc = headCrc;
  for (let at = 0; at < bodyBytes; at += READ_BYTES) {
    const piece = room(at, Math.min(bodyBytes, at + READ_BYTES));
    readFully(file, piece, headBytes + at, name);
    crc = crc32c(piece, 0, piece.length, crc);
  }
  const last = new Uint8Array(CRC_BYTES);
  readFully(file, last, headBytes + bodyBytes, name);
  return endOf(last) === crc;
}

/** The CRC that ends these bytes. */
function endOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(bytes.length - CRC_BYTES, true);
}

const DAMAGED_HEAD = "its head is damaged";
const DAMAGED_BODY = "its body is damaged";

/** Removes all snapshots of the log at `path`. */
export function removeSnapshots(path: string, disk: Disk): void {
  for (const name of listSnapshots(path, disk)) disk.remove(name);
}

/** Removes what is left of snapshots that were not finished. Nobody may be writing one. */
export function removeUnfinished(path: string, disk: Disk): void {
  for (const name of disk.list(`${path}.snapshot-${NEW}`)) disk.remove(name);
}

/** Opens a file and looks into it; whatever goes wrong is a fault of the snapshot. */
function withFile<T>(
  name: string,
  disk: Disk,
  look: (file: DiskFile) => T,
): T | { readonly fault: string } {
  try {
    const file = disk.openToRead(name);
    if (file === undefined) return { fault: "it is gone" };
    try {
      return look(file);
    } finally {
      file.close();
    }
  } catch (error) {
    return { fault: `it cannot be read (${messageOf(error)})` };
  }
}

function headOf(
  file: DiskFile,
  sequence: number,
  name: string,
): FoundSnapshotHead | { readonly fault: string } {
  const size = file.size();
  const start = new Uint8Array(AT.modelVersion + CRC_BYTES);
  if (size < start.length) return { fault: DAMAGED_HEAD };
  readFully(file, start, 0, name);
  if (MAGIC.some((byte, i) => start[i] !== byte)) return { fault: "it is no snapshot" };
  const headBytes = new DataView(start.buffer).getUint16(AT.headBytes, true);
  if (headBytes < start.length || headBytes > size) return { fault: DAMAGED_HEAD };
  const bytes = new Uint8Array(headBytes);
  readFully(file, bytes, 0, name);
  const view = new DataView(bytes.buffer);
  const end = headBytes - CRC_BYTES;
  const headCrc = endOf(bytes);
  if (crc32c(bytes, 0, end) !== headCrc) return { fault: DAMAGED_HEAD };
  if (bytes[AT.version] !== VERSION) return { fault: `it has version ${bytes[AT.version]}` };
  if (view.getUint32(AT.versionBytes, true) !== end - AT.modelVersion) {
    return { fault: DAMAGED_HEAD };
  }
  const flags = bytes[AT.flags] ?? 0;
  const head = {
    fileId: view.getBigUint64(AT.fileId, true),
    history: encodeHex(bytes.subarray(AT.history, AT.history + HISTORY_BYTES)),
    alwaysDurable: (flags & ALWAYS_DURABLE) !== 0,
    isSealed: (flags & SEALED) !== 0,
    sequence: getUint64(view, AT.sequence),
    offset: getUint64(view, AT.offset),
    crc: view.getUint32(AT.crc, true),
    frameTime: getUint64(view, AT.frameTime),
    time: getUint64(view, AT.time),
    modelVersion: new TextDecoder().decode(bytes.subarray(AT.modelVersion, end)),
    headBytes,
    bodyBytes: getUint64(view, AT.bodyBytes),
    headCrc,
  };
  if (head.sequence !== sequence) {
    return { fault: `it ends with ${head.sequence}, not as it is named` };
  }
  const fault = faultOfSize(file, head);
  return fault === undefined ? head : { fault };
}

function faultOfSize(file: DiskFile, head: FoundSnapshotHead): string | undefined {
  const size = head.headBytes + head.bodyBytes + CRC_BYTES;
  return file.size() === size ? undefined : `it has ${file.size()} bytes, not ${size}`;
}
