/**
 * Loads what a module exports as its default: the application that a command is about.
 */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type App, faultOfApp } from "../../runtime/app.ts";
import { StartError } from "./exit.ts";

/**
 * The default export of the module at `path`, which is to be of use for what is done.
 *
 * @throws {StartError} if there is none, or `faultOf` finds something.
 */
export async function loadDefault(
  path: string,
  doing: string,
  faultOf: (value: unknown) => string | undefined,
): Promise<unknown> {
  if (!existsSync(path)) throw new StartError(`cannot ${doing} "${path}": there is no such file`);
  const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href);
  if (module.default === undefined) {
    throw new StartError(
      `cannot ${doing} "${path}": it has no default export; write "export default app" at its end`,
    );
  }
  const fault = faultOf(module.default);
  if (fault !== undefined) {
    throw new StartError(`cannot ${doing} "${path}": its default export is of no use: ${fault}`);
  }
  return module.default;
}

/** The application that the module at `path` exports. */
export async function loadApp(path: string, doing: string): Promise<App<unknown, unknown>> {
  return await loadDefault(path, doing, faultOfApp) as App<unknown, unknown>;
}
