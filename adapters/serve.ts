/**
 * The public `serve`. What it does is the command's business, and loaded when it is called.
 */

import type { App } from "../runtime/app.ts";
import type { FetchHandler, Server } from "../runtime/http/fetch_handler.ts";
import type { ServeOptions, Serving } from "./cli/serve_app.ts";

/**
 * Serves an application: opens its log, replays it, listens, and prints where. SIGINT and
 * SIGTERM stop it: what is in flight is finished, and the process ends.
 *
 * Settings come from the arguments (`--addr :8080`), from the environment
 * (`ALCEDO_ADDR=:8080`) and from `options`, in this order. If it cannot start (a wrong option,
 * a port or a log in use) it says why in one line and ends the process with 1, or 2 for wrong
 * usage.
 *
 * @example
 * ```ts
 * if (import.meta.main) await serve(app, { module: import.meta.url });
 * ```
 */
export function serve<Model, Event>(
  app: App<Model, Event>,
  options?: ServeOptions,
): Promise<Serving<Model, Event>>;
/** Serves a plain handler: no model, no log. */
export function serve(
  handler: FetchHandler | { fetch: FetchHandler },
  options?: ServeOptions,
): Promise<Server>;
export async function serve<Model, Event>(
  app: App<Model, Event> | FetchHandler | { fetch: FetchHandler },
  options: ServeOptions = {},
): Promise<Serving<Model, Event> | Server> {
  const { serveApp } = await import("./cli/serve_app.ts");
  return serveApp(app, options);
}
