/**
 * The disk port on real files, through `node:fs`, which all three runtimes have. It only
 * translates; what an error means is the log's business.
 */

import * as fs from "node:fs";
import { constants } from "node:os";
import { basename, dirname } from "node:path";
import type { Disk, DiskFile } from "../runtime/log/disk.ts";
import { lockFile } from "./lock.ts";

/** Files are the server's own. */
const MODE = 0o600;

/** The machine's file system. */
export const disk: Disk = {
  open: (path) => ifThere(() => new OpenFile(fs.openSync(path, "r+"))),
  openToRead: (path) => ifThere(() => new OpenFile(fs.openSync(path, "r"))),
  create: (path) => new OpenFile(fs.openSync(path, "wx+", MODE)),
  remove: (path) => fs.rmSync(path, { force: true }),
  link: (path, to) => fs.linkSync(path, to),
  rename: (path, to) => fs.renameSync(path, to),
  list(prefix) {
    const folder = dirname(prefix);
    const name = basename(prefix);
    return fs.readdirSync(folder).filter((found) => found.startsWith(name))
      .map((found) => prefix.slice(0, prefix.length - name.length) + found);
  },
  identityOf: (path) => ifThere(() => identityOf(fs.statSync(path, { bigint: true }))),
  syncFolder(path) {
    const folder = fs.openSync(dirname(path), "r");
    try {
      fs.fsyncSync(folder);
    } finally {
      fs.closeSync(folder);
    }
  },
  lock: lockFile,
};

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function identityOf({ dev, ino }: fs.BigIntStats): string {
  return `${dev}-${ino}`;
}

/** Node has no name for an error of a quota, and Deno for neither of these. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [constants.errno.EDQUOT, "EDQUOT"],
  [constants.errno.EFBIG, "EFBIG"],
]);

/** Gives an error its POSIX name, by its number, if the platform has not done so. */
function named(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { errno } = error as NodeJS.ErrnoException;
  const number = errno === undefined
    ? Number(/\(os error (\d+)\)$/.exec(error.message)?.[1]) // Deno says it in its message only.
    : -errno;
  const code = NAMES.get(number);
  return code === undefined ? error : Object.assign(error, { code });
}

class OpenFile implements DiskFile {
  readonly identity: string;
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.identity = identityOf(fs.fstatSync(fd, { bigint: true }));
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  read(into: Uint8Array, offset: number): number {
    return fs.readSync(this.#fd, into, 0, into.length, offset);
  }

  write(bytes: Uint8Array, offset: number): number {
    try {
      return fs.writeSync(this.#fd, bytes, 0, bytes.length, offset);
    } catch (error) {
      throw named(error);
    }
  }

  syncNow(): void {
    fs.fdatasyncSync(this.#fd);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => error ? reject(error) : resolve());
    });
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
