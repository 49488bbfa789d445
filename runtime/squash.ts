/**
 * Gives up the history of a log: makes a new one of the events that make the same model from a
 * first one. The old log is kept aside, whole: what may not be kept of it is its owner's to delete.
 */

import type { App, DeepReadonly } from "./app.ts";
import type { Clock } from "./clock.ts";
import { checkMade } from "./log/convert.ts";
import { holdLog, refused, type UpkeepOptions } from "./log/hold_log.ts";
import { NewLog } from "./log/new_log.ts";
import { openLog } from "./log/open_log.ts";
import { makeLog, putInstead } from "./log/put_in_place.ts";
import { type LogFormat, survey } from "./log/recovery.ts";
import { firstDifference } from "./model_difference.ts";
import { codecOf, replay } from "./replay.ts";

/** Options of {@linkcode squashLog}. */
export interface SquashOptions extends UpkeepOptions {
  readonly clock: Clock;
}

/** What was made of a log. */
export interface Squashed {
  readonly format: LogFormat;
  /** The newest commit (or event) of the old log. */
  readonly sequenceBefore: number;
  /** How many events the new log has, each of them a commit. */
  readonly events: number;
  /** The sizes of the old log and of the new one. */
  readonly bytesBefore: number;
  readonly bytes: number;
  /** Where the old log is now. */
  readonly old: string;
}

/**
 * Puts a log in place of the one at `path` that begins with `app.eventsFrom(model)`: it has a new
 * history and a new file id, and what the runtime had noted with commits is not in it. The new log
 * is replayed before it is put in place, and must give an equal model.
 *
 * @throws {AlcedoError} `log_refused` if the application has no `eventsFrom`, or its events do not
 * make an equal model; `bad_event` if an event cannot be applied; `log_unreadable`, `log_locked`,
 * `log_full`. Nothing was changed then.
 */
export async function squashLog<Model, Event>(
  app: App<Model, Event>,
  path: string,
  options: SquashOptions,
): Promise<Squashed> {
  const { disk, warn } = options;
  const { eventsFrom } = app;
  if (eventsFrom === undefined) {
    throw refused(
      "squash",
      path,
      "the application has no eventsFrom, which makes events of a model",
    );
  }
  const held = await holdLog(path, disk);
  try {
    const { file, mark, size } = held;
    const { format, sequence } = survey({ file, path, mark, warn });
    const model = await modelOf(app, path, options);
    return await makeLog(path, options, async (made, name) => {
      const log = new NewLog(made, name, { ...options, format, name: path });
      const codec = codecOf(app);
      let events = 0;
      for (const event of eventsFrom(model as DeepReadonly<Model>)) {
        // A codec may use its bytes again.
        log.add(codec.encode(event).slice());
        events++;
      }
      const complete = log.finish();
      checkMade(complete, events, survey({ file: made, path: name, mark: undefined, warn }));
      const difference = firstDifference(model, await modelOf(app, name, options));
      if (difference !== undefined) {
        const { path: at, left, right } = difference;
        throw refused(
          "squash",
          path,
          `the ${events} events of eventsFrom make another model than the one that they were made ` +
            `from: ${at} is ${left} in that, and ${right} in theirs; mend eventsFrom`,
        );
      }
      const old = putInstead(path, complete, options);
      const bytes = complete.end;
      return { format, sequenceBefore: sequence, events, bytesBefore: size, bytes, old };
    });
  } finally {
    held.release();
  }
}

/** Replays all of a log: a snapshot may show what the application made of it once. */
async function modelOf<Model, Event>(
  { modelVersion: _, ...app }: App<Model, Event>,
  path: string,
  options: SquashOptions,
): Promise<Model> {
  const { warn, onProgress } = options;
  const log = await openLog(path, { ...options, readOnly: true });
  try {
    const replayOptions = onProgress === undefined ? { warn } : { warn, onProgress };
    return (await replay(app, log, log.durable, replayOptions)).model;
  } finally {
    await log.close();
  }
}
