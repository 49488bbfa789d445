/**
 * The engine with the platform's clock and standard error: the public `openEngine`.
 */

import type { App } from "../runtime/app.ts";
import {
  type Engine,
  type EngineOptions as RuntimeOptions,
  openEngine as open,
} from "../runtime/engine.ts";
import { clock } from "./clock.ts";
import { printError, printWarning } from "./print.ts";

/** What this file uses of Bun. */
declare const Bun: { readonly gc?: (isSync: boolean) => void };

/** Bytes of log that are replayed between two collections: with twice as many it takes 25 MB more. */
const GARBAGE_BYTES = 16 * 1024 * 1024;

/** Options of {@linkcode openEngine}: what the platform can give may be left out. */
export type EngineOptions =
  & Omit<RuntimeOptions, "clock" | "report" | "warn">
  & Partial<Pick<RuntimeOptions, "clock" | "report" | "warn">>;

/**
 * Opens an application on a log, without a socket: replays the log's events, and is then
 * ready for `fetch`, `read` and `write`.
 *
 * @throws {TypeError} if `app` is no application.
 * @throws {AlcedoError} `bad_event` if an event of the log can no longer be applied.
 *
 * @example
 * ```ts
 * await using engine = await openEngine(app, { log: memoryLog() });
 * const response = await engine.fetch(new Request("http://localhost/"));
 * ```
 */
export function openEngine<Model, Event>(
  app: App<Model, Event>,
  options: EngineOptions,
): Promise<Engine<Model, Event>> {
  return open(app, {
    clock,
    report: printError,
    warn: printWarning,
    ...options,
    ...collectGarbage(options.onProgress),
  });
}

/**
 * Bun lets the garbage of a replay pile up: 130 MB above a model of 240 MB. Told to collect now
 * and then, in the background, it stays below 10, and is no slower. The others need no telling.
 */
function collectGarbage(
  onProgress: EngineOptions["onProgress"],
): Pick<RuntimeOptions, "onProgress"> {
  const collect = "Bun" in globalThis ? Bun.gc : undefined;
  if (typeof collect !== "function") return onProgress === undefined ? {} : { onProgress };
  let next = GARBAGE_BYTES;
  return {
    onProgress(progress) {
      if (progress.bytes >= next) {
        next = progress.bytes + GARBAGE_BYTES;
        collect(false);
      }
      return onProgress?.(progress);
    },
  };
}
