/**
 * An event of a log that could not be decoded or applied: where it is, what is in it, and what
 * can be done about it. Who meets such events is `replay.ts`.
 */

import { AlcedoError, messageOf } from "./errors.ts";
import type { EventBatch, EventLog } from "./log/event_log.ts";

/** Bytes of an event that are shown: enough for its kind and its first members. */
const EXCERPT_BYTES = 64;

/** Of the events that were left out, so many are named, and so much is said of each. */
const NAMED_MAX = 3;
const WHY_CHARACTERS_MAX = 200;

/** An event that could not be decoded or applied. */
export interface BadEvent {
  readonly doing: "decode" | "apply";
  readonly log: EventLog;
  /** The sequence of its commit (in a log that counts events: its own). */
  readonly sequence: number;
  /** Which event of the commit it is, from 1 on. */
  readonly number: number;
  /** Where its first byte stands in the log. */
  readonly offset: number;
  readonly size: number;
  /** Its first bytes. */
  readonly excerpt: string;
  readonly cause: unknown;
}

/** Notes event `i` of a batch, of whose commit `eventsBefore` events came in batches before. */
export function badEventOf(
  log: EventLog,
  batch: EventBatch,
  i: number,
  found: Pick<BadEvent, "doing" | "cause"> & { readonly eventsBefore: number },
): BadEvent {
  const { bytes, bounds, commitOf, firstSequence } = batch;
  const from = bounds[2 * i] ?? 0;
  const to = bounds[2 * i + 1] ?? 0;
  const commit = commitOf[i] ?? 0;
  const { doing, cause } = found;
  return {
    doing,
    log,
    sequence: firstSequence + commit,
    // A commit's events stand together.
    number: found.eventsBefore + i - commitOf.indexOf(commit) + 1,
    offset: batch.offset + from,
    size: to - from,
    excerpt: excerptOf(bytes.subarray(from, to)),
    cause,
  };
}

/** The first bytes in hex, and as text, in which a dot stands for all that is not ASCII. */
export function excerptOf(bytes: Uint8Array): string {
  if (bytes.length === 0) return "nothing";
  const shown = [...bytes.subarray(0, EXCERPT_BYTES)];
  const hex = shown.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = shown.map((byte) => byte < 0x20 || byte > 0x7e ? "." : String.fromCharCode(byte));
  const more = bytes.length > shown.length ? "…" : "";
  return `${hex}${more && ` ${more}`}  |${text.join("")}|${more}`;
}

/** The error that stops a start: where the event is, what is in it, and what to do next. */
export function badEventError(bad: BadEvent): AlcedoError {
  const { doing, log, offset, size, excerpt, cause } = bad;
  const toMend = doing === "decode" ? "the codec" : "updateModel or the codec";
  const leftOut = log.counts === "events" ? "it" : "its whole commit";
  return new AlcedoError(
    "bad_event",
    `Cannot ${doing} ${nameOf(bad)} of log "${log.name}" (${size} bytes, at offset ${offset}): ` +
      `${
        messageOf(cause)
      }; its bytes are ${excerpt}; mend ${toMend} so that it takes this event, ` +
      `or start with --on-bad-event skip, which leaves ${leftOut} out`,
    { cause },
  );
}

/** One warning for all that was left out: `count`, of which `first` are the first. */
export function skippedWarning(log: EventLog, count: number, first: readonly BadEvent[]): string {
  const named = first.slice(0, NAMED_MAX).map((bad) => {
    const why = messageOf(bad.cause);
    const cut = why.length > WHY_CHARACTERS_MAX ? `${why.slice(0, WHY_CHARACTERS_MAX)}…` : why;
    return `${nameOf(bad)} (at offset ${bad.offset}: ${cut})`;
  });
  if (count > named.length) named.push(`and ${count - named.length} more`);
  const unit = log.counts === "events" ? "event" : "commit";
  const [those, whose, they] = count === 1
    ? [`1 ${unit} of log "${log.name}" was`, unit === "event" ? "it" : "an event of it", "It stays"]
    : [
      `${count} ${unit}s of log "${log.name}" were`,
      unit === "event" ? "they" : "an event of each",
      "They stay",
    ];
  return `${those} left out of the model, because ${whose} could not be decoded or applied: ` +
    `${named.join(", ")}. ${they} in the log: mend updateModel or the codec, and start again.`;
}

/** How many of the bad events are worth to be kept for {@linkcode skippedWarning}. */
export const BAD_EVENTS_KEPT: number = NAMED_MAX;

function nameOf({ log, sequence, number }: BadEvent): string {
  return log.counts === "events" ? `event ${sequence}` : `event ${number} of commit ${sequence}`;
}
