/**
 * From a log to a model: at the start, and when an in-place model must be built again.
 *
 * An event that cannot be decoded or applied ends it, or is left out with its whole commit. The
 * model that is kept has never been touched by such an event: it comes from a pass over the log
 * that met none. Which commits are left out is in `skipped_commits.ts`.
 */

import type { App } from "./app.ts";
import { type Codec, json } from "./codec.ts";
import { AlcedoError, messageOf } from "./errors.ts";
import { REPLAY_PASSES_MAX } from "./limits.ts";
import type { EventBatch, EventLog } from "./log/event_log.ts";
import { callUpdate, type Style, styleAfter } from "./models.ts";
import { lastSequence, SkippedCommits } from "./skipped_commits.ts";
import { startingModel } from "./starting_model.ts";

/** What becomes of an event that cannot be decoded or applied. */
export type OnBadEvent = "stop" | "skip";

/** Options of {@linkcode replay}. */
export interface ReplayOptions {
  /**
   * Called after each batch, with how much of the log has been read. What it returns is waited for:
   * a replay does not let the event loop turn by itself.
   */
  onProgress?: (progress: ReplayProgress) => void | Promise<void>;
  /** Called with what the application's author should know. */
  warn: (message: string) => void;
  /**
   * Whether an event that cannot be decoded or applied ends the replay, or is left out: with its
   * whole commit, where the log counts commits.
   * @default {"stop"}
   */
  onBadEvent?: OnBadEvent;
  /** The sequences that a replay before left out, and that this one leaves out, too. */
  skipped?: ReadonlySet<number>;
}

/** How far a replay has come. */
export interface ReplayProgress {
  /** Events that were applied. */
  readonly events: number;
  /** Bytes of the log that were read. */
  readonly bytes: number;
  /** Bytes of the log that there are to read. */
  readonly bytesTotal: number;
}

/** What a replay ends with. */
export interface Replayed<Model> {
  readonly model: Model;
  readonly style: Style;
  /** The sequences that were left out. */
  readonly skipped: ReadonlySet<number>;
}

/**
 * Applies the events of `log` up to sequence `until` to a first model, in batches.
 *
 * A batch that throws is applied again in smaller parts, from a model that it did not touch, so
 * that the error names the event.
 *
 * In place, each event that `updateModel` throws on costs a pass over the log before it, because
 * what it did to the model cannot be undone; in pure style all of them together cost one pass.
 *
 * @throws {AlcedoError} `bad_event` if an event cannot be decoded or applied, and is not to be
 * left out; or if too many would have to be.
 */
export async function replay<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  until: number,
  options: ReplayOptions,
): Promise<Replayed<Model>> {
  const run = new Replay(app, log, until, options);
  for (let passes = 0; passes < REPLAY_PASSES_MAX; passes++) {
    const done = await run.pass();
    if (done === undefined) continue;
    run.warn();
    return { model: done.model, style: run.style, skipped: run.skipped.sequences };
  }
  throw new AlcedoError(
    "bad_event",
    `Cannot replay log "${log.name}": after ${REPLAY_PASSES_MAX} passes over it, and ` +
      `${run.skipped.sequences.size} bad events, there are more; mend updateModel so that it takes them, or ` +
      `returns the model as it is`,
  );
}

/** The codec of an application. */
export function codecOf<Model, Event>(app: App<Model, Event>): Codec<Event> {
  return app.codec ?? json;
}

/** The events of a batch, decoded as quickly as the codec can; `undefined` if it throws. */
export function decodeTogether<Event>(codec: Codec<Event>, batch: EventBatch): Event[] | undefined {
  try {
    if (codec.decodeBatch !== undefined) return codec.decodeBatch(batch);
    return Array.from({ length: batch.count }, (_, i) => decodeEvent(codec, batch, i));
  } catch {
    return undefined; // One of the events is at fault: singly it is found and named.
  }
}

/** Decodes event `i` of a batch. */
export function decodeEvent<Event>(codec: Codec<Event>, batch: EventBatch, i: number): Event {
  return codec.decode(batch.bytes.subarray(batch.bounds[2 * i], batch.bounds[2 * i + 1]));
}

/** A model that events were applied to; `undefined` if it was spoiled: begin again. */
type Applied<Model> = { readonly model: Model } | undefined;

