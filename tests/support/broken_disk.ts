/**
 * Disks that leave out one thing which a log relies on, to see that the harness finds it.
 */

import type { Disk, DiskFile } from "../../runtime/log/disk.ts";

/** A disk whose files that can be written are changed; `undefined` leaves one as it is. */
export function withFiles(
  disk: Disk,
  change: (file: DiskFile, path: string) => Partial<DiskFile> | undefined,
): Disk {
  const changed = (file: DiskFile, path: string): DiskFile => ({ ...file, ...change(file, path) });
  return {
    open(path) {
      const file = disk.open(path);
      return file === undefined ? undefined : changed(file, path);
    },
    openToRead: (path) => disk.openToRead(path),
    create: (path) => changed(disk.create(path), path),
    remove: (path) => disk.remove(path),
    link: (path, to) => disk.link(path, to),
    rename: (path, to) => disk.rename(path, to),
    list: (prefix) => disk.list(prefix),
    identityOf: (path) => disk.identityOf(path),
    syncFolder: (path) => disk.syncFolder(path),
    lock: (path) => disk.lock(path),
  };
}

export function withoutSync(disk: Disk): Disk {
  return withFiles(disk, () => ({ syncNow: () => {}, sync: () => Promise.resolve() }));
}

export function withoutFolderSync(disk: Disk): Disk {
  return { ...withFiles(disk, () => undefined), syncFolder: () => {} };
}

/** What is in a log already is not written over itself. */
export function withoutWritingAgain(disk: Disk): Disk {
  return withFiles(disk, (file, path) => {
    if (path.endsWith(".mark")) return undefined;
    return {
      write: (bytes, offset) =>
        offset + bytes.length <= file.size() ? bytes.length : file.write(bytes, offset),
    };
  });
}

export function withoutCutting(disk: Disk): Disk {
  return withFiles(disk, () => ({ truncate: () => {} }));
}

export function withoutMark(disk: Disk): Disk {
  return withFiles(disk, (_, path) => {
    return path.includes(".mark") ? { write: (bytes) => bytes.length } : undefined;
  });
}
