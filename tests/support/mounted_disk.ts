/**
 * Real file systems for tests: an image in a file, or memory, mounted on a folder. They can be
 * full, and their power can be cut. All of it needs root.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { isInstalled, needs } from "./needs.ts";
import { withDiaries } from "./diary_server.ts";
import { ROOT } from "./server_process.ts";

export type FileSystem = "tmpfs" | "ext4" | "xfs";

/** A file system that is there while a test runs. */
export interface MountedDisk {
  /** Where it is mounted. */
  readonly folder: string;
  /** Fills it to the last block; returns what makes room again. */
  fill(): () => void;
  /** Lets it be read only. */
  makeReadOnly(): void;
  /** Cuts its power: from now on nothing gets to the disk, and every write or sync fails. */
  cut(): void;
  /**
   * Mounts it again, as a machine does when it starts after a power cut.
   *
   * @throws if nothing was lost that was not synced: then no power was cut.
   */
  remount(): void;
}

const POWER_CUT = join(ROOT, "tests/support/power_cut.py");

/** Soon full; xfs cannot be smaller, but its image has holes. */
const MEBIBYTES: Readonly<Record<FileSystem, number>> = { tmpfs: 1, ext4: 4, xfs: 300 };

/** A `test` for what needs to mount such a file system. */
export function needsDisk(system: FileSystem): ReturnType<typeof needs> {
  if (system === "tmpfs") return needs("root", canMount());
  const hasTools = isInstalled(`mkfs.${system}`) && isInstalled("python3");
  return needs(
    `root, mkfs.${system} and python3`,
    hasTools && existsSync("/dev/loop-control") && canMount(),
  );
}

let couldMount: boolean | undefined;

function canMount(): boolean {
  return couldMount ??= process.getuid?.() === 0 && mounts();
}

function mounts(): boolean {
  try {
    execFileSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], { stdio: "ignore" });
    return true;
  } catch {
    return false; // A container without the right to.
  }
}

/** Calls `body` with a fresh file system, and leaves neither it nor a diary's server behind. */
export async function withDisk<T>(
  system: FileSystem,
  body: (disk: MountedDisk) => Promise<T>,
  mebibytes: number = MEBIBYTES[system],
): Promise<T> {
  return await withDiaries(async (outer) => {
    const image = join(outer, "image");
    const folder = join(outer, "mounted");
    const mount = system === "tmpfs"
      ? ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder]
      : ["-t", system, "-o", "loop", image, folder];
    mkdirSync(folder);
    if (system !== "tmpfs") {
      writeFileSync(image, "");
      truncateSync(image, mebibytes * 1024 ** 2);
      run(`mkfs.${system}`, ["-q", image]);
    }
    run("mount", mount);
    let cuts = 0;
    try {
      return await body({
        folder,
        fill: () => fill(join(folder, "ballast")),
        makeReadOnly: () => run("mount", ["-o", "remount,ro", folder]),
        cut: () => run("python3", [POWER_CUT, folder, join(folder, `unsynced-${++cuts}`)]),
        remount(): void {
          run("umount", [folder]);
          run("mount", mount);
          const unsynced = join(folder, `unsynced-${cuts}`);
          const kept = existsSync(unsynced) ? readFileSync(unsynced, "utf8") : "";
          assert.notEqual(kept, "unsynced", "a power cut that loses nothing proves nothing");
        },
      });
    } finally {
      // Lazily: a server that a failed test has left behind must not keep it.
      run("umount", ["--lazy", folder]);
    }
  });
}

function fill(ballast: string): () => void {
  const file = openSync(ballast, "wx");
  for (let bytes = 64 * 1024; bytes > 0; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeSync(file, new Uint8Array(bytes));
    } catch {
      // So much does not fit any more: less may.
    }
  }
  closeSync(file);
  return () => rmSync(ballast);
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}
