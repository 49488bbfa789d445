/**
 * The disk as a log sees it: the one thing that is replaced when a log runs on a simulated
 * disk. `adapters/files.ts` implements it with the platform's files.
 *
 * Errors carry the POSIX name in `code` (`ENOSPC`, `EIO`, …), as the platforms do. Nothing
 * here retries or repairs: what an error means for the log is the log's to decide.
 */

/** An open file. All offsets and sizes are bytes. */
export interface DiskFile {
  /** Names the file itself, whatever path led to it: its device and inode. */
  readonly identity: string;
  /** The size of the file now. */
  size(): number;
  /**
   * Reads up to `into.length` bytes from `offset` on; returns how many, 0 at the end of the
   * file. May return fewer than there are.
   */
  read(into: Uint8Array, offset: number): number;
  /**
   * Writes at `offset` with one call, never with O_APPEND; returns how many bytes were
   * written, which may be fewer than given. It may also throw after a part was written.
   * After a crash any part of it may be on the disk, or none, until a sync has returned.
   */
  write(bytes: Uint8Array, offset: number): number;
  /**
   * Makes all that was written durable before it returns, blocking the thread. If it throws,
   * nothing is known of what was written since the last sync, and a later sync that
   * succeeds says nothing about it.
   */
  syncNow(): void;
  /** As {@linkcode syncNow}, in the background. Covers what was written before the call. */
  sync(): Promise<void>;
  /** Cuts the file to `size` bytes. Durable only after a sync. */
  truncate(size: number): void;
  close(): void;
}

/** Held by exactly one process at a time; gone when its process is gone, however it ended. */
export interface DiskLock {
  release(): void;
}

/** A folder's files. */
export interface Disk {
  /** Opens an existing file for reading and writing; `undefined` if there is none. */
  open(path: string): DiskFile | undefined;
  /** Opens an existing file for reading; `undefined` if there is none. */
  openToRead(path: string): DiskFile | undefined;
  /** Creates a file that must not exist. Its name is durable after {@linkcode syncFolder}. */
  create(path: string): DiskFile;
  /** Removes a file if it is there. */
  remove(path: string): void;
  /** Gives a file a second name, which must not exist (`EEXIST`). */
  link(path: string, to: string): void;
  /** Gives a file another name, in place of whatever file has that name, in one step. */
  rename(path: string, to: string): void;
  /** The paths of all files whose path begins with `prefix`, which ends inside a file's name. */
  list(prefix: string): string[];
  /** The {@linkcode DiskFile.identity} of the file that the path leads to now, if any. */
  identityOf(path: string): string | undefined;
  /** Makes the names in the folder of `path` durable. */
  syncFolder(path: string): void;
  /**
   * Takes the writer's lock of the existing file at `path`.
   *
   * @throws {AlcedoError} `log_locked`, naming the process that holds it.
   */
  lock(path: string): Promise<DiskLock>;
}
