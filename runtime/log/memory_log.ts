/**
 * A log without a disk: for tests, and for applications whose state may be lost. It keeps
 * every promise of the port but the one about crashes.
 */

import type { Commit, EventBatch, EventLog } from "./event_log.ts";
import { newHistory } from "./position.ts";

/** How many events a batch of a memory log has. */
const EVENTS_PER_BATCH = 1024;

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
  const events: Uint8Array[] = [];
  /** How many events there are after each commit. */
  const ends: number[] = [];
  let durableBytes = 0;
  return {
    name: "memory",
    counts: "commits",
    history: newHistory(),
    get durable(): number {
      return ends.length;
    },
    get durableBytes(): number {
      return durableBytes;
    },
    async *read(until: number): AsyncIterable<EventBatch> {
      const end = ends[until - 1] ?? 0;
      for (let from = 0; from < end; from += EVENTS_PER_BATCH) {
        yield batchOf(events.slice(from, Math.min(end, from + EVENTS_PER_BATCH)));
      }
    },
    append(commits: readonly Commit[]): Promise<void> {
      for (const commit of commits) {
        for (const event of commit.events) events.push(event.slice());
        ends.push(events.length);
        durableBytes += commit.bytes;
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

function batchOf(events: readonly Uint8Array[]): EventBatch {
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
  return { bytes, bounds, count: events.length, offset: 0 };
}
