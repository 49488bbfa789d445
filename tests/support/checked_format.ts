/**
 * The checked log format a second time, from its description alone and without a line of the
 * runtime: a decoder, and what recovery has to find in any bytes. Slow, simple, and what the
 * runtime is compared with.
 */

import { decodeVarint, encodeVarint } from "#std/encoding/varint";

export type FrameKind = "head" | "commits" | "seal" | "open";

const KINDS: readonly FrameKind[] = ["head", "commits", "seal", "open"];
const MAGIC = [0xf5, 0x4c, 0x4f, 0x47];
const MIB = 1024 * 1024;

export interface Frame {
  readonly from: number;
  readonly to: number;
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly offset: number;
  readonly durable: number;
  readonly before: number;
  readonly fileId: bigint;
  readonly crc: number;
  readonly body: Uint8Array;
  /** The events of each commit. */
  readonly commits: readonly (readonly Uint8Array[])[];
}

export interface Slot {
  readonly fileId: bigint;
  readonly durable: number;
  readonly sequence: number;
}

/** What recovery has to do with a file. */
export interface Verdict {
  /**
   * `whole`: nothing. `cut`: what is behind `end` goes. `refuse`: change nothing; the bad frame
   * begins at `end`. `other`: it is no log in this format, or none that can be known as one.
   */
  readonly kind: "whole" | "cut" | "refuse" | "other";
  readonly end: number;
  /** The good frames. */
  readonly frames: readonly Frame[];
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C, a byte at a time. */
export function crcOf(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crc >>> 8 ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A number, and where it ends; `undefined` if the bytes end in it or it is none. */
function varint(bytes: Uint8Array, at: number): [value: number, end: number] | undefined {
  try {
    const [value, end] = decodeVarint(bytes, at);
    return [Number(value), end];
  } catch {
    return undefined;
  }
}

/** The frame at `from`, if both its sums are right; `unknown` if only a later version reads it. */
export function frameAt(bytes: Uint8Array, from: number): Frame | "unknown" | undefined {
  const [size, at] = varint(bytes, from) ?? [0, 0];
  if (size < 68 || size > 68 + 256 * MIB || at + 64 > bytes.length) return undefined;
  const head = bytes.subarray(at, at + 64);
  const view = viewOf(head);
  if (MAGIC.some((byte, i) => head[i] !== byte)) return undefined;
  if (crcOf(head.subarray(0, 60)) !== view.getUint32(60, true)) return undefined;
  const kind = KINDS[head[5] ?? 0];
  if (head[4] !== 1 || kind === undefined || view.getUint16(6, true) !== 64) return "unknown";
  const to = at + size;
  if (view.getUint32(48, true) !== size - 68 || to > bytes.length) return undefined;
  const crc = viewOf(bytes).getUint32(to - 4, true);
  if (crcOf(bytes.subarray(at, to - 4)) !== crc) return undefined;
  const body = bytes.subarray(at + 64, to - 4);
  return {
    from,
    to,
    kind,
    sequence: Number(view.getBigUint64(8, true)),
    offset: Number(view.getBigUint64(24, true)),
    durable: Number(view.getBigUint64(32, true)),
    before: view.getUint32(40, true),
    fileId: view.getBigUint64(52, true),
    crc,
    body,
    commits: kind === "commits" ? commitsIn(body, view.getUint32(44, true)) : [],
  };
}

function commitsIn(body: Uint8Array, count: number): Uint8Array[][] {
  let at = 0;
  const number = (): number => {
    const [value, end] = varint(body, at) ?? [NaN, NaN];
    if (!(end <= body.length)) throw new Error("a frame whose sums are right has a bad body");
    at = end;
    return value;
  };
  const bytes = (): Uint8Array => {
    const size = number();
    at += size;
    if (at > body.length) throw new Error("a frame whose sums are right has a bad body");
    return body.subarray(at - size, at);
  };
  const commits: Uint8Array[][] = [];
  for (let i = 0; i < count; i++) {
    bytes(); // Meta.
    commits.push(Array.from({ length: number() }, bytes));
  }
  if (at !== body.length) throw new Error("a frame whose sums are right has too much in it");
  return commits;
}

/** What the mark says last: of its slots that are whole, the one that says more. */
export function readSlots(bytes: Uint8Array | undefined): Slot | undefined {
  let best: Slot | undefined;
  for (const at of [0, 32]) {
    const slot = bytes?.subarray(at, at + 32);
    if (slot === undefined || slot.length < 32) continue;
    const view = viewOf(slot);
    if (crcOf(slot.subarray(0, 28)) !== view.getUint32(28, true)) continue;
    const found = {
      fileId: view.getBigUint64(0, true),
      durable: Number(view.getBigUint64(8, true)),
      sequence: Number(view.getBigUint64(16, true)),
    };
    if (best === undefined || found.durable > best.durable) best = found;
  }
  return best;
}

/** What has to become of a log of these bytes with this mark beside it. */
export function judge(bytes: Uint8Array, mark: Slot | undefined): Verdict {
  const frames: Frame[] = [];
  let end = 0;
  let sequence = 1;
  while (end < bytes.length) {
    const frame = frameAt(bytes, end);
    if (frame === "unknown") return { kind: "refuse", end, frames };
    if (frame === undefined) break;
    const last = frames.at(-1);
    const belongs = frame.offset === end && frame.sequence === sequence &&
      frame.before === (last?.crc ?? 0) && frame.fileId === (last?.fileId ?? frame.fileId) &&
      (frame.kind === "head") === (end === 0);
    if (!belongs) return { kind: "refuse", end, frames };
    frames.push(frame);
    end = frame.to;
    sequence += frame.commits.length;
  }
  const [head] = frames;
  if (head === undefined) return judgeHeadless(bytes, mark);
  const isOurs = mark?.fileId === head.fileId;
  let durable = isOurs ? mark.durable : 0;
  if (end < bytes.length) {
    // Every byte of what is left may be where a later frame begins.
    for (const frame of framesIn(bytes, end)) {
      if (frame.fileId === head.fileId) durable = Math.max(durable, frame.durable);
    }
  }
  if (durable > end) return { kind: "refuse", end, frames };
  if (end === bytes.length) return { kind: "whole", end, frames };
  // What a log is grown with is no damage.
  if (bytes.subarray(end).every((byte) => byte === 0)) return { kind: "cut", end, frames };
  // A mark that is not ours is ignored if the log verifies; this one does not.
  const isOthers = mark !== undefined && !isOurs && mark.sequence > 0;
  return { kind: isOthers ? "refuse" : "cut", end, frames };
}

function judgeHeadless(bytes: Uint8Array, mark: Slot | undefined): Verdict {
  const isNew = bytes.length === 0 && (mark === undefined || mark.sequence === 0);
  if (isNew) return { kind: "whole", end: 0, frames: [] };
  const isChecked = mark !== undefined && mark.fileId !== 0n || framesIn(bytes, 0).length > 0;
  return { kind: isChecked ? "refuse" : "other", end: 0, frames: [] };
}

/** The whole frames that stand where they say, from anywhere on. */
function framesIn(bytes: Uint8Array, from: number): Frame[] {
  const found: Frame[] = [];
  for (let at = bytes.indexOf(0xf5, from); at >= 0; at = bytes.indexOf(0xf5, at + 1)) {
    // Its size stands before the magic, and has one to five bytes.
    for (let size = 1; size <= 5 && at - size >= from; size++) {
      const frame = frameAt(bytes, at - size);
      if (typeof frame === "object" && frame.offset === at - size) found.push(frame);
    }
  }
  return found;
}

/** A frame with other contents, and with sums that are right. */
export function forge(
  bytes: Uint8Array,
  frame: Frame,
  change: (payload: Uint8Array) => void,
): void {
  const at = frame.from + encodeVarint(frame.body.length + 68)[0].length;
  const payload = bytes.subarray(at, frame.to);
  change(payload);
  viewOf(payload).setUint32(60, crcOf(payload.subarray(0, 60)), true);
  viewOf(payload).setUint32(payload.length - 4, crcOf(payload.subarray(0, -4)), true);
}
