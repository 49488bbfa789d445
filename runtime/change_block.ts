/**
 * A stretch of durable commits in memory, shared by all who follow the log there: each commit is
 * decoded once, when somebody first asks for it.
 *
 * Blocks are read from the log by `change_scan.ts`, and made of what was just appended by
 * `changes.ts`.
 */

import type { Codec } from "./codec.ts";
import { AlcedoError, assert, messageOf } from "./errors.ts";
import type { EventLog } from "./log/event_log.ts";
import { formatPosition } from "./log/position.ts";
import type { OnBadEvent } from "./replay.ts";

/** A durable commit, as whoever follows the log gets it. */
export interface Change<Event> {
  /** The position after it: what to follow from when it has been dealt with. */
  readonly position: string;
  /** Its number in the log, from 1 on (in a plain log: its only event's). */
  readonly sequence: number;
  /** When it was written, in milliseconds since 1970, if the log's format knows. */
  readonly time: number | undefined;
  /**
   * Its events, as the codec decodes them; none if one of them cannot be decoded and the engine
   * was opened with `onBadEvent: "skip"`. All who follow the log share these objects: they
   * must not be changed. The model holds others.
   */
  readonly events: readonly Event[];
}

/** A commit that nobody has asked for yet. */
export interface EncodedCommit {
  readonly time: number | undefined;
  readonly events: readonly Uint8Array[];
}

/** What a block decodes with, and is counted in. */
export interface ChangeSource<Event> {
  readonly log: EventLog;
  readonly codec: Codec<Event>;
  /** What becomes of an event that cannot be decoded; as for the model. */
  readonly onBadEvent: OnBadEvent;
  /** Bytes of the blocks that consumers hold on to. */
  heldBytes: number;
}

/** Commits with sequences from `first` to `last`. */
export class ChangeBlock<Event> {
  readonly first: number;
  /** The bytes of its events, and {@linkcode COMMIT_OVERHEAD_BYTES} for each commit. */
  bytes = 0;
  /**
   * Who came to it by the scan that read it, and waits at this moment to be given a commit of
   * it: a scan goes on when there is nobody left.
   */
  riders = 0;
  #holders = 0;
  /** What was counted of it as held. */
  #heldBytes = 0;
  readonly #source: ChangeSource<Event>;
  /** Of each commit there is one of both. */
  readonly #encoded: (EncodedCommit | undefined)[] = [];
  readonly #changes: (Change<Event> | undefined)[] = [];

  constructor(source: ChangeSource<Event>, first: number) {
    this.#source = source;
    this.first = first;
  }

  /** The sequence of its last commit. */
  get last(): number {
    return this.first + this.#encoded.length - 1;
  }

  /** Whether the commit with this sequence is in it. */
  has(sequence: number): boolean {
    return sequence >= this.first && sequence <= this.last;
  }

  /** Somebody holds on to it. */
  hold(): void {
    if (this.#holders++ > 0) return;
    this.#heldBytes = this.bytes;
    this.#source.heldBytes += this.#heldBytes;
  }

  /** Somebody who held on to it does not any more. */
  letGo(): void {
    if (--this.#holders === 0) this.#source.heldBytes -= this.#heldBytes;
  }

  /** Adds the next commit. */
  add(commit: EncodedCommit): void {
    this.#encoded.push(commit);
    this.bytes += COMMIT_OVERHEAD_BYTES;
    for (const event of commit.events) this.bytes += event.length;
  }

  /**
   * The commit with this sequence.
   *
   * @throws {AlcedoError} `bad_event` if an event of it cannot be decoded.
   */
  change(sequence: number): Change<Event> {
    const i = sequence - this.first;
    const known = this.#changes[i];
    if (known !== undefined) return known;
    const encoded = this.#encoded[i];
    assert(encoded !== undefined, "a block is asked for what is in it");
    const change = decode(this.#source, sequence, encoded);
    this.#changes[i] = change;
    this.#encoded[i] = undefined;
    return change;
  }
}

/** About what the objects of a decoded commit take, beside its events. */
const COMMIT_OVERHEAD_BYTES = 128;

function decode<Event>(
  { log, codec, onBadEvent }: ChangeSource<Event>,
  sequence: number,
  { events, time }: EncodedCommit,
): Change<Event> {
  const position = formatPosition(log.history, sequence);
  const decoded: Event[] = [];
  for (const [i, bytes] of events.entries()) {
    try {
      decoded.push(codec.decode(bytes));
    } catch (cause) {
      // The model is without the commit, too.
      if (onBadEvent === "skip") return { position, sequence, time, events: [] };
      throw new AlcedoError(
        "bad_event",
        `Cannot decode event ${i + 1} of ${events.length} with sequence ${sequence} of log ` +
          `"${log.name}": ${messageOf(cause)}; mend the codec so that it takes this event`,
        { cause },
      );
    }
  }
  return { position, sequence, time, events: decoded };
}
