/**
 * A log without a disk: for tests, and for applications whose state may be lost. It keeps
 * every promise of the port but the one about crashes.
 */

import type { Commit, EventBatch, EventLog, StoredCommit } from "./event_log.ts";
import { newHistory } from "./position.ts";

/** How many commits a batch of a memory log has. */
const COMMITS_PER_BATCH = 1024;

/**
 * Makes an empty log in memory. It outlives the engine that uses it: open another engine
 * on it to see what a restart would find.
 *
 * @example
 * ```ts
 * const log = memoryLog();
 * const engine = await openEngine(app, { log });
 * ```
 */
export function memoryLog(): EventLog {
  const commits: StoredCommit[] = [];
  let durableBytes = 0;
  return {
    name: "memory",
    counts: "commits",
    history: newHistory(),
    get durable(): number {
      return commits.length;
    },
    get durableBytes(): number {
      return durableBytes;
    },
    async *read(until: number, after: number = 0): AsyncIterable<EventBatch> {
      for (let from = after; from < until; from += COMMITS_PER_BATCH) {
        const batch = batchOf(commits.slice(from, Math.min(until, from + COMMITS_PER_BATCH)));
        if (batch.count > 0) yield batch;
      }
    },
    readCommits(after: number, bytesMax: number): Promise<readonly StoredCommit[]> {
      let end = after;
      for (let bytes = 0; bytes < bytesMax && end < commits.length; end++) {
        for (const event of commits[end]?.events ?? []) bytes += event.length;
      }
      return Promise.resolve(commits.slice(after, end));
    },
    append(appended: readonly Commit[]): Promise<void> {
      for (const { events, bytes } of appended) {
        commits.push({
          sequence: commits.length + 1,
          time: undefined,
          meta: NO_META,
          events: events.map((event) => event.slice()),
        });
        durableBytes += bytes;
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

const NO_META = new Uint8Array(0);

function batchOf(commits: readonly StoredCommit[]): EventBatch {
  const events = commits.flatMap((commit) => commit.events);
  const size = events.reduce((sum, event) => sum + event.length + 1, 1);
  const bytes = new Uint8Array(size);
  const bounds = new Uint32Array(events.length * 2);
  let at = 1;
  for (const [i, event] of events.entries()) {
    bytes.set(event, at);
    bounds[2 * i] = at;
    bounds[2 * i + 1] = at + event.length;
    at += event.length + 1;
  }
  return {
    bytes,
    bounds,
    count: events.length,
    firstSequence: commits[0]?.sequence ?? 0,
    commitOf: Uint32Array.from(commits.flatMap(({ events }, i) => events.map(() => i))),
    offset: 0,
  };
}
