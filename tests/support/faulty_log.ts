/**
 * A log in front of one on a real file, for servers in processes of their own: it has the faults
 * that the port allows, or breaks one of the port's promises, which a harness must find out.
 */

import { AlcedoError } from "../../runtime/errors.ts";
import type { Commit, EventLog } from "../../runtime/log/event_log.ts";

/**
 * `full and failing`: what every disk may do. The others are mistakes: `forgets` says of some
 * commits that they are durable and does not keep them; `repeats` keeps some of them twice;
 * `overlooks` the newest commit at the start, and shows it at the next.
 */
export type LogMode = "full and failing" | "forgets" | "repeats" | "overlooks";

const MODES: readonly string[] = [
  "full and failing",
  "forgets",
  "repeats",
  "overlooks",
] satisfies LogMode[];

/** Of appends, as `full and failing`. Most failures are the end of a server's work. */
const FULL = 0.02;
const FAILED = 0.003;
/** Of appends, as `forgets` and `repeats`. */
const BROKEN = 0.05;

export function isLogMode(text: string | undefined): text is LogMode {
  return text !== undefined && MODES.includes(text);
}

/** Puts `mode` in front of `inner`. */
export function faultyLog(inner: EventLog, mode: LogMode): EventLog {
  const overlooked = mode === "overlooks" && inner.durable > 0 ? 1 : 0;
  return {
    name: inner.name,
    counts: inner.counts,
    history: inner.history,
    get durable(): number {
      return inner.durable - overlooked;
    },
    get durableBytes(): number {
      return inner.durableBytes;
    },
    read: (until, after) => inner.read(until, after),
    readCommits: (after, bytesMax) => inner.readCommits(after, bytesMax),
    append: (commits) => append(inner, mode, commits),
    close: () => inner.close(),
  };
}

async function append(inner: EventLog, mode: LogMode, commits: readonly Commit[]): Promise<void> {
  const chance = Math.random();
  switch (mode) {
    case "full and failing":
      if (chance < FULL) throw new AlcedoError("log_full", "no room, as the test wants it");
      if (chance < FULL + FAILED) {
        // Any number of them, from the first on, survives.
        const survivors = commits.slice(0, Math.floor(Math.random() * (commits.length + 1)));
        if (survivors.length > 0) await inner.append(survivors);
        throw new AlcedoError("log_failed", "the sync failed, as the test wants it");
      }
      return await inner.append(commits);
    case "forgets":
      if (chance < BROKEN) return;
      return await inner.append(commits);
    case "repeats":
      return await inner.append(chance < BROKEN ? [...commits, ...commits] : commits);
    case "overlooks":
      return await inner.append(commits);
  }
}
