/**
 * The model that a replay begins with: the one of a snapshot, or the application's first.
 */

import type { App } from "./app.ts";
import { messageOf } from "./errors.ts";
import type { EventLog } from "./log/event_log.ts";
import { modelCodec } from "./model_codec.ts";

/** What a replay begins with. */
export interface StartingModel<Model> {
  /** Nobody else has it: it may be changed in place. */
  readonly model: Model;
  /** The newest sequence that the model shows. */
  readonly sequence: number;
}

/** Options of {@linkcode startingModel}. */
export interface StartingModelOptions {
  /** How far the replay goes: a snapshot of more is of no use. */
  readonly until: number;
  /** The sequences that the model must be without. */
  readonly skipped: ReadonlySet<number>;
  readonly warn: (message: string) => void;
}

/**
 * The model to begin a replay of `log` with, made anew at each call. A snapshot that cannot be
 * decoded is passed over with a warning.
 */
export function startingModel<Model, Event>(
  app: App<Model, Event>,
  log: EventLog,
  { until, skipped, warn }: StartingModelOptions,
): StartingModel<Model> {
  const { modelVersion, modelCodec: codec = modelCodec } = app;
  const snapshot = modelVersion === undefined ? undefined : log.snapshot?.(modelVersion);
  if (snapshot !== undefined && snapshot.sequence <= until) {
    const { model, sequence } = snapshot;
    const isWithout = [...skipped].every((skip) => skip > sequence);
    try {
      if (isWithout) return { model: codec.decode(model), sequence };
    } catch (error) {
      warn(
        `The snapshot of "${log.name}" after ${sequence} ${log.counts} is passed over, and all ` +
          `of the log is replayed: ${messageOf(error)}`,
      );
    }
  }
  return { model: app.initModel(), sequence: 0 };
}
