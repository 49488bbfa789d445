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
  return open(app, { clock, report: printError, warn: printWarning, ...options });
}
