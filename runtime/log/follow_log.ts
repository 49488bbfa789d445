/**
 * Reads a log commit by commit as far as it is durable, and on when more of it is: beside its
 * writer, without a lock, and without a look at the whole log first.
 */

import { CheckedReader } from "./checked_reader.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { StoredCommit } from "./event_log.ts";
import { zerosFrom } from "./file_bytes.ts";
import { FIRST, FrameReader } from "./frame_reader.ts";
import { findFrame } from "./frame_search.ts";
import { findLog, type FoundLog } from "./hold_log.ts";
import { type LogReader, unreadable } from "./log_reader.ts";
import { readMark } from "./mark.ts";
import { durableByMark, firstBytes, surveyDurable } from "./open_log_reader.ts";
import { PlainReader } from "./plain_reader.ts";
import { formatOf, type LogFormat, survey } from "./recovery.ts";
import { SparseIndex } from "./sparse_index.ts";

/** Options of {@linkcode LogFollower}. */
export interface FollowOptions {
  readonly disk: Disk;
  readonly warn: (message: string) => void;
  /**
   * The first sequence that is read.
   * @default {1}
   */
  readonly from?: number | undefined;
  /** Instead of `from`: how many of the newest commits are read at first. */
  readonly last?: number | undefined;
}

/** Bytes at the end of a log in which its last commits are looked for first. */
const LAST_BYTES = 256 * 1024;

/** Bytes of commits that are read at once. */
const STRETCH_BYTES = 64 * 1024;

/** Reads a log, and follows it. */
export class LogFollower {
  readonly format: LogFormat;
  readonly #path: string;
  readonly #options: FollowOptions;
  readonly #log: FoundLog;
  readonly #fileId: bigint;
  /** The sequence of the newest commit that was read, or is not wanted. */
  #after: number;
  readonly #index: SparseIndex;
  #reader: LogReader;
  /** Commits that were read and not handed out. */
  #commits: readonly StoredCommit[] = [];
  #handedOut = 0;
  /** Whether there is damage near by: then commits are read singly, up to it. */
  #isCareful = false;
  #hasMark: boolean;
  #durable: number;
  /** Whether some of what was durable is not there any more: all that is there is read first. */
  readonly #isShort: boolean;

