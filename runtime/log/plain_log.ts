/**
 * The plain format, `(uvarint(event bytes) event)*`, on a disk: opening with recovery,
 * reading, and appending with one write and one sync a flush.
 *
 * The format has no header and no checksum. It knows events, not commits: sequences count
 * events, and a commit that was not acknowledged may survive a crash in part. Files of
 * other programs that use it open and grow unchanged, byte for byte.
 */

import { AlcedoError, assert } from "../errors.ts";
import { COMMIT_BYTES_MAX, READ_BYTES } from "../limits.ts";
import type { Disk, DiskFile, DiskLock } from "./disk.ts";
import type { Commit, EventBatch, EventLog, StoredCommit } from "./event_log.ts";
import { newHistory } from "./position.ts";
import { PlainReader, unreadable } from "./plain_reader.ts";
import { writeUvarint } from "./uvarint.ts";

/** Options of {@linkcode openPlainLog}. */
export interface PlainLogOptions {
  disk: Disk;
  /** Called with what the owner of the file should know: a tail that was cut. */
  warn: (message: string) => void;
  /** Milliseconds of a monotonic clock, to learn how long a sync takes. */
  now: () => number;
  /** Names what is kept aside: the time of day, in milliseconds since 1970. */
  timeOfDay: () => number;
}

/**
 * The first bytes of the payload that opens a log in the checked format. Its framing is
 * this format's own, so it must not be mistaken for events.
 */
const CHECKED_MAGIC = [0xf5, 0x4c, 0x4f, 0x47];

/**
 * Opens the plain log at `path`, or creates an empty one, and takes its lock.
 *
 * A tail that ends inside an event is kept in a file beside the log and cut off, with a
 * warning: it was never acknowledged. What may not have reached the disk before the last
 * stop is written again and synced.
 *
 * @throws {AlcedoError} `log_locked` if another process writes it; `log_unreadable` if it is
 * no plain log, upon which nothing was changed.
 */
export async function openPlainLog(path: string, options: PlainLogOptions): Promise<EventLog> {
  const { disk } = options;
  let file = disk.open(path);
  if (file === undefined) {
    file = disk.create(path);
    file.syncNow();
  }
  file.close();
  // Also where it was there: whoever made it may have been stopped before its name was durable.
  disk.syncFolder(path);
  const lock = await disk.lock(path);
  try {
    // Opened again under the lock: until it was ours, the name could lead elsewhere.
    file = disk.open(path);
    if (file === undefined) throw unreadable(path, "it was removed while it was opened");
    const found = walk(file, path);
    if (found.end < found.size) cutTail(file, path, found, options);
    rewriteTail(file, found.end);
    return new PlainLog(path, file, lock, found, options);
  } catch (error) {
    file?.close();
    lock.release();
    throw error;
  }
}

interface Found {
  /** Whole events. */
  count: number;
  /** Where the last whole event ends. */
  end: number;
  /** The size of the file. */
  size: number;
}

/** Finds the whole events of a file. */
function walk(file: DiskFile, path: string): Found {
  const size = file.size();
  const reader = new PlainReader(file, size, path);
  let count = 0;
  let end = 0;
  for (let batch = reader.next(); batch !== undefined; batch = reader.next()) {
    const magic = batch.offset === 0 ? batch.bytes.subarray(batch.bounds[0]) : [];
    if (CHECKED_MAGIC.every((byte, i) => magic[i] === byte)) {
      throw unreadable(path, "it is in the checked format, which this version cannot read");
    }
    count += batch.count;
    end = reader.end;
  }
  return { count, end, size };
}

/** Keeps what follows the last whole event in a file of its own, then cuts it off. */
function cutTail(file: DiskFile, path: string, found: Found, options: PlainLogOptions): void {
  const { disk, warn, timeOfDay } = options;
  const bytes = found.size - found.end;
  if (found.end === 0) {
    throw unreadable(
      path,
      "not a log: its first event does not fit into the file; choose another --events-file",
    );
  }
  if (bytes > COMMIT_BYTES_MAX) {
    throw unreadable(
      path,
      `damaged at offset ${found.end}, after event ${found.count}: ${bytes} bytes follow that are ` +
        `no whole event and more than a torn write leaves (${COMMIT_BYTES_MAX}); ` +
        `nothing was changed, restore it from a copy`,
    );
  }
  const tail = new Uint8Array(bytes);
  readFully(file, tail, found.end, path);
  const kept = `${path}.cut-${found.end}-${timeOfDay()}`;
  const aside = disk.create(kept);
  try {
    writeFully(aside, tail, 0, kept);
    aside.syncNow();
  } catch (error) {
    disk.remove(kept); // Half a copy is none: the tail is still where it was.
    throw error;
  } finally {
    aside.close();
  }
  disk.syncFolder(kept);
  file.truncate(found.end);
  file.syncNow();
  warn(
    `The log "${path}" ended inside an event: ${bytes} bytes after event ${found.count} were ` +
      `never acknowledged, and are now kept in "${kept}".`,
  );
}

/**
 * Writes the last bytes of the file over themselves and syncs them. A sync that failed may
 * have marked pages clean that are not on the disk: they read back well, and a later sync
 * would skip them. No more than one flush can have been in doubt when the writer stopped.
 */
function rewriteTail(file: DiskFile, end: number): void {
  const start = Math.max(0, end - COMMIT_BYTES_MAX);
  const buffer = new Uint8Array(Math.min(READ_BYTES, end - start));
  for (let at = start; at < end; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, end - at));
    readFully(file, part, at, "log");
    writeFully(file, part, at, "log");
  }
  // Also where there is nothing to write: the file may have been cut, and not synced.
  file.syncNow();
}

