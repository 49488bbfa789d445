/**
 * The port between the answers that files make and the file system: a folder, and files that are
 * open. What it promises is what keeps everything outside of the folder unseen.
 */

/** A folder whose files may be read. */
export interface FileFolder {
  /**
   * Opens what is called `names`, one below the other; for none, the folder itself. `"folder"`
   * where that is a folder; `undefined` where there is nothing, or nothing that may be read as a
   * file, or where it lies outside of this folder, however it was reached. Opening never waits
   * for a writer, as that of a pipe could.
   *
   * No name is empty, `.` or `..`, or has a slash, a backslash or a NUL in it.
   */
  open(names: readonly string[]): Promise<OpenFile | "folder" | undefined>;
}

/** A file that is open: all that is said here is said of what was opened. */
export interface OpenFile {
  /** What it is called below the folder, when all links have been followed. */
  readonly names: readonly string[];
  /** Bytes. */
  readonly size: number;
  /** When its content was changed last, in milliseconds since 1970. */
  readonly modifiedMs: number;
  /** When it or what is known of it was changed last: nobody can set this one back. */
  readonly changedMs: number;
  /** Another text for every state of the file that `changedMs` tells apart, and every file. */
  readonly version: string;
  /** Fills `into` from `offset` on, as far as one read goes; the bytes read, 0 at the end. */
  read(into: Uint8Array, offset: number): Promise<number>;
  /**
   * Whether some of its first `size` bytes may be others by now: it has shrunk, or was written to
   * and is as long as before. One that grew is taken for one that is only appended to.
   */
  hasChanged(): Promise<boolean>;
  /** Closes it; once is enough. Nothing may be reading. */
  close(): Promise<void>;
}
