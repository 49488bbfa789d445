/**
 * The log port: what the engine asks of a log, and what each method promises in a crash.
 *
 * A log is a sequence of commits; a commit is the events of one write, encoded. Drivers
 * are in this folder (`memory_log.ts`, `plain_log.ts`, the latter over the `disk.ts` port).
 * One engine uses a log at a time, and awaits each `append` before the next.
 */

import { uvarintLength } from "./uvarint.ts";

/** The encoded events of one write. All of them survive, or none, where the format can tell. */
export interface Commit {
  /** The events, in order. */
  readonly events: readonly Uint8Array[];
  /** The bytes of all events together, with room for the size that a log puts before each. */
  readonly bytes: number;
}

/**
 * What an answer waits for, in Redis's words. `always`: until its commit is synced, so that no
 * crash undoes it. `everysec`: until it is written; a sync follows within a second or two, and a
 * loss of power may undo that much. `no`: until it is written; when it reaches the disk is the
 * system's decision. With the last two a crash of the process alone loses nothing.
 */
export type Durability = "always" | "everysec" | "no";

/** What a loss of power may undo although it was acknowledged; `undefined` if nothing. */
export function mayLose(durability: Durability): string | undefined {
  switch (durability) {
    case "always":
      return undefined;
    case "everysec":
      return "a loss of power may undo the writes of the last two seconds";
    case "no":
      return "a loss of power may undo all writes that the system has not yet brought to the disk";
  }
}

/** A commit as it is read back (in a log that counts events: one event). */
export interface StoredCommit {
  /** Its number in the log, from 1. */
  readonly sequence: number;
  /** When it was written, in milliseconds since 1970, if the format knows. */
  readonly time: number | undefined;
  /** What the runtime noted with it: JSON in UTF-8, or no bytes. */
  readonly meta: Uint8Array;
  /** The events, in order. */
  readonly events: readonly Uint8Array[];
}

/** What a snapshot shows. */
export interface SnapshotPlace {
  /** The newest sequence that it shows. */
  readonly sequence: number;
  /** When it was made, in milliseconds since 1970. */
  readonly time: number;
}

/** A stored model: what a replay can begin with instead of the first model. */
export interface Snapshot extends SnapshotPlace {
  /** The model, as the application's model codec encoded it. */
  readonly model: Uint8Array;
}

/** What an event adds to {@linkcode Commit.bytes}: itself and the size before it. */
export function sizeInCommit(event: Uint8Array): number {
  return event.length + uvarintLength(event.length);
}

/**
 * A stretch of durable events, in order, in one buffer; at least one.
 *
 * The buffer is reused: it is valid until the next batch is asked for. There is at least
 * one byte before each event and after the last, and these bytes belong to whoever reads
 * the batch: they may be overwritten.
 */
export interface EventBatch {
  /** The buffer with the events. */
  readonly bytes: Uint8Array;
  /** Event `i` is `bytes` from `bounds[2 * i]` to `bounds[2 * i + 1]`. */
  readonly bounds: Uint32Array;
  /** How many events there are. */
  readonly count: number;
  /** The sequence of the first event's commit. */
  readonly firstSequence: number;
  /** Event `i` belongs to the commit with the sequence `firstSequence + commitOf[i]`. */
  readonly commitOf: Uint32Array;
  /** Where `bytes[0]` stands in the log, in bytes; for messages and progress. */
  readonly offset: number;
}

/** A log of events. */
export interface EventLog {
  /** Names the log in messages: the path of a file. */
  readonly name: string;
  /** What a sequence counts. Sequences begin at 1; 0 is before the first. */
  readonly counts: "commits" | "events";
  /** The first part of every position of this log: random, opaque. */
  readonly history: string;
  /** The sequence of the newest durable commit (or event, see `counts`); 0 if empty. */
  readonly durable: number;
  /** The bytes of the log that are durable. */
  readonly durableBytes: number;
  /**
   * When the newest durable commit was written, in milliseconds since 1970, if the format knows:
   * the `time` of all commits of the last append.
   */
  readonly durableTime?: number | undefined;
  /**
   * What "durable" means here.
   * @default {"always"}
   */
  readonly durability?: Durability;
  /**
   * Why nothing can be appended to it, now and until it is opened again: it was opened to be
   * read, or has failed.
   */
  readonly readOnly?: string | undefined;
  /**
   * Reads the durable events behind sequence `after`, up to and including sequence `until`,
   * in batches of about 1 MiB. It may run beside appends.
   *
   * @throws {AlcedoError} `log_unreadable` if the log's bytes are not what was written.
   */
  read(until: number, after?: number): AsyncIterable<EventBatch>;
  /**
   * Reads the durable commits that follow sequence `after`: at least one, unless `after` is
   * the newest, and no more than fit into about `bytesMax`. What it returns is not used again.
   *
   * @throws {AlcedoError} `log_unreadable` if the log's bytes are not what was written.
   */
  readCommits(after: number, bytesMax: number): Promise<readonly StoredCommit[]>;
  /**
   * The newest snapshot of a model of this version that fits the log. What is damaged or does
   * not fit is passed over, with a warning. A log that has not got this is always replayed.
   */
  snapshot?(modelVersion: string): Snapshot | undefined;
  /** What that snapshot shows, without the model being read. */
  newestSnapshot?(modelVersion: string): SnapshotPlace | undefined;

  /**
   * Appends commits: at least one, and no more than `FLUSH_BYTES_MAX` bytes of them unless
   * it is one alone. When it resolves, all of them are durable, as `durability` means it. If
   * the process dies before, any number of them, from the first on, may survive.
   *
   * @throws {AlcedoError} `log_full` if there was no room: none of these commits is in the
   * log or ever will be, and a later append may succeed. `log_failed`, and any other error:
   * what survives is unknown until the log is opened again, and nothing can be appended.
   */
  append(commits: readonly Commit[]): Promise<void>;

  /**
   * After `log_full`: whether `bytes` more would fit now, as far as can be told without
   * touching the log. A log that has not got this is simply tried.
   */
  hasRoom?(bytes: number): Promise<boolean>;

  /** Lets go of the log. What is durable stays durable. Calling it again does nothing. */
  close(): Promise<void>;
}
