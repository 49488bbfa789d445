/**
 * A log that counts what is read of it, commit by commit, and fails to read when the test says so.
 */

import type { EventLog } from "../../runtime/log/event_log.ts";

export interface CountingLog {
  readonly log: EventLog;
  readonly counts: { calls: number; commits: number };
  /** Thrown by reads that would come to this commit. */
  damage: { sequence: number; error: unknown } | undefined;
}

/** Counts the reads of `inner`. */
export function countingLog(inner: EventLog): CountingLog {
  const counts = { calls: 0, commits: 0 };
  const counting: CountingLog = {
    counts,
    damage: undefined,
    log: {
      name: inner.name,
      counts: inner.counts,
      history: inner.history,
      get durable(): number {
        return inner.durable;
      },
      get durableBytes(): number {
        return inner.durableBytes;
      },
      get durableTime(): number | undefined {
        return inner.durableTime;
      },
      read: (until, after) => inner.read(until, after),
      async readCommits(after, bytesMax) {
        const commits = await inner.readCommits(after, bytesMax);
        counts.calls++;
        counts.commits += commits.length;
        const { damage } = counting;
        if (commits.some(({ sequence }) => sequence === damage?.sequence)) throw damage?.error;
        return commits;
      },
      append: (commits) => inner.append(commits),
      close: () => inner.close(),
    },
  };
  return counting;
}
