/**
 * The command: `mod.ts app.ts [options]`.
 */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { exitWith, StartError } from "./exit.ts";
import { describeOptions, readCommandLine, resolveSettings, UsageError } from "./options.ts";
import { faultOfServable, printAndExit, type Servable, start } from "./serve_app.ts";
import { versionLine } from "./version.ts";

const HELP = `Usage: mod.ts APP [options]

Serves the application that the module APP exports as its default.

${describeOptions()}

Every option can also come from the environment: --events-file from ALCEDO_EVENTS_FILE,
and so on. Durations are written 50ms, 60s, 2m; sizes 512KiB, 4MiB.`;

/** Runs the command with the arguments of the process. */
export async function main(): Promise<void> {
  try {
    const line = readCommandLine(process.argv.slice(2));
    if (line.help) printAndExit(HELP);
    if (line.version) printAndExit(versionLine());
    const [path, surplus] = line.positional;
    if (path === undefined) throw new UsageError("which application? write mod.ts APP; see --help");
    if (surplus !== undefined) throw new UsageError(`unknown argument "${surplus}"; see --help`);
    const settings = resolveSettings(line.flags, process.env, {});
    await start(await loadServable(path), settings);
  } catch (error) {
    exitWith(error);
  }
}

/** Loads what the module at `path` exports as its default. */
async function loadServable(path: string): Promise<Servable<unknown, unknown>> {
  if (!existsSync(path)) throw new StartError(`cannot serve "${path}": there is no such file`);
  const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href);
  if (module.default === undefined) {
    throw new StartError(
      `cannot serve "${path}": it has no default export; write "export default app" at its end`,
    );
  }
  const fault = faultOfServable(module.default);
  if (fault !== undefined) {
    throw new StartError(`cannot serve "${path}": its default export is of no use: ${fault}`);
  }
  return module.default as Servable<unknown, unknown>;
}
