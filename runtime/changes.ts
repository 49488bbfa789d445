/**
 * Following the log: durable commits from any position on, in order, without gap or repeat, for
 * any number of consumers, each of which asks for the next one when it is ready.
 *
 * A consumer is a cursor and at most one block of commits, which it shares; all that they hold
 * is bounded. Commits that have just become durable come from memory, older ones from
 * `change_scan.ts`. What is handed out in one turn of the event loop is bounded, too, so that
 * many consumers do not hold up requests.
 */

import { type Change, ChangeBlock, type ChangeSource, type EncodedCommit } from "./change_block.ts";
import { type Changes, Consumer, type ConsumerHost } from "./change_consumer.ts";
import { ChangeScan } from "./change_scan.ts";
import type { Clock } from "./clock.ts";
import { Deadlines } from "./deadlines.ts";
import { AlcedoError } from "./errors.ts";
import {
  CHANGE_BLOCK_BYTES,
  CHANGE_HELD_BYTES,
  CHANGES_PER_TURN_MAX,
  CONSUMER_STALL_MS,
  LIVE_CHANGES_BYTES,
} from "./limits.ts";
import type { Commit } from "./log/event_log.ts";
import { formatPosition, parsePosition } from "./log/position.ts";

/** Options of `engine.changes`. */
export interface ChangesOptions {
  /** Ends it when it aborts, as `break` does: whoever waits is told that there is no more. */
  signal?: AbortSignal | undefined;
}

/** What a {@linkcode ChangeHub} is made of. */
export interface ChangeHubParts<Event> extends Omit<ChangeSource<Event>, "heldBytes"> {
  readonly clock: Clock;
  /** Called once with each failure to read the log. */
  readonly report: (error: unknown) => void;
}

/** All who follow a log. */
export class ChangeHub<Event> implements ConsumerHost<Event> {
  readonly #parts: ChangeHubParts<Event> & ChangeSource<Event>;
  readonly #scan: ChangeScan<Event>;
  /** Those who have begun and not ended. */
  readonly #consumers = new Set<Consumer<Event>>();
  /** Those who can be given a commit, in the order in which they get it. */
  readonly #ready: Consumer<Event>[] = [];
  #readyDone = 0;
  /** Those who wait for commits that are still to come. */
  readonly #atEnd = new Set<Consumer<Event>>();
  /** Those who were given a commit in this turn. */
  readonly #given: Consumer<Event>[] = [];
  /** Those who have the newest commit, and do not wait for another. */
  readonly #satisfied = new Set<Consumer<Event>>();
  readonly #stalls: Deadlines;
  /** The newest commits, without a gap, since somebody follows. */
  readonly #live: ChangeBlock<Event>[] = [];
  #liveBytes = 0;
  /** How many commits may still be handed out in this turn. */
  #leftInTurn = CHANGES_PER_TURN_MAX;
  #isScheduled = false;
  #isClosed = false;

  constructor(parts: ChangeHubParts<Event>) {
    this.#parts = { ...parts, heldBytes: 0 };
    this.#scan = new ChangeScan(this.#parts, parts.report, () => this.#schedule());
    this.#stalls = new Deadlines(parts.clock, CONSUMER_STALL_MS);
  }

  /**
   * Follows the log from a position on, or from its first commit.
   *
   * @throws {AlcedoError} `bad_position` if `from` is no position; `unknown_position` if it is
   * one of another history, or beyond the end.
   */
  follow(from: string | undefined, options: ChangesOptions): Changes<Event> {
    const after = from === undefined ? 0 : this.#sequenceOf(from);
    return new Consumer(this, after + 1, options.signal);
  }

