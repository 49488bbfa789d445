/**
 * The command: `mod.ts app.ts [options]`, `mod.ts events COMMAND …`, `mod.ts pool … -- COMMAND`,
 * `mod.ts ctl SOCKET …`, and `mod.ts create FOLDER`.
 */

import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { exitWith } from "./exit.ts";
import { loadDefault } from "./load_module.ts";
import { describeOptions, readCommandLine, resolveSettings, UsageError } from "./options.ts";
import { faultOfServable, printAndExit, type Servable, start } from "./serve_app.ts";
import { versionLine } from "./version.ts";

const HELP = `Usage: mod.ts APP [options]
       mod.ts events COMMAND FILE [options]
       mod.ts pool [options] -- COMMAND ARG…
       mod.ts ctl SOCKET [COMMAND ARG…]
       mod.ts create FOLDER

Serves the application that the module APP exports as its default; or looks into a log of events
(see events --help); or serves HTTP with programs in any language (see pool --help); or tells a
running server what to do (see ctl --help); or writes a small application to begin with.

${describeOptions()}

Every option can also come from the environment: --events-file from ALCEDO_EVENTS_FILE,
and so on. Durations are written 50ms, 60s, 2m; sizes 512KiB, 4MiB.`;

/** Runs the command with the arguments of the process. */
export async function main(): Promise<void> {
  try {
    const [first, ...rest] = process.argv.slice(2);
    if (first === "events") {
      const { runEvents } = await import("./events/main.ts");
      return await runEvents(rest);
    }
    if (first === "pool") {
      const { runPool } = await import("./pool/main.ts");
      return await runPool(rest);
    }
    if (first === "ctl") {
      const { runCtl } = await import("./ctl.ts");
      return await runCtl(rest);
    }
    if (first === "create") {
      const { runCreate } = await import("./create.ts");
      return runCreate(rest);
    }
    const line = readCommandLine(process.argv.slice(2));
    if (line.help) printAndExit(HELP);
    if (line.version) printAndExit(versionLine());
    const [path, surplus] = line.positional;
    if (path === undefined) throw new UsageError("which application? write mod.ts APP; see --help");
    if (surplus !== undefined) throw new UsageError(`unknown argument "${surplus}"; see --help`);
    const settings = resolveSettings(line.flags, process.env, {});
    const app = await loadDefault(path, "serve", faultOfServable);
    const module = pathToFileURL(resolve(path)).href;
    await start(app as Servable<unknown, unknown>, settings, { module });
  } catch (error) {
    exitWith(error);
  }
}
