/**
 * `mod.ts events COMMAND …`: looks into logs, checks, copies and changes them.
 */

import process from "node:process";
import { UsageError } from "../options.ts";
import { StartError } from "../exit.ts";
import { convert, repair, squash } from "./change.ts";
import { columns, describeCommand, type EventsCommand, readCall, usageOf } from "./command.ts";
import { backup, restore, snapshot } from "./copies.ts";
import { stat, verify } from "./look.ts";
import { NobodyReads } from "./output.ts";
import { show, tail } from "./show.ts";

/** All of them, in the order of the help. */
export const COMMANDS: readonly EventsCommand[] = [
  show,
  tail,
  stat,
  verify,
  backup,
  restore,
  convert,
  repair,
  squash,
  snapshot,
];

function help(): string {
  const rows = COMMANDS.map((command) =>
    [usageOf(command).replace("events ", ""), command.summary] as const
  );
  return `Usage: mod.ts events COMMAND FILE [options]

Looks into the log of an application, checks, copies and changes it. What is printed goes to standard
output, all else to standard error. It ends with 1 if something is wrong with the log, with 2 if it was
called in a wrong way.

${columns(rows)}

"events COMMAND --help" says more.`;
}

/**
 * Runs a command with its arguments.
 *
 * @throws {UsageError} if it was called in a wrong way.
 * @throws {StartError} or an AlcedoError, if it cannot be done.
 */
export async function runEvents(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === "--help" || name === "-h") return console.log(help());
  const command = COMMANDS.find((command) => command.name === name);
  if (command === undefined) {
    const names = COMMANDS.map(({ name }) => name).join(", ");
    throw new UsageError(
      name === undefined
        ? `which command? ${names}; see events --help`
        : `unknown command "${name}": it is none of ${names}; see events --help`,
    );
  }
  const call = readCall(command, rest);
  if (call === undefined) return console.log(describeCommand(command));
  try {
    await command.run(call);
  } catch (error) {
    if (error instanceof NobodyReads) process.exit(0);
    throw explained(error, name ?? "", call.paths);
  }
}

/** An error of the platform, in a line: its own words name the file. */
function explained(error: unknown, name: string, paths: readonly string[]): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (!(error instanceof Error) || typeof code !== "string" || !/^E[A-Z]+$/.test(code)) {
    return error;
  }
  return new StartError(`cannot ${name} "${paths.join('" "')}": ${error.message}`, {
    cause: error,
  });
}
