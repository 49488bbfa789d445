/**
 * A memory log that is slow and fails when the test says so: the engine's promises must hold on
 * any log that keeps those of the port.
 */

import { AlcedoError } from "../../runtime/errors.ts";
import type { Commit, EventLog } from "../../runtime/log/event_log.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import type { SimulatedClock } from "./simulated_clock.ts";

/** What the log does next; a test may change it at any time. */
export interface LogFaults {
  /** Milliseconds that an append takes. */
  appendMs: number;
  /** How the next appends end. Once it has failed, they all do. */
  nextAppends: "ok" | "full" | "failed";
}

export interface FlakyLog {
  readonly log: EventLog;
  readonly faults: LogFaults;
}

/** Puts faults in front of `inner`. */
export function flakyLog(clock: SimulatedClock, inner: EventLog = memoryLog()): FlakyLog {
  const faults: LogFaults = { appendMs: 0, nextAppends: "ok" };
  const log: EventLog = {
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
    readCommits: (after, bytesMax) => inner.readCommits(after, bytesMax),
    async append(commits: readonly Commit[]): Promise<void> {
      if (faults.appendMs > 0) await clock.sleep(faults.appendMs);
      if (faults.nextAppends === "full") throw new AlcedoError("log_full", "no space left");
      if (faults.nextAppends === "failed") throw new AlcedoError("log_failed", "sync failed");
      await inner.append(commits);
    },
    close: () => inner.close(),
  };
  return { log, faults };
}

/** All events of a log, as text. */
export async function eventsOf(log: EventLog): Promise<string[]> {
  const decoder = new TextDecoder();
  const events: string[] = [];
  for await (const { bytes, bounds, count } of log.read(log.durable)) {
    for (let i = 0; i < count; i++) {
      events.push(decoder.decode(bytes.subarray(bounds[2 * i], bounds[2 * i + 1])));
    }
  }
  return events;
}