/** The events of a commit that are in a batch, from `from` on, before `to`. */
interface Part {
  readonly sequence: number;
  readonly from: number;
  readonly to: number;
}

/** Events that `updateModel` threw on together. */
interface Doubt {
  readonly first: number;
  readonly last: number;
  readonly cause: unknown;
}

/** The passes of one replay, and what they have found out. */
class Replay<Model, Event> {
  style: Style = "unknown";
  readonly skipped: SkippedCommits;
  readonly #app: App<Model, Event>;
  readonly #codec: Codec<Event>;
  readonly #log: EventLog;
  readonly #until: number;
  readonly #options: ReplayOptions;
  #isFirst = true;
  /** In place, events from this sequence on are applied one by one. */
  #singlyFrom = Infinity;
  /** The first batch that threw, unless a bad event explains it. */
  #doubt: Doubt | undefined;
  /** How many more of them there are, as far as this pass has come. */
  #moreDoubts = 0;
  /** Whether `updateModel` has thrown in this pass, and was taken for pure. */
  #hasThrown = false;

  constructor(app: App<Model, Event>, log: EventLog, until: number, options: ReplayOptions) {
    const { onBadEvent, skipped = new Set() } = options;
    this.skipped = new SkippedCommits(log, onBadEvent === "skip", skipped);
    this.#app = app;
    this.#codec = codecOf(app);
    this.#log = log;
    this.#until = until;
    this.#options = options;
  }

  /** Goes over the log; `undefined` if that must be done again with what is known now. */
  async pass(): Promise<Applied<Model>> {
    const log = this.#log;
    const skipped = this.skipped;
    const { suspects } = skipped;
    const { model: first, sequence } = startingModel(this.#app, log, {
      until: this.#until,
      skipped: skipped.sequences,
      // Once is enough.
      warn: this.#isFirst ? this.#options.warn : () => {},
    });
    this.#isFirst = false;
    let model = first;
    let done = 0;
    skipped.begin(sequence);
    this.#hasThrown = false;
    this.#moreDoubts = 0;
    // What a pass before found in place stays true: from there on, events are applied singly.
    if (this.#singlyFrom === Infinity || this.#isExplained()) this.#doubt = undefined;
    for await (const batch of log.read(this.#until, sequence)) {
      const after = this.#applyBatch(model, batch);
      if (after === undefined) return undefined;
      if (this.style === "in place" && (this.#hasThrown || skipped.suspects > 0)) {
        // It is not what it was taken for: what threw may have spoiled the model for others.
        skipped.acquit();
        return undefined;
      }
      model = after.model;
      done += batch.count;
      skipped.passOver(batch);
      const pause = this.#options.onProgress?.({
        events: done,
        bytes: batch.offset + (batch.bounds[2 * batch.count - 1] ?? 0),
        bytesTotal: log.durableBytes,
      });
      if (pause !== undefined) await pause;
    }
    return skipped.suspects > suspects ? undefined : { model };
  }

