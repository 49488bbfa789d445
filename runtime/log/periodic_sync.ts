/**
 * Syncs a file about once a second, in the background, for those who would rather lose a second
 * than wait for the disk (`everysec`, in Redis's words).
 *
 * What was written longer ago than that is being synced: when a sync takes so long that this is
 * not true, writes wait for it, as they do in Redis.
 */

import type { Clock } from "../clock.ts";
import type { DiskFile } from "./disk.ts";

/** Milliseconds from the first write that is not synced to the sync. */
const PERIOD_MS = 1000;

/** What a sync has made durable. */
export interface Synced {
  /** The file is durable up to here, and so are the commits up to `sequence`. */
  readonly end: number;
  readonly sequence: number;
  /** How many commits were not before. */
  readonly commits: number;
}

/** What is told of syncs. */
export interface SyncEvents {
  /** A sync has succeeded, and taken `ms` milliseconds. */
  onSynced(synced: Synced, ms: number): void;
  onFailed(error: unknown): void;
}

/** Syncs a file while it is written. */
export class PeriodicSync {
  readonly #file: DiskFile;
  readonly #clock: Clock;
  readonly #events: SyncEvents;
  #end = 0;
  #sequence = 0;
  #commits = 0;
  #isDirty = false;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #startedAt = 0;
  #isStopped = false;

  constructor(file: DiskFile, clock: Clock, events: SyncEvents) {
    this.#file = file;
    this.#clock = clock;
    this.#events = events;
  }

  /**
   * The file was written up to `end`, with so many more commits. What it returns is to be awaited
   * before the next write.
   */
  written(end: number, sequence: number, commits: number): Promise<void> | undefined {
    this.#end = end;
    this.#sequence = sequence;
    this.#commits += commits;
    this.#isDirty = true;
    this.#schedule();
    const isSlow = this.#clock.now() - this.#startedAt > PERIOD_MS;
    return isSlow ? this.#running : undefined;
  }

  /** Stops it, and waits for a sync that runs. What is not synced is left to its owner. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#running;
  }

  #schedule(): void {
    if (this.#cancel !== undefined || this.#running !== undefined || this.#isStopped) return;
    this.#cancel = this.#clock.after(PERIOD_MS, () => {
      this.#cancel = undefined;
      this.#running = this.#sync();
    });
  }

  async #sync(): Promise<void> {
    const synced = { end: this.#end, sequence: this.#sequence, commits: this.#commits };
    this.#commits = 0;
    this.#isDirty = false;
    this.#startedAt = this.#clock.now();
    try {
      await this.#file.sync();
      this.#events.onSynced(synced, this.#clock.now() - this.#startedAt);
    } catch (error) {
      this.#isStopped = true;
      this.#events.onFailed(error);
    }
    this.#running = undefined;
    if (this.#isDirty) this.#schedule();
  }
}
