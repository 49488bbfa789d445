/**
 * The port for files that are shown, on real folders, through `node:fs`. Nothing outside of the
 * folder is shown: what is looked at is where the opened file is, and not the path that led to it.
 *
 * On Linux that holds however files and links are renamed meanwhile. Elsewhere the path is followed
 * a second time, and must lead to the same file: who swaps a folder for a link, twice and at the
 * right moments, could deceive that. A hard link is a file of the folder, wherever else it is.
 */

import * as fs from "node:fs";
import { promisify } from "node:util";
import type { FileFolder, OpenFile } from "../runtime/http/file_folder.ts";

const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const lstat = promisify(fs.lstat);
const open = promisify(fs.open);
const read = promisify(fs.read);
const realpath = promisify(fs.realpath.native);
const stat = promisify(fs.stat);

/** A pipe is not waited for, a terminal not made ours, a link that has just been put there not followed. */
const FLAGS = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY |
  fs.constants.O_NOFOLLOW;

/** What says that there is nothing to be read: the rest are faults. */
const ABSENT: ReadonlySet<string | undefined> = new Set([
  ...["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP"],
  ...["EACCES", "EPERM"],
  ...["ENXIO", "ENODEV"], // A socket, a device that is none.
]);

/** Looks for a file that is moved or replaced at each of them, before it counts as absent. */
const ATTEMPTS = 10;

/**
 * The folder at `path`, whose links are followed at each look: it may be one itself, and be set
 * to another folder.
 *
 * @throws what the platform throws if there is none.
 */
export function openFolder(path: string): FileFolder {
  fs.closeSync(fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY));
  return {
    async open(names) {
      try {
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
          const found = await openBelow(await realpath(path), names);
          if (found !== "moved") return found;
        }
      } catch (error) {
        if (!ABSENT.has((error as NodeJS.ErrnoException).code)) throw error;
      }
      return undefined;
    },
  };
}

/** Opens what is called `names` below `root`; `"moved"` if it was not there any more when it was open. */
async function openBelow(
  root: string,
  names: readonly string[],
): Promise<OpenFile | "folder" | "moved" | undefined> {
  const base = root === "/" ? "" : root;
  const asked = [base, ...names].join("/") || "/";
  const path = await realpath(asked).catch(async (error: NodeJS.ErrnoException) => {
    // Bun looks twice: what was replaced between is not there under its old name, "a.txt (deleted)".
    if (error.code === "ENOENT" && await isThere(asked)) return undefined;
    throw error;
  });
  if (path === undefined) return "moved";
  if (path !== root && !path.startsWith(`${base}/`)) return undefined;
  const fd = await open(path, FLAGS).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  // It was there; and if it was replaced, a platform may have called it "a.txt (deleted)".
  if (fd === undefined) return "moved";
  let isHandedOn = false;
  try {
    const stats = await fstat(fd, { bigint: true });
    if (stats.isDirectory()) return "folder";
    if (!stats.isFile()) return undefined;
    if (!await isAt(fd, stats, path)) return "moved";
    isHandedOn = true;
    return new ShownFile(fd, stats, path.slice(base.length + 1).split("/"));
  } finally {
    if (!isHandedOn) await close(fd);
  }
}

const isThere = (path: string): Promise<boolean> => stat(path).then(() => true, () => false);

/**
 * Whether what is open as `fd` is the file at `path`, which has no links in it; or was, until
 * another one took its place.
 */
async function isAt(fd: number, stats: fs.BigIntStats, path: string): Promise<boolean> {
  let found: string;
  try {
    found = fs.readlinkSync(`/proc/self/fd/${fd}`); // No disk is asked.
  } catch {
    // Another system, or no permission to look there.
    const there = await lstat(path, { bigint: true });
    return await realpath(path) === path && there.ino === stats.ino && there.dev === stats.dev;
  }
  return found === path || found === `${path} (deleted)`;
}

class ShownFile implements OpenFile {
  readonly names: readonly string[];
  readonly size: number;
  readonly modifiedMs: number;
  readonly changedMs: number;
  readonly version: string;
  readonly #fd: number;
  readonly #stats: fs.BigIntStats;
  #closing: Promise<void> | undefined;

  constructor(fd: number, stats: fs.BigIntStats, names: readonly string[]) {
    this.names = names;
    this.size = Number(stats.size);
    this.modifiedMs = Number(stats.mtimeMs);
    this.changedMs = Number(stats.ctimeMs);
    // Not the times alone: those of files from archives and builds are often all the same.
    this.version = [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join("-");
    this.#fd = fd;
    this.#stats = stats;
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    const { bytesRead } = await read(this.#fd, into, 0, into.length, offset);
    return bytesRead;
  }

  async hasChanged(): Promise<boolean> {
    const { size, mtimeNs } = await fstat(this.#fd, { bigint: true });
    return size < this.#stats.size || size === this.#stats.size && mtimeNs !== this.#stats.mtimeNs;
  }

  close(): Promise<void> {
    return this.#closing ??= close(this.#fd);
  }
}
