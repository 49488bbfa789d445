/**
 * A log in a file, in use: reads, and appends with one write and one sync a flush, in either
 * format. How it is opened and recovered is in `open_log.ts`.
 *
 * What it must never do: acknowledge what is not durable, write after a sync has failed, or
 * write to a file that somebody else has written to.
 */

import type { Clock } from "../clock.ts";
import { AlcedoError, assert, messageOf } from "../errors.ts";
import { COMMIT_READ_BYTES, COMMIT_READERS_MAX } from "../limits.ts";
import { CheckedReader } from "./checked_reader.ts";
import type { Disk, DiskFile, DiskLock } from "./disk.ts";
import type {
  Commit,
  Durability,
  EventBatch,
  EventLog,
  Snapshot,
  SnapshotPlace,
  StoredCommit,
} from "./event_log.ts";
import { codeOf, isNoRoom, zerosFrom } from "./file_bytes.ts";
import type { Snapshots } from "./find_snapshot.ts";
import { SEAL } from "./frame.ts";
import { CheckedFramer, type Framer } from "./framer.ts";
import type { FrameReaderOptions } from "./frame_reader.ts";
import { type LogReader, unreadable } from "./log_reader.ts";
import type { MarkWriter } from "./mark.ts";
import { PeriodicSync } from "./periodic_sync.ts";
import { PlainReader } from "./plain_reader.ts";
import type { SparseIndex } from "./sparse_index.ts";

/** What a {@linkcode FileLog} is made of. */
export interface FileLogParts {
  readonly path: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly file: DiskFile;
  readonly index: SparseIndex;
  readonly history: string;
  /** The size of the file. All of it is durable, unless it is only read. */
  readonly end: number;
  readonly sequence: number;
  /** The id of a checked log's file. */
  readonly fileId: bigint | undefined;
  /** From where on the sums were looked at when it was opened. */
  readonly summedFrom: number;
  /** What writing needs; a log that is only read has not got it. */
  readonly writing: LogWriting | undefined;
  /** Why it is only read. */
  readonly readOnly: string | undefined;
  /** The snapshots beside it, unless they are not to be used. */
  readonly snapshots: Snapshots | undefined;
  readonly warn: (message: string) => void;
}

/** What writing needs. */
export interface LogWriting {
  readonly framer: Framer;
  readonly lock: DiskLock;
  readonly mark: MarkWriter;
  readonly durability: Durability;
}

/**
 * A sync in the foreground saves two changes of thread, and is what a single writer waits
 * for; one in the background lets the next writes be handled meanwhile. So: foreground for
 * a flush of few commits, as long as the disk answers about as fast as a context switch.
 */
const FOREGROUND_COMMITS_MAX = 2;
const FOREGROUND_MS_MAX = 0.5;
/** After a sync that took longer, so many go to the background; if the next one takes as long, twice as many. */
const BACKGROUND_FLUSHES_MIN = 8;
const BACKGROUND_FLUSHES_MAX = 1024;

/**
 * A checked log is grown ahead of its end with zeros, up to a multiple of this many bytes: a write
 * over what is there is synced in half the time of one that makes the file longer, since the file
 * system has nothing to write of its own. It is for small flushes, which are what a sync is long
 * for; larger ones would only write everything twice.
 */
const GROWTH_BYTES = 64 * 1024;
const GROWTH_FLUSH_BYTES_MAX = GROWTH_BYTES / 4;
/** How many zeros there may be behind the end. */
export const ZEROS_AHEAD_MAX: number = GROWTH_BYTES + GROWTH_FLUSH_BYTES_MAX;
const ZEROS = new Uint8Array(ZEROS_AHEAD_MAX);

/** What is added to the path of a log for the file with which room is looked for. */
export const ROOM = ".room";

/** Milliseconds between two closer looks at whether the file is still ours alone. */
const CHECK_MS = 1000;

