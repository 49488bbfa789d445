/** The machine and the programs that numbers come from: without them they mean nothing. */

import { execFileSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import type { Client } from "./load/run.ts";
import { type Runtime, versionOf } from "./runtimes.ts";

/** Types of file systems by the numbers that statfs(2) has for them. */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x01021994, "tmpfs, so syncs cost nothing"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x794c7630, "overlay"],
]);

/** Lines that say what the benches run on. `folder` is where the logs are. */
export function describeMachine(
  runtimes: readonly Runtime[],
  client: Client,
  folder: string,
): string[] {
  const { type: fileSystem } = statfsSync(folder);
  return [
    `machine: ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? "unknown"}), ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, logs on ` +
    (FILE_SYSTEMS.get(fileSystem) ?? `file system 0x${fileSystem.toString(16)}`),
    `versions: ${runtimes.map((runtime) => `${runtime} ${versionOf(runtime)}`).join(", ")}; ` +
    `alcedo ${commit()}`,
    client === "wrk"
      ? "client: wrk, one thread, closed loop (isolation: our own client)"
      : "client: our own, on node, closed loop",
  ];
}

function commit(): string {
  try {
    const git = ["describe", "--always", "--dirty"];
    return execFileSync("git", git, { cwd: new URL(".", import.meta.url), encoding: "utf8" })
      .trim();
  } catch {
    return "of unknown version"; // Not a clone.
  }
}