function readFully(file: DiskFile, into: Uint8Array, offset: number, name: string): void {
  for (let done = 0; done < into.length;) {
    const read = file.read(into.subarray(done), offset + done);
    if (read === 0) throw unreadable(name, `it became shorter while it was read`);
    done += read;
  }
}

function writeFully(file: DiskFile, bytes: Uint8Array, offset: number, name: string): void {
  const written = file.write(bytes, offset);
  if (written < bytes.length) {
    throw new AlcedoError("log_full", `Cannot write "${name}": no space left on the disk`);
  }
}

/** Errors of a write that mean that there is no room, and that nothing else is wrong. */
const NO_ROOM: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/**
 * A sync in the foreground saves two changes of thread, and is what a single writer waits
 * for; one in the background lets the next writes be handled meanwhile. So: foreground for
 * a flush of few commits, as long as the disk answers about as fast as a context switch.
 */
const FOREGROUND_COMMITS_MAX = 2;
const FOREGROUND_MS_MAX = 0.5;
/** After a sync that took longer, how many go to the background before the next try. */
const BACKGROUND_FLUSHES = 1000;

class PlainLog implements EventLog {
  readonly name: string;
  readonly counts = "events";
  readonly history: string = newHistory();
  readonly #file: DiskFile;
  readonly #lock: DiskLock;
  readonly #options: PlainLogOptions;
  #count: number;
  #end: number;
  #failed: AlcedoError | undefined;
  #closed = false;
  #buffer = new Uint8Array(64 * 1024);
  /** Flushes that must go to the background. */
  #backgroundFlushes = 0;

  constructor(
    name: string,
    file: DiskFile,
    lock: DiskLock,
    found: Found,
    options: PlainLogOptions,
  ) {
    this.name = name;
    this.#file = file;
    this.#lock = lock;
    this.#count = found.count;
    this.#end = found.end;
    this.#options = options;
  }

  get durable(): number {
    return this.#count;
  }

  get durableBytes(): number {
    return this.#end;
  }

  readCommits(): Promise<readonly StoredCommit[]> {
    return Promise.reject(new Error("not yet"));
  }

  async *read(until: number, after: number = 0): AsyncIterable<EventBatch> {
    assert(until <= this.#count, "only what is durable is read");
    assert(after === 0, "not yet");
    const reader = new PlainReader(this.#file, this.#end, this.name);
    for (let left = until; left > 0;) {
      const batch = reader.next(left);
      if (batch === undefined) {
        throw unreadable(this.name, `it ends after ${until - left} of ${until} events`);
      }
      left -= batch.count;
      const behind = reader.byteBehind;
      yield batch;
      reader.byteBehind = behind;
    }
  }

  async append(commits: readonly Commit[]): Promise<void> {
    assert(!this.#closed, "nothing is appended to a closed log");
    if (this.#failed !== undefined) throw this.#failed;
    const bytes = this.#frame(commits);
    let count = 0;
    for (const commit of commits) count += commit.events.length;
    this.#write(bytes);
    await this.#sync(commits.length);
    this.#end += bytes.length;
    this.#count += count;
  }

  /** The bytes of a flush, in a buffer that is used again. */
  #frame(commits: readonly Commit[]): Uint8Array {
    let size = 0;
    for (const commit of commits) size += commit.bytes;
    if (size > this.#buffer.length) {
      this.#buffer = new Uint8Array(Math.max(size, 2 * this.#buffer.length));
    }
    let at = 0;
    for (const { events } of commits) {
      for (const event of events) {
        at = writeUvarint(this.#buffer, at, event.length);
        this.#buffer.set(event, at);
        at += event.length;
      }
    }
    assert(at === size, "a commit knows its size");
    return this.#buffer.subarray(0, size);
  }

  #write(bytes: Uint8Array): void {
    let cause: unknown;
    try {
      if (this.#file.write(bytes, this.#end) === bytes.length) return;
    } catch (error) {
      cause = error;
      if (!NO_ROOM.has(codeOf(error))) throw this.#fail("cannot be written", error);
    }
    // Part of it may be in the file: a crash now must not find it.
    try {
      this.#file.truncate(this.#end);
      this.#file.syncNow();
    } catch (error) {
      throw this.#fail("is full and could not be cut back", error);
    }
    throw new AlcedoError("log_full", `Cannot append to log "${this.name}": no space left`, {
      cause,
    });
  }

  async #sync(commits: number): Promise<void> {
    try {
      if (commits > FOREGROUND_COMMITS_MAX || this.#backgroundFlushes > 0) {
        if (this.#backgroundFlushes > 0) this.#backgroundFlushes--;
        await this.#file.sync();
      } else {
        const start = this.#options.now();
        this.#file.syncNow();
        const slow = this.#options.now() - start > FOREGROUND_MS_MAX;
        this.#backgroundFlushes = slow ? BACKGROUND_FLUSHES : 0;
      }
    } catch (error) {
      throw this.#fail("could not be synced", error);
    }
  }

  #fail(what: string, cause: unknown): AlcedoError {
    this.#failed = new AlcedoError(
      "log_failed",
      `The log "${this.name}" ${what}: what was being written may or may not survive, and no ` +
        `more is written until a restart; check the disk`,
      { cause },
    );
    return this.#failed;
  }

  /** Writes that much to a file beside the log, which may be torn or left behind for all we care. */
  hasRoom(bytes: number): Promise<boolean> {
    const { disk } = this.#options;
    const scratch = `${this.name}.room`;
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

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#file.close();
      this.#lock.release();
    }
    return Promise.resolve();
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
