/**
 * The commits that a replay leaves out, because an event of each is bad: which they are, whether a
 * bad event may be left out at all, and what is said of it in the end. It follows a pass from
 * batch to batch, because a commit may be in several.
 */

import {
  BAD_EVENTS_KEPT,
  type BadEvent,
  badEventError,
  badEventOf,
  skippedWarning,
} from "./bad_event.ts";
import { AlcedoError } from "./errors.ts";
import { SKIPPED_COMMITS_MAX } from "./limits.ts";
import type { EventBatch, EventLog } from "./log/event_log.ts";

/** Commits by their sequences; in a log that counts events, each event is one. */
export class SkippedCommits {
  readonly #log: EventLog;
  readonly #maySkip: boolean;
  /** Those that a replay before has left out, and all there are now. */
  readonly #before: ReadonlySet<number>;
  readonly #sequences: Set<number>;
  /** The first of the others. */
  readonly #named = new Map<number, BadEvent>();
  /** Those of them that may be none, if the model was not what it was taken for. */
  #suspects: number[] = [];
  /** The newest commit of the batches before, and how many events of it are in them. */
  #open = { sequence: 0, events: 0 };

  constructor(log: EventLog, maySkip: boolean, before: ReadonlySet<number>) {
    this.#log = log;
    this.#maySkip = maySkip;
    this.#before = before;
    this.#sequences = new Set(before);
  }

  get sequences(): ReadonlySet<number> {
    return this.#sequences;
  }

  /** How many are left out as suspects. */
  get suspects(): number {
    return this.#suspects.length;
  }

  /** Whether the commit is left out. */
  has(sequence: number): boolean {
    return this.#sequences.has(sequence);
  }

  /** Whether one of these commits, the last included, is left out. */
  hasAny(first: number, last: number): boolean {
    if (this.#sequences.size === 0) return false;
    for (let sequence = first; sequence <= last; sequence++) {
      if (this.#sequences.has(sequence)) return true;
    }
    return false;
  }

  /** A pass begins behind this sequence. */
  begin(sequence: number): void {
    this.#open = { sequence, events: 0 };
  }

  /** The pass goes on to the next batch. */
  passOver(batch: EventBatch): void {
    const { commitOf, count } = batch;
    const sequence = lastSequence(batch);
    const events = count - commitOf.indexOf(commitOf[count - 1] ?? 0);
    const before = this.hasBegunBefore(sequence) ? this.#open.events : 0;
    this.#open = { sequence, events: before + events };
  }

  /** Whether events of this commit were in batches before. */
  hasBegunBefore(sequence: number): boolean {
    return sequence === this.#open.sequence && this.#open.events > 0;
  }

  /**
   * Leaves out the commit of event `i` of the batch, because that is bad; as a suspect, if it may
   * have been made so by what another one has left behind.
   *
   * @throws {AlcedoError} `bad_event` if nothing is to be left out, or too much would be.
   */
  add(
    batch: EventBatch,
    i: number,
    found: Pick<BadEvent, "doing" | "cause"> & { readonly isSuspect: boolean },
  ): void {
    const { doing, cause } = found;
    const sequence = batch.firstSequence + (batch.commitOf[i] ?? 0);
    const eventsBefore = this.hasBegunBefore(sequence) ? this.#open.events : 0;
    const bad = badEventOf(this.#log, batch, i, { doing, cause, eventsBefore });
    if (!this.#maySkip) throw badEventError(bad);
    this.#sequences.add(sequence);
    if (found.isSuspect) this.#suspects.push(sequence);
    if (this.#named.size < BAD_EVENTS_KEPT) this.#named.set(sequence, bad);
    if (this.#sequences.size <= SKIPPED_COMMITS_MAX) return;
    throw new AlcedoError(
      "bad_event",
      `Cannot replay log "${this.#log.name}": more than ${SKIPPED_COMMITS_MAX} ` +
        `${this.#log.counts} would have to be left out; start without --on-bad-event skip to see ` +
        `the first, and make sure that this is the log of this application`,
      { cause },
    );
  }

  /** Leaves out no suspects any more. */
  acquit(): void {
    for (const sequence of this.#suspects) {
      this.#sequences.delete(sequence);
      this.#named.delete(sequence);
    }
    this.#suspects = [];
  }

  /** What is to be said of those that no replay before has left out, if there are any. */
  get warning(): string | undefined {
    const count = this.#sequences.size - this.#before.size;
    return count === 0 ? undefined : skippedWarning(this.#log, count, [...this.#named.values()]);
  }
}

/** The sequence of the last event in a batch. */
export function lastSequence({ firstSequence, commitOf, count }: EventBatch): number {
  return firstSequence + (commitOf[count - 1] ?? 0);
}
