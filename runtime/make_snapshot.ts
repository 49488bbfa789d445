/**
 * Makes a snapshot of an application's log, beside whoever writes the log: nothing is locked, and
 * nothing read that is not durable. It takes memory for two models at most, and as long as a start;
 * so a server has it done by another process.
 */

import type { App } from "./app.ts";
import type { Clock } from "./clock.ts";
import { AlcedoError } from "./errors.ts";
import type { Disk } from "./log/disk.ts";
import { crcBefore } from "./log/find_snapshot.ts";
import { refused } from "./log/hold_log.ts";
import { openLogReader } from "./log/open_log_reader.ts";
import { writeSnapshot } from "./log/snapshot_file.ts";
import { modelCodec } from "./model_codec.ts";
import { replay, type ReplayProgress } from "./replay.ts";

/** Options of {@linkcode makeSnapshot}. */
export interface MakeSnapshotOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** The time of day, in milliseconds since 1970. */
  readonly timeOfDay: () => number;
  /** So many random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  /** Called with what the owner of the log should know. */
  readonly warn: (message: string) => void;
  /**
   * Replays all of the log, instead of beginning with the snapshot before: what can be made this
   * way is a log that is whole.
   * @default {false}
   */
  readonly isFromScratch?: boolean;
  /** Called while the log is replayed. */
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined;
}

/** A snapshot that was made. */
export interface MadeSnapshot {
  readonly path: string;
  /** The newest commit (or event) that it shows. */
  readonly sequence: number;
  /** Bytes of the log that it shows. */
  readonly logBytes: number;
  /** Bytes of the model. */
  readonly bytes: number;
}

/**
 * Makes a snapshot of the model after the newest durable commit of the log at `path`.
 *
 * @throws {AlcedoError} `bad_application` if it has no `modelVersion`; `log_refused` if the log has no
 * commit, or was replaced meanwhile; `log_unreadable`, `bad_event`, `log_full`.
 * @throws {TypeError} if the model cannot be encoded.
 */
export async function makeSnapshot<Model, Event>(
  app: App<Model, Event>,
  path: string,
  options: MakeSnapshotOptions,
): Promise<MadeSnapshot> {
  const { disk, timeOfDay, isFromScratch = false } = options;
  const { modelVersion, modelCodec: codec = modelCodec } = app;
  if (modelVersion === undefined) {
    throw new AlcedoError(
      "bad_application",
      `Cannot make snapshot of "${path}": the application has no modelVersion; write it down, ` +
        `and change it whenever updateModel would make another model`,
    );
  }
  const version = isFromScratch ? undefined : modelVersion;
  const { log, file, found } = openLogReader(path, { ...options, modelVersion: version });
  try {
    if (found.sequence === 0) throw refused("make snapshot of", path, `it has no ${log.counts}`);
    const { model } = await replay(app, log, found.sequence, {
      warn: options.warn,
      onProgress: options.onProgress ?? (() => {}),
    });
    const body = codec.encode(model);
    const fileId = found.chain?.fileId ?? 0n;
    const head = {
      fileId,
      history: log.history,
      alwaysDurable: found.alwaysDurable,
      isSealed: found.isClean,
      sequence: found.sequence,
      offset: found.end,
      crc: crcBefore({ file, fileId, path }, found.end),
      frameTime: found.chain?.time ?? 0,
      time: Math.floor(timeOfDay() * 1000),
      modelVersion,
    };
    if (disk.identityOf(path) !== file.identity) {
      throw refused("make snapshot of", path, "another log has been put in its place meanwhile");
    }
    const name = writeSnapshot(path, head, body, options);
    return { path: name, sequence: found.sequence, logBytes: found.end, bytes: body.length };
  } finally {
    await log.close();
  }
}
