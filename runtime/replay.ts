/**
 * From a log to a model: at the start, and when an in-place model must be built again.
 */

import type { App } from "./app.ts";
import { type Codec, json } from "./codec.ts";
import { AlcedoError } from "./errors.ts";
import type { EventBatch, EventLog } from "./log/event_log.ts";
import { uvarintLength } from "./log/uvarint.ts";
import { callUpdate, type Style, styleAfter } from "./models.ts";

/** Options of {@linkcode replay}. */
export interface ReplayOptions {
  /** Called after each batch, with how much of the log has been read. */
  onProgress?: (progress: ReplayProgress) => void;
  /** Called with what the application's author should know. */
  warn: (message: string) => void;
}

/** How far a replay has come. */
export interface ReplayProgress {
  readonly events: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

/** What a replay ends with. */
export interface Replayed<Model> {
  readonly model: Model;
  readonly style: Style;
}

/**
 * Applies the events of `log` up to sequence `until` to a first model, in batches.
 *
 * A batch that throws is applied again, event by event, from a model that it did not touch,
 * so that the error names the event.
 *
 * @throws {AlcedoError} `bad_event` if an event cannot be decoded or applied.
 */
export async function replay<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  until: number,
  options: ReplayOptions,
): Promise<Replayed<Model>> {
  let model = app.initModel();
  let style: Style = "unknown";
  let done = 0;
  for await (const batch of log.read(until)) {
    const events = decodeBatch(app, log, batch, done);
    try {
      const after = callUpdate(app, model, events);
      style = styleAfter(style, model, after);
      model = after;
    } catch (cause) {
      const untouched = style === "pure" ? model : await modelBefore(app, log, until, done);
      model = applySingly(app, log, untouched, events, { batch, done });
      options.warn(
        `updateModel threw on events ${done + 1} to ${done + batch.count} of "${log.name}" as a ` +
          `batch (${messageOf(cause)}), though on none of them alone: it must treat both alike.`,
      );
    }
    done += batch.count;
    options.onProgress?.({
      events: done,
      bytes: batch.offset + (batch.bounds[2 * batch.count - 1] ?? 0),
      bytesTotal: log.durableBytes,
    });
  }
  return { model, style };
}

/** The codec of an application. */
export function codecOf<Model, Event>(app: App<Model, Event>): Codec<Event> {
  return app.codec ?? json;
}

function decodeBatch<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  batch: EventBatch,
  done: number,
): Event[] {
  const codec = codecOf(app);
  if (codec.decodeBatch !== undefined) {
    try {
      return codec.decodeBatch(batch);
    } catch {
      // One of the events is at fault: below it is found and named.
    }
  }
  const { bytes, bounds, count } = batch;
  const events: Event[] = [];
  for (let i = 0; i < count; i++) {
    try {
      events.push(codec.decode(bytes.subarray(bounds[2 * i], bounds[2 * i + 1])));
    } catch (cause) {
      throw badEvent("decode", log, { batch, done }, i, cause);
    }
  }
  return events;
}

/** Where a batch stands: `done` events came before it. */
interface Place {
  readonly batch: EventBatch;
  readonly done: number;
}

function applySingly<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  model: Model,
  events: readonly Event[],
  place: Place,
): Model {
  for (const [i, event] of events.entries()) {
    try {
      model = callUpdate(app, model, [event]);
    } catch (cause) {
      throw badEvent("apply", log, place, i, cause);
    }
  }
  return model;
}

/** The model after the first `done` events, made anew: another copy was changed by half. */
async function modelBefore<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  until: number,
  done: number,
): Promise<Model> {
  let model = app.initModel();
  let at = 0;
  for await (const batch of log.read(until)) {
    if (at >= done) break;
    // Two reads need not cut the log at the same places.
    const events = decodeBatch(app, log, batch, at).slice(0, done - at);
    // Singly: a batch before may have thrown as one, too.
    model = applySingly(app, log, model, events, { batch, done: at });
    at += batch.count;
  }
  return model;
}

function badEvent(
  doing: string,
  log: EventLog,
  { batch, done }: Place,
  i: number,
  cause: unknown,
): AlcedoError {
  const start = batch.bounds[2 * i] ?? 0;
  const size = (batch.bounds[2 * i + 1] ?? 0) - start;
  const offset = batch.offset + start - uvarintLength(size);
  return new AlcedoError(
    "bad_event",
    `Cannot ${doing} event ${done + i + 1} of log "${log.name}" (${size} bytes, at offset ` +
      `${offset}): ${messageOf(cause)}; mend updateModel or the codec so that it takes this event`,
    { cause },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
