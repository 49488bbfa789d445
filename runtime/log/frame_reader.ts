/**
 * Walks the frames of a checked log, and looks at each before it is believed: its sums, and
 * whether it is the one that follows the frame before. What a fault means is not its business
 * (`recovery.ts`); nothing is allocated on the word of a size that was not checked.
 */

import { READ_BYTES, SMALL_READ_BYTES } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import {
  BODY_BYTES_MAX,
  describeUnknown,
  emptyHead,
  FILE_HEAD,
  FRAME_BYTES_MIN,
  type FrameHead,
  hasMagic,
  hasSameFileId,
  HEAD_BYTES,
  isBodyWhole,
  isHead,
  isKnown,
  readFileId,
  readHead,
} from "./frame.ts";
import { CUT_SHORT, OVERLONG, readUvarint, uvarintEnd, uvarintLength } from "./uvarint.ts";

/** What must be true of the next frame. */
export interface Link {
  readonly offset: number;
  /** The sequence of the next commit. */
  readonly sequence: number;
  /** The CRC that ends the frame before; `undefined` if that frame was not looked at. */
  readonly before: number | undefined;
  /** `undefined` before the file's own head. */
  readonly fileId: bigint | undefined;
}

/** Where a file begins. */
export const FIRST: Link = { offset: 0, sequence: 1, before: 0, fileId: undefined };

/** Why the next frame cannot be taken. */
export interface FrameFault {
  /**
   * `broken`: it is not whole, as a torn write leaves it. `misplaced`: it is whole, but not the
   * one that belongs here, which no torn write does. `unknown`: of a later version.
   */
  readonly kind: "broken" | "misplaced" | "unknown";
  readonly why: string;
}

/** What comes next: `more` if that cannot be told without {@linkcode FrameReader.fill}. */
export type Step = "frame" | "more" | "end" | "fault";

/** Options of {@linkcode FrameReader}. */
export interface FrameReaderOptions {
  /**
   * Bytes to read at a time.
   * @default {READ_BYTES}
   */
  readonly readBytes?: number | undefined;
  /**
   * Up to where in the file the sums of bodies have been looked at, a moment ago: there, only the
   * heads and how the frames follow each other are looked at again.
   * @default {0}
   */
  readonly summedTo?: number | undefined;
}

/** Reads frames, one after the other. */
export class FrameReader {
  /** The head of the frame that was taken last. */
  readonly head: FrameHead = emptyHead();
  /** Its body is `bytes` from `bodyFrom` to `bodyTo`, until more is read. */
  bodyFrom = 0;
  bodyTo = 0;
  /** The CRC that ends it. */
  crc: number | undefined;
  /** Set when the next frame cannot be taken. */
  fault: FrameFault | undefined;

  readonly #file: DiskFile;
  #size: number;
  #buffer: Uint8Array<ArrayBuffer>;
  #view: DataView;
  /** Where in the file the buffer begins, and how many bytes of it are filled. */
  #base: number;
  #filled = 0;
  /** Where in the buffer the next frame begins. */
  #next = 0;
  #sequence: number;
  /** The file's id, and the same as bytes, which is quicker to compare. */
  #fileId: bigint | undefined;
  readonly #id = new DataView(new ArrayBuffer(8));
  /** How many bytes of the buffer the next frame needs. */
  #needed = 0;
  readonly #summedTo: number;

  constructor(file: DiskFile, size: number, link: Link, options: FrameReaderOptions = {}) {
    // A small file needs no large buffer, though it may grow while it is read.
    const left = Math.max(SMALL_READ_BYTES, size - link.offset);
    this.#buffer = new Uint8Array(Math.min(options.readBytes ?? READ_BYTES, left));
    this.#summedTo = options.summedTo ?? 0;
    this.#view = new DataView(this.#buffer.buffer);
    this.#file = file;
    this.#size = size;
    this.#base = link.offset;
    this.#sequence = link.sequence;
    this.#learn(link.fileId);
    this.crc = link.before;
  }

  /** The bytes that were read. */
  get bytes(): Uint8Array {
    return this.#buffer;
  }

  /** Where in the file `bytes` begin. */
  get base(): number {
    return this.#base;
  }

  /** What must be true of the next frame. */
  get link(): Link {
    return {
      offset: this.#base + this.#next,
      sequence: this.#sequence,
      before: this.crc,
      fileId: this.#fileId,
    };
  }