  #sequenceOf(from: string): number {
    const { log } = this.#parts;
    const position = parsePosition(from);
    if (position === undefined) {
      throw new AlcedoError(
        "bad_position",
        `Cannot follow log "${log.name}" from ${JSON.stringify(from)}: it is not a position; ` +
          `take one from a change, a write or the engine's health, as it is`,
      );
    }
    const { history, sequence } = position;
    const anew = "read the model anew, and follow from the position that it shows";
    if (history !== log.history) {
      throw new AlcedoError(
        "unknown_position",
        `Cannot follow log "${log.name}" from "${from}": it is of another history, as before a ` +
          `restore, a repair or an unclean stop; ${anew}`,
      );
    }
    if (sequence > log.durable) {
      throw new AlcedoError(
        "unknown_position",
        `Cannot follow log "${log.name}" from "${from}": it is beyond the newest durable ` +
          `position, "${formatPosition(history, log.durable)}"; ${anew}`,
      );
    }
    return sequence;
  }

  /**
   * Takes commits that have just become durable: all of one append, whose newest has the
   * sequence `last`.
   */
  offer(commits: readonly Commit[], last: number): void {
    if (this.#consumers.size === 0) return;
    const { log } = this.#parts;
    const time = log.durableTime;
    const entries = log.counts === "commits"
      ? commits.map(({ events }) => ({ events, time }))
      : commits.flatMap(({ events }) => events.map((event) => ({ events: [event], time })));
    let sequence = last - entries.length + 1;
    for (const entry of entries) this.#keep(sequence++, entry);
    // Answers leave before: all of this happens at the end of the turn.
    for (const consumer of this.#atEnd) this.enqueue(consumer);
    this.#atEnd.clear();
    for (const consumer of this.#satisfied) this.#stalls.start(consumer);
    this.#satisfied.clear();
  }

  #keep(sequence: number, entry: EncodedCommit): void {
    const live = this.#live;
    if (live.at(-1)?.last !== sequence - 1) this.#dropLive();
    let block = live.at(-1);
    if (block === undefined || block.bytes >= CHANGE_BLOCK_BYTES) {
      block = new ChangeBlock(this.#parts, sequence);
      live.push(block);
    }
    this.#liveBytes -= block.bytes;
    block.add(entry);
    this.#liveBytes += block.bytes;
    while (this.#liveBytes > LIVE_CHANGES_BYTES && live.length > 1) {
      this.#liveBytes -= live.shift()?.bytes ?? 0;
    }
  }

  #dropLive(): void {
    this.#live.length = 0;
    this.#liveBytes = 0;
  }

  /** Ends all consumers; resolves when the log is not read any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    for (const consumer of this.#consumers) consumer.end();
    this.#stalls.close();
    return this.#scan.close();
  }

  join(consumer: Consumer<Event>): boolean {
    if (!this.#isClosed) this.#consumers.add(consumer);
    return !this.#isClosed;
  }

  leave(consumer: Consumer<Event>): void {
    this.#consumers.delete(consumer);
    this.#cameBack(consumer);
    this.#atEnd.delete(consumer);
    if (this.#consumers.size > 0) return;
    this.#dropLive();
    this.#scan.forget();
  }

  ask(consumer: Consumer<Event>): Change<Event> | undefined {
    this.#cameBack(consumer);
    this.#schedule();
    if (!this.#find(consumer)) {
      if (consumer.wanted > this.#parts.log.durable) this.#atEnd.add(consumer);
      else this.#scan.wait(consumer);
      return undefined;
    }
    if (this.#leftInTurn === 0 || this.#readyDone < this.#ready.length) {
      this.enqueue(consumer);
      return undefined;
    }
    return this.#give(consumer);
  }

  enqueue(consumer: Consumer<Event>): void {
    consumer.enterQueue();
    this.#ready.push(consumer);
    this.#schedule();
  }

  slow(consumer: Consumer<Event>): AlcedoError {
    const { log } = this.#parts;
    const position = formatPosition(log.history, consumer.wanted - 1);
    return new AlcedoError(
      "consumer_slow",
      `Cannot go on following log "${log.name}": nothing was asked for in ` +
        `${CONSUMER_STALL_MS / 1000} s though there is more; follow again from "${position}"`,
    );
  }

  /** Whether the wanted commit is in memory. */
  #find(consumer: Consumer<Event>): boolean {
    // A block is let go of with its last commit.
    if (consumer.hasBlock) return true;
    const { wanted } = consumer;
    const block = this.#findLive(wanted) ?? this.#scan.find(wanted);
    if (block !== undefined) consumer.hold(block);
    return block !== undefined;
  }

  #findLive(sequence: number): ChangeBlock<Event> | undefined {
    const live = this.#live;
    if (sequence < (live[0]?.first ?? Infinity)) return undefined;
    return live.findLast((block) => block.has(sequence));
  }

  #give(consumer: Consumer<Event>): Change<Event> {
    this.#leftInTurn--;
    if (!consumer.isGiven) {
      consumer.isGiven = true;
      this.#given.push(consumer);
    }
    return consumer.take();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#parts.clock.defer(() => this.#turn());
  }

  /** At the end of a turn of the event loop, all who wait get their share of the next one. */
  #turn(): void {
    this.#isScheduled = false;
    if (this.#isClosed) return;
    this.#watch();
    this.#leftInTurn = CHANGES_PER_TURN_MAX;
    if (this.#scan.turn()) this.#schedule();
    const ready = this.#ready;
    // Whoever comes back is behind those who have waited.
    while (this.#leftInTurn > 0 && this.#readyDone < ready.length) {
      this.#serve(ready[this.#readyDone++]);
    }
    // Removing from the front of an array is dear; doing so when it is half empty is not.
    if (this.#readyDone * 2 >= ready.length) {
      ready.splice(0, this.#readyDone);
      this.#readyDone = 0;
    }
    if (ready.length > 0) this.#schedule();
  }

  #serve(consumer: Consumer<Event> | undefined): void {
    if (consumer === undefined || consumer.isEnded) return;
    consumer.leaveQueue();
    if (!this.#find(consumer)) {
      // It was the newest when it became durable, and has gone by since.
      this.#scan.wait(consumer);
      this.#schedule();
      return;
    }
    try {
      consumer.settle(this.#give(consumer));
    } catch (error) {
      consumer.fail(error);
    }
  }

  /** Of those who were given a commit, watches over those who have not come back in this turn. */
  #watch(): void {
    const { durable } = this.#parts.log;
    for (const consumer of this.#given) {
      consumer.isGiven = false;
      if (consumer.isEnded || consumer.isWaiting) continue;
      if (this.#parts.heldBytes > CHANGE_HELD_BYTES) consumer.letGo();
      if (consumer.wanted <= durable) this.#stalls.start(consumer);
      else this.#satisfied.add(consumer);
    }
    this.#given.length = 0;
  }

  #cameBack(consumer: Consumer<Event>): void {
    if (consumer.expiresAt !== Infinity) {
      this.#stalls.stop(consumer);
      consumer.expiresAt = Infinity;
    } else if (this.#satisfied.size > 0) this.#satisfied.delete(consumer);
  }
}