  /** @throws {AlcedoError} `log_unreadable` if there is no log at `path`. */
  constructor(path: string, options: FollowOptions) {
    const log = findLog(path, options.disk);
    const { file, mark, size } = log;
    this.#path = path;
    this.#options = options;
    this.#log = log;
    try {
      this.format = formatOf({ file, path, mark });
      this.#fileId = this.format === "checked" ? fileIdOf(file, size) : 0n;
      const marked = durableByMark(log);
      this.#hasMark = marked !== undefined;
      // Without a mark, a plain log is all that there is.
      this.#durable = marked ?? (this.format === "plain" ? size : this.#lastDurable());
      this.#isShort = this.#durable > size;
      const first = this.#firstOf(options);
      this.#after = first - 1;
      this.#index = this.#indexFor(first);
      this.#reader = this.#readerAt(this.#index);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes that are durable, as far as is known. */
  get durable(): number {
    return this.#durable;
  }

  /** Where the file ends but for zeros: more than is durable while something is being written. */
  get dataEnd(): number {
    const { file } = this.#log;
    return zerosFrom(file, this.#durable, file.size());
  }

  /**
   * The next commit (of a plain log: event); `undefined` if no more are durable.
   *
   * @throws {AlcedoError} `log_unreadable` if the log is damaged there.
   */
  next(): StoredCommit | undefined {
    if (this.#handedOut === this.#commits.length) {
      this.#commits = this.#isCareful ? this.#readOne() : this.#read();
      this.#handedOut = 0;
      if (this.#commits.length === 0) {
        const reader = this.#reader;
        // A plain reader stops at what does not end, and leaves it to others what that means.
        const isCut = this.#hasMark && reader instanceof PlainReader && reader.end < this.#durable;
        if (this.#isShort || isCut) this.#explain();
        return undefined;
      }
    }
    return this.#commits[this.#handedOut++];
  }

  #read(): readonly StoredCommit[] {
    try {
      const commits = this.#reader.commits(this.#after, STRETCH_BYTES);
      this.#after = commits.at(-1)?.sequence ?? this.#after;
      return commits;
    } catch {
      // What is before the damage is good: it is read once more.
      this.#isCareful = true;
      this.#reader = this.#readerAt(this.#index);
      return this.#readOne();
    }
  }

  #readOne(): readonly StoredCommit[] {
    try {
      const commits = this.#reader instanceof PlainReader
        ? this.#readEvent(this.#reader)
        : this.#reader.commits(this.#after, 1);
      this.#after += commits.length;
      return commits;
    } catch (error) {
      this.#explain();
      throw error;
    }
  }

  #readEvent(reader: PlainReader): readonly StoredCommit[] {
    const sequence = this.#after + 1;
    const batch = reader.batch(this.#after, sequence);
    if (batch === undefined) return [];
    const event = batch.bytes.slice(batch.bounds[0], batch.bounds[1]);
    return [{ sequence, time: undefined, meta: new Uint8Array(0), events: [event] }];
  }

  #readerAt(index: SparseIndex): LogReader {
    const source = { file: this.#log.file, name: this.#path, index };
    const first = this.#after + 1;
    const end = this.#isShort ? this.#log.size : this.#durable;
    return this.format === "plain"
      ? new PlainReader(source, first, end)
      : new CheckedReader({ ...source, fileId: this.#fileId }, first, end);
  }

  /**
   * Looks whether more has become durable.
   *
   * @throws {AlcedoError} `log_unreadable` if it is not the log any more that it was.
   */
  refresh(): boolean {
    const { disk } = this.#options;
    const { file } = this.#log;
    if (disk.identityOf(this.#path) !== file.identity) {
      throw unreadable(this.#path, "it has been removed, or another log is in its place now");
    }
    const mark = readMark(disk, this.#path)?.newest;
    const isOurs = mark?.fileId === this.#fileId;
    if (!isOurs && (this.#hasMark || this.format === "checked")) return false;
    const durable = isOurs ? mark.durable : file.size();
    if (durable < this.#durable) throw unreadable(this.#path, "it has been cut");
    this.#hasMark ||= isOurs;
    if (durable === this.#durable) return false;
    this.#durable = durable;
    this.#reader.extendTo(durable);
    return true;
  }

  close(): void {
    this.#log.file.close();
  }

  #lastDurable(): number {
    return surveyDurable(this.#log, this.#path, this.#options).end;
  }

  #firstOf({ from = 1, last }: FollowOptions): number {
    if (last === undefined) return from;
    const { mark } = this.#log;
    const newest = this.#hasMark && mark?.newest !== undefined
      ? mark.newest.sequence
      : surveyDurable(this.#log, this.#path, this.#options).sequence;
    return Math.max(1, newest - last + 1);
  }

  /** Where to begin for a sequence: for one near the end of a checked log, from there. */
  #indexFor(first: number): SparseIndex {
    const index = new SparseIndex();
    const durable = this.#durable;
    if (this.format === "plain" || this.#options.last === undefined) return index;
    const file = firstBytes(this.#log.file, durable);
    for (let bytes = LAST_BYTES; bytes < durable; bytes *= 4) {
      const search = { from: durable - bytes, to: durable, fileId: this.#fileId };
      const head = findFrame(file, search)?.head;
      if (head === undefined || head.sequence > first) continue;
      index.add(head.sequence, head.offset);
      break;
    }
    return index;
  }

  /** Says all that there is to say about a damage, if there is one. */
  #explain(): void {
    const { file, mark, size } = this.#log;
    survey({ file: firstBytes(file, size), path: this.#path, mark, warn: this.#options.warn });
  }
}

function fileIdOf(file: DiskFile, size: number): bigint {
  const frames = new FrameReader(file, size, FIRST);
  frames.next();
  return frames.link.fileId ?? 0n;
}