/** A log in a file. */
export class FileLog implements EventLog {
  readonly name: string;
  readonly counts: "commits" | "events";
  readonly history: string;
  readonly durability: Durability;
  readonly #parts: FileLogParts;
  /** The end of what has been appended and acknowledged, and its sequence. */
  #end: number;
  #sequence: number;
  /** How much of it is synced: less, if the durability is weaker than `always`. */
  #synced: number;
  /** The size of the file: what is behind the end is zeros. */
  #size: number;
  #failed: AlcedoError | undefined;
  #closed = false;
  /** Flushes that must go to the background, and how many will after the next slow one. */
  #backgroundFlushes = 0;
  #nextBackgroundFlushes = BACKGROUND_FLUSHES_MIN;
  #checked: number;
  /** Whether a plain log ends in an empty event: without its mark that is what a crash leaves. */
  #mustSyncMark = false;
  readonly #periodic: PeriodicSync | undefined;
  /** Up to where the sums need not be looked at once more. */
  #summedTo: number;
  /** They go on where the commits that were read last end; the one used last is the last. */
  readonly #readers: LogReader[] = [];

  constructor(parts: FileLogParts) {
    const { writing, clock } = parts;
    this.#parts = parts;
    this.name = parts.path;
    this.counts = parts.fileId === undefined ? "events" : "commits";
    this.history = parts.history;
    this.durability = writing?.durability ?? "always";
    this.#end = this.#synced = this.#size = parts.end;
    this.#summedTo = parts.summedFrom === 0 ? parts.end : 0;
    this.#sequence = parts.sequence;
    this.#checked = clock.now();
    if (this.durability === "everysec") {
      this.#periodic = new PeriodicSync(parts.file, clock, {
        onSynced: (end, sequence) => this.#noteSynced(end, sequence),
        onFailed: (error) => void this.#fail("could not be synced", error),
      });
    }
  }

  get durable(): number {
    return this.#sequence;
  }

  get durableTime(): number | undefined {
    return this.#parts.writing?.framer.time;
  }

  get durableBytes(): number {
    return this.#end;
  }

  get readOnly(): string | undefined {
    return this.#failed?.message ?? this.#parts.readOnly;
  }

  async *read(until: number, after: number = 0): AsyncIterable<EventBatch> {
    assert(until <= this.#sequence, "only what is durable is read");
    const reader = this.#readerAt(after + 1, { summedTo: this.#summedTo });
    this.#summedTo = 0; // That was a moment ago only for the first who reads.
    let sequence = after;
    for (;;) {
      const batch = reader.batch(after, until);
      if (batch === undefined) break;
      const behind = reader.byteBehind;
      sequence = reader.next - 1;
      yield batch;
      reader.byteBehind = behind;
    }
    // Commits without events follow each other unseen.
    if (this.counts === "commits") sequence = Math.max(sequence, reader.next - 1);
    if (sequence < until) {
      throw unreadable(this.name, `it ends after ${sequence} of ${until} ${this.counts}`);
    }
  }

  readCommits(after: number, bytesMax: number): Promise<readonly StoredCommit[]> {
    return Promise.try(() => {
      if (after >= this.#sequence) return [];
      const readers = this.#readers;
      const at = readers.findIndex((reader) => reader.next === after + 1);
      const [known] = at < 0 ? [] : readers.splice(at, 1);
      const reader = known ?? this.#readerAt(after + 1, { readBytes: COMMIT_READ_BYTES });
      reader.extendTo(this.#end);
      const commits = reader.commits(after, bytesMax);
      if (commits.length === 0) throw unreadable(this.name, `it ends after commit ${after}`);
      // One that has failed is not used again.
      if (readers.push(reader) > COMMIT_READERS_MAX) readers.shift();
      return commits;
    });
  }

  #readerAt(sequence: number, frames: FrameReaderOptions): LogReader {
    const { file, path: name, index, fileId } = this.#parts;
    return fileId === undefined
      ? new PlainReader({ file, name, index, readBytes: frames.readBytes }, sequence, this.#end)
      : new CheckedReader({ file, name, index, fileId, frames }, sequence, this.#end);
  }

  snapshot(modelVersion: string): Snapshot | undefined {
    return this.#parts.snapshots?.load(this.#parts.file, modelVersion);
  }

  newestSnapshot(modelVersion: string): SnapshotPlace | undefined {
    const newest = this.#parts.snapshots?.newest(this.#parts.file, modelVersion);
    return newest && { sequence: newest.sequence, time: newest.time / 1000 };
  }

  async append(commits: readonly Commit[]): Promise<void> {
    assert(!this.#closed, "nothing is appended to a closed log");
    if (this.#failed !== undefined) throw this.#failed;
    const { writing, index } = this.#parts;
    assert(writing !== undefined, "nothing is appended to a log that is only read");
    const { framer } = writing;
    const offset = this.#end;
    const bytes = framer.frame(commits, { offset, durable: this.#synced });
    this.#checkFile({ isLast: false });
    this.#grow(bytes.length);
    this.#write(bytes);
    // An empty event at the end of a plain log is told by the mark alone from what a crash leaves.
    const endsInZero = this.counts === "events" && endsEmpty(commits);
    const isSynced = this.durability === "always" || endsInZero;
    if (isSynced) await this.#sync(commits.length);
    index.add(this.#sequence + 1, offset);
    framer.accept();
    this.#sequence = framer.sequence;
    this.#end = offset + bytes.length;
    if (endsInZero) this.#mustSyncMark = true;
    if (isSynced) this.#noteSynced(this.#end, this.#sequence);
    else await this.#periodic?.written(this.#end, this.#sequence);
  }

  #noteSynced(end: number, sequence: number): void {
    // After one that has failed no other one counts; and one in the background may have begun before.
    if (this.#failed !== undefined || end < this.#synced) return;
    this.#synced = end;
    const mark = this.#parts.writing?.mark;
    mark?.write(end, sequence);
    if (!this.#mustSyncMark) return;
    mark?.sync();
    if (end === this.#end) this.#mustSyncMark = false;
  }

  /**
   * Asks whether the file is as it was left: one read that must find its last byte and nothing
   * behind it, which is much quicker than a look at its size; another one that must find a zero
   * behind the log's end, where whoever takes the log for his goes on; and now and then, whether
   * there are only zeros there, and the path still leads to the file.
   *
   * @throws {AlcedoError} `log_failed` if somebody else has been at it.
   */
  #checkFile({ isLast }: { isLast: boolean }): void {
    const { file, disk, path, clock } = this.#parts;
    const size = this.#size;
    const expected = Math.min(1, size);
    let found: number;
    let isUntouched: boolean;
    let identity: string | undefined = file.identity;
    try {
      found = file.read(LAST_BYTES, size - expected);
      NEXT_BYTE[0] = 0;
      if (this.#end < size) file.read(NEXT_BYTE, this.#end);
      isUntouched = NEXT_BYTE[0] === 0;
      if (isLast || clock.now() - this.#checked >= CHECK_MS) {
        this.#checked = clock.now();
        isUntouched = zerosFrom(file, this.#end, size) === this.#end;
        identity = disk.identityOf(path);
      }
    } catch (error) {
      throw this.#fail("cannot be read", error);
    }
    if (found !== expected) {
      const what = found < expected ? "shorter" : "longer";
      throw this.#fail(`is ${what} than it was left: another program has written to it`);
    }
    if (!isUntouched) throw this.#fail("has been written to by another program");
    if (identity !== file.identity) {
      throw this.#fail(
        `has been ${identity === undefined ? "removed" : "replaced by another file"}`,
      );
    }
  }

  /** Puts zeros behind the end for the flushes to come. Where there is no room, there are none. */
  #grow(bytes: number): void {
    const { file, fileId } = this.#parts;
    const end = this.#end + bytes;
    if (fileId === undefined || end <= this.#size || bytes > GROWTH_FLUSH_BYTES_MAX) return;
    const to = GROWTH_BYTES * (1 + Math.floor(end / GROWTH_BYTES));
    const zeros = ZEROS.subarray(0, to - this.#size);
    try {
      try {
        file.write(zeros, this.#size);
      } catch (error) {
        if (!isNoRoom(error)) throw error;
      }
      this.#size = file.size();
    } catch (error) {
      throw this.#fail("cannot be written", error);
    }
  }

  #write(bytes: Uint8Array): void {
    const { file } = this.#parts;
    let cause: unknown;
    try {
      if (file.write(bytes, this.#end) === bytes.length) {
        this.#size = Math.max(this.#size, this.#end + bytes.length);
        return;
      }
    } catch (error) {
      cause = error;
      if (!isNoRoom(error)) throw this.#fail("cannot be written", error);
    }
    // Part of it may be in the file: a crash now must not find it.
    try {
      this.#cutBack();
      file.syncNow();
    } catch (error) {
      throw this.#fail("is full and could not be cut back", error);
    }
    throw new AlcedoError("log_full", `Cannot append to log "${this.name}": no space left`, {
      cause,
    });
  }

  /** Cuts off what is behind the end. */
  #cutBack(): void {
    this.#parts.file.truncate(this.#end);
    this.#size = this.#end;
  }

  async #sync(commits: number): Promise<void> {
    const { file, clock } = this.#parts;
    try {
      if (commits > FOREGROUND_COMMITS_MAX || this.#backgroundFlushes > 0) {
        if (this.#backgroundFlushes > 0) this.#backgroundFlushes--;
        await file.sync();
      } else {
        const start = clock.now();
        file.syncNow();
        const isSlow = clock.now() - start > FOREGROUND_MS_MAX;
        const next = this.#nextBackgroundFlushes;
        if (isSlow) this.#backgroundFlushes = next;
        this.#nextBackgroundFlushes = isSlow
          ? Math.min(2 * next, BACKGROUND_FLUSHES_MAX)
          : BACKGROUND_FLUSHES_MIN;
      }
    } catch (error) {
      throw this.#fail("could not be synced", error);
    }
    // Of two syncs at once only one is told of a failure, whichever it was about.
    if (this.#failed !== undefined) throw this.#failed;
  }

  #fail(what: string, cause?: unknown): AlcedoError {
    this.#failed ??= new AlcedoError(
      "log_failed",
      `The log "${this.name}" ${what}: what was being written may or may not survive, and no ` +
        `more is written until a restart; check the disk`,
      { cause },
    );
    return this.#failed;
  }

  /** Writes that much to a file beside the log, which may be torn or left behind for all we care. */
  hasRoom(bytes: number): Promise<boolean> {
    const { disk } = this.#parts;
    const scratch = `${this.name}${ROOM}`;
    try {
      disk.remove(scratch);
      const file = disk.create(scratch);
      try {
        const size = Math.max(1, bytes);
        return Promise.resolve(file.write(new Uint8Array(size), 0) === size);
      } finally {
        file.close();
        disk.remove(scratch);
      }
    } catch {
      return Promise.resolve(false); // For whatever reason: there is no room.
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { file, writing } = this.#parts;
    await this.#periodic?.stop();
    try {
      if (writing !== undefined && this.#failed === undefined) this.#seal(writing);
    } catch (error) {
      // Where all that was acknowledged is synced, the next start is one after a crash, no more.
      if (this.durability !== "always") throw error;
      this.#parts.warn(`The log "${this.name}" could not be closed in order: ${messageOf(error)}`);
    } finally {
      try {
        file.close();
      } finally {
        writing?.mark.close();
        writing?.lock.release();
      }
    }
  }

  /** Says in the log and in its mark that it was closed in an orderly way. */
  #seal({ framer, mark }: LogWriting): void {
    const { file } = this.#parts;
    // What is behind the end is cut off: it must be ours.
    this.#checkFile({ isLast: true });
    if (framer instanceof CheckedFramer) {
      const place = { offset: this.#end, durable: this.#synced };
      const seal = framer.note(SEAL, new Uint8Array(0), place);
      try {
        this.#write(seal);
        this.#end += seal.length;
      } catch (error) {
        // Cut back: the log is as good without.
        if (codeOf(error) !== "log_full") throw error;
      }
    }
    try {
      if (this.#size > this.#end) this.#cutBack();
      file.syncNow();
    } catch (error) {
      throw this.#fail("could not be synced", error);
    }
    mark.writeBoth(this.#end, this.#sequence);
    // From now on nothing that was acknowledged can be lost.
    if (this.counts === "events" && this.durability !== "always") {
      mark.writeNote(this.history, "always");
    }
  }
}

/** Whether the last event of these commits has no bytes. */
function endsEmpty(commits: readonly Commit[]): boolean {
  const last = commits.findLast(({ events }) => events.length > 0);
  return last?.events.at(-1)?.length === 0;
}

/** What {@linkcode FileLog} reads to see that its file is as it was left. */
const LAST_BYTES = new Uint8Array(2);
const NEXT_BYTE = new Uint8Array(1);