  /** Whether what comes next begins as a frame does, whatever becomes of it then. */
  get hasMagic(): boolean {
    const size = readUvarint(this.#buffer, this.#next, this.#filled);
    if (size < 0) return false;
    const at = uvarintEnd(this.#buffer, this.#next);
    return at + 4 <= this.#filled && hasMagic(this.#view, at);
  }

  /** Lets it read on: the file has grown to this size. */
  extendTo(size: number): void {
    this.#size = size;
  }

  /** Takes the next frame, reading on if need be. */
  next(): Exclude<Step, "more"> {
    for (;;) {
      const step = this.take();
      if (step !== "more") return step;
      this.fill();
    }
  }

  /** Takes the next frame if it is in the buffer. */
  take(): Step {
    const at = this.#next;
    const offset = this.#base + at;
    if (offset === this.#size) return "end";
    const payload = readUvarint(this.#buffer, at, this.#filled);
    if (payload === CUT_SHORT) return this.#need(offset, this.#filled - at + 1);
    if (payload === OVERLONG || payload < FRAME_BYTES_MIN) return this.#broken("its size is none");
    if (payload > FRAME_BYTES_MIN + BODY_BYTES_MAX) return this.#broken("its size is none");
    const headAt = at + uvarintLength(payload);
    if (headAt + HEAD_BYTES > this.#filled) return this.#need(offset, headAt - at + HEAD_BYTES);
    if (!isHead(this.#buffer, this.#view, headAt)) return this.#broken("its head is damaged");
    if (!isKnown(this.#buffer, this.#view, headAt)) {
      const what = describeUnknown(this.#buffer, headAt);
      return this.#stop("unknown", `${what} is not known here`);
    }
    const { head } = this;
    readHead(this.#buffer, this.#view, headAt, head);
    if (head.bodyBytes + FRAME_BYTES_MIN !== payload) {
      return this.#broken("its size is not the one that its head has");
    }
    const end = headAt + payload;
    if (end > this.#filled) return this.#need(offset, end - at);
    const isSummed = offset < this.#summedTo;
    if (!isSummed && !isBodyWhole(this.#buffer, this.#view, headAt, head.bodyBytes)) {
      return this.#broken("its body is damaged");
    }
    const misplaced = this.#misplaced(offset, headAt);
    if (misplaced !== undefined) return this.#stop("misplaced", misplaced);
    if (this.#fileId === undefined) this.#learn(readFileId(this.#view, headAt));
    this.#sequence = head.sequence + head.commits;
    this.crc = this.#view.getUint32(end - 4, true);
    this.bodyFrom = headAt + HEAD_BYTES;
    this.bodyTo = end - 4;
    this.#next = end;
    return "frame";
  }

  /** What makes a whole frame one that does not belong here. */
  #misplaced(offset: number, headAt: number): string | undefined {
    const { head } = this;
    if (head.offset !== offset) return `it was written for offset ${head.offset}`;
    if (this.#fileId !== undefined && !hasSameFileId(this.#view, headAt, this.#id)) {
      return "it was written for another file";
    }
    if ((head.kind === FILE_HEAD) !== (offset === 0)) return "a log has one head, at its start";
    if (head.sequence !== this.#sequence) {
      return `it begins with commit ${head.sequence}, where commit ${this.#sequence} follows`;
    }
    if (this.crc !== undefined && head.before !== this.crc) {
      return "it does not follow the frame before it";
    }
    return undefined;
  }

  #learn(fileId: bigint | undefined): void {
    this.#fileId = fileId;
    this.#id.setBigUint64(0, fileId ?? 0n, true);
  }

  /** The next frame has at least so many bytes: they have to be read first, if they are there. */
  #need(offset: number, bytes: number): Step {
    if (offset + bytes > this.#size) return this.#broken("the file ends within it");
    this.#needed = bytes;
    return "more";
  }

  #broken(why: string): Step {
    return this.#stop("broken", why);
  }

  #stop(kind: FrameFault["kind"], why: string): Step {
    this.fault = { kind, why };
    return "fault";
  }

  /** Drops what was taken and reads on. `bytes` and all places in it are others afterwards. */
  fill(): void {
    const rest = this.#filled - this.#next;
    if (this.#needed > this.#buffer.length) {
      // The frame's own head has said so, and the file is that long.
      const larger = new Uint8Array(this.#needed);
      larger.set(this.#buffer.subarray(this.#next, this.#filled));
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    } else {
      this.#buffer.copyWithin(0, this.#next, this.#filled);
    }
    this.#base += this.#next;
    this.#next = 0;
    this.#filled = rest;
    const room = Math.min(this.#buffer.length - rest, this.#size - this.#base - rest);
    const read = this.#file.read(this.#buffer.subarray(rest, rest + room), this.#base + rest);
    this.#filled += read;
    // Shorter than it was: what is missing is no frame.
    if (read === 0) this.#size = this.#base + rest;
  }
}