  /** Says what the application's author should know, after the last pass. */
  warn(): void {
    const { warn } = this.#options;
    const { warning } = this.skipped;
    if (warning !== undefined) warn(warning);
    const doubt = this.#doubt;
    if (doubt === undefined || this.#isExplained()) return;
    const more = this.#moreDoubts > 0 ? `, and on ${this.#moreDoubts} more batches` : "";
    warn(
      `updateModel threw on ${this.#log.counts} ${doubt.first} to ${doubt.last} of ` +
        `"${this.#log.name}" as a batch (${messageOf(doubt.cause)})${more}, though not on parts ` +
        `of it: it must treat both alike.`,
    );
  }

  #applyBatch(model: Model, batch: EventBatch): Applied<Model> {
    const isWhole = !this.skipped.hasAny(batch.firstSequence, lastSequence(batch));
    const together = isWhole ? decodeTogether(this.#codec, batch) : undefined;
    let cause: unknown;
    if (together !== undefined && this.#mayApplyTogether(batch)) {
      try {
        return { model: this.#update(model, together) };
      } catch (error) {
        if (this.style !== "pure") return this.#applySinglyFrom(batch, error);
        this.#hasThrown = true;
        cause = error;
      }
    }
    const before = this.skipped.sequences.size;
    const events = together ?? this.#decodeSingly(batch);
    const after = events && this.#applyParts(model, events, this.#partsOf(batch), batch);
    if (cause !== undefined && this.skipped.sequences.size === before) {
      if (this.#doubt === undefined) this.#doubt = doubtOf(batch, cause);
      else this.#moreDoubts++;
    }
    return after;
  }

  /** Decodes events singly, but for those that are left out; `undefined`: begin again. */
  #decodeSingly(batch: EventBatch): Event[] | undefined {
    const { firstSequence, commitOf, count } = batch;
    const events: Event[] = [];
    for (let i = 0; i < count; i++) {
      const sequence = firstSequence + (commitOf[i] ?? 0);
      if (this.skipped.has(sequence)) continue;
      try {
        events[i] = decodeEvent(this.#codec, batch, i);
      } catch (cause) {
        this.skipped.add(batch, i, { doing: "decode", cause, isSuspect: false });
        // The model has nothing of this commit, unless that was in a batch before.
        if (this.skipped.hasBegunBefore(sequence)) return undefined;
      }
    }
    return events;
  }

  /** What is to be applied of each commit in the batch. */
  #partsOf(batch: EventBatch): Part[] {
    const { firstSequence, commitOf, count } = batch;
    const parts: Part[] = [];
    for (let from = 0, to = 0; from < count; from = to) {
      while (to < count && commitOf[to] === commitOf[from]) to++;
      const sequence = firstSequence + (commitOf[from] ?? 0);
      if (!this.skipped.has(sequence)) parts.push({ sequence, from, to });
    }
    return parts;
  }

  /** Applies commits: together if it may, else, or if that throws, in halves or one by one. */
  #applyParts(
    model: Model,
    events: readonly Event[],
    parts: readonly Part[],
    batch: EventBatch,
  ): Applied<Model> {
    if (parts.length > 1 && this.#mayApplyTogether(batch)) {
      try {
        return { model: this.#update(model, parts.flatMap((part) => slice(events, part))) };
      } catch (cause) {
        if (this.style !== "pure") return this.#applySinglyFrom(batch, cause);
        this.#hasThrown = true;
      }
      const middle = parts.length >> 1;
      const half = this.#applyParts(model, events, parts.slice(0, middle), batch);
      return half && this.#applyParts(half.model, events, parts.slice(middle), batch);
    }
    let after: Applied<Model> = { model };
    for (const part of parts) {
      after = this.#applyCommit(after.model, events, part, batch);
      if (after === undefined) return undefined;
    }
    return after;
  }

  /** Applies a commit event by event, or, if that throws, leaves it out. */
  #applyCommit(
    model: Model,
    events: readonly Event[],
    { sequence, from, to }: Part,
    batch: EventBatch,
  ): Applied<Model> {
    let after = model;
    for (let i = from; i < to; i++) {
      try {
        after = this.#update(after, events.slice(i, i + 1));
      } catch (cause) {
        const isSuspect = this.style === "pure";
        this.skipped.add(batch, i, { doing: "apply", cause, isSuspect });
        if (!isSuspect || this.skipped.hasBegunBefore(sequence)) return undefined;
        this.#hasThrown = true;
        return { model };
      }
    }
    return { model: after };
  }

  #update(model: Model, events: readonly Event[]): Model {
    const after = callUpdate(this.#app, model, events);
    this.style = styleAfter(this.style, model, after);
    return after;
  }

  /** Whether a batch may be applied as one, because no one like it has thrown in place. */
  #mayApplyTogether(batch: EventBatch): boolean {
    return this.style === "pure" || lastSequence(batch) < this.#singlyFrom;
  }

  /** The model is spoiled: the next pass is to apply the events from here on one by one. */
  #applySinglyFrom(batch: EventBatch, cause: unknown): undefined {
    this.#singlyFrom = batch.firstSequence;
    this.#doubt = doubtOf(batch, cause);
  }

  /** Whether the batch in doubt has an event that is bad by itself. */
  #isExplained(): boolean {
    return this.#doubt !== undefined && this.skipped.hasAny(this.#doubt.first, this.#doubt.last);
  }
}

function doubtOf(batch: EventBatch, cause: unknown): Doubt {
  return { first: batch.firstSequence, last: lastSequence(batch), cause };
}

function slice<Event>(events: readonly Event[], { from, to }: Part): readonly Event[] {
  return events.slice(from, to);
}
