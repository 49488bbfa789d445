/**
 * What `log_lives.ts` writes and looks at: commits, all files of a disk, all commits of a log.
 */

import assert from "node:assert/strict";
import { AlcedoError } from "../../runtime/errors.ts";
import { type Commit, type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { textOf } from "./log_work.ts";
import type { Random } from "./random.ts";
import type { SimulatedDisk } from "./simulated_disk.ts";

/** Puts a file there, or sees to it that none is. */
export function put(disk: SimulatedDisk, path: string, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) disk.remove(path);
  else disk.put(path, bytes);
}

/** All files but those that are still being made. */
export function filesOf(disk: SimulatedDisk): Map<string, Uint8Array | undefined> {
  const paths = disk.paths.filter((path) => !path.includes(".new-"));
  return new Map(paths.map((path) => [path, disk.contentOf(path)]));
}

/** A commit of events of these sizes, each of which repeats its name. */
export function commitOf(parts: readonly { size: number; name: string }[]): Commit {
  const events = parts.map(({ size, name }) => {
    const bytes = new TextEncoder().encode(name);
    return Uint8Array.from({ length: size }, (_, i) => bytes[i % bytes.length] ?? 0);
  });
  return { events, bytes: events.reduce((sum, event) => sum + sizeInCommit(event), 0) };
}

/** All commits of a log, in two ways that must agree. */
export async function contentOf(log: EventLog, random: Random): Promise<string[]> {
  const commits: string[] = [];
  while (commits.length < log.durable) {
    const read = await log.readCommits(commits.length, random.upTo(5000));
    assert.equal(read[0]?.sequence, commits.length + 1);
    commits.push(...read.map(({ events }) => textOf(events)));
  }
  const events: Uint8Array[][] = commits.map(() => []);
  for await (const batch of log.read(log.durable)) {
    for (let i = 0; i < batch.count; i++) {
      const at = batch.firstSequence + (batch.commitOf[i] ?? 0) - 1;
      events[at]?.push(batch.bytes.slice(batch.bounds[2 * i], batch.bounds[2 * i + 1]));
    }
  }
  assert.deepEqual(events.map(textOf), commits);
  return commits;
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof AlcedoError && error.code === code;
}
