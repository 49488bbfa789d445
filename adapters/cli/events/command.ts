/**
 * A command of `mod.ts events`: what it is called with, how that is read, and how it is described.
 */

import { parseArgs } from "#std/cli/parse_args";
import { UsageError } from "../options.ts";

/** An option of a command. */
export interface CommandOption {
  readonly flag: string;
  /** How its value is written; a switch has none. */
  readonly value?: string;
  /** One letter that stands for it. */
  readonly letter?: string;
  readonly help: string;
}

/** What a command was called with. */
export interface CommandCall {
  /** The positional arguments; those in brackets may be missing. */
  readonly paths: readonly string[];
  /** The value of an option, if it was given. */
  value(flag: string): string | undefined;
  /** Whether a switch was given. */
  has(flag: string): boolean;
}

/** A command. */
export interface EventsCommand {
  readonly name: string;
  /** Positional arguments, as the help shows them; those that may be missing in brackets. */
  readonly positional: readonly string[];
  /** What it does, in a line. */
  readonly summary: string;
  readonly options: readonly CommandOption[];
  /** What else there is to know: what it leaves, the fields of its JSON. */
  readonly about: string;
  /** Does it. What it throws ends the process with 1. */
  run(call: CommandCall): Promise<void>;
}

const HELP: CommandOption = { flag: "help", letter: "h", help: "print this and exit" };

/**
 * Reads the arguments of a command; `undefined` if they ask for help.
 *
 * @throws {UsageError} if they are not what the command takes.
 */
export function readCall(
  command: EventsCommand,
  args: readonly string[],
): CommandCall | undefined {
  const options = [...command.options, HELP];
  const hint = `see events ${command.name} --help`;
  const alias: Record<string, string> = {};
  for (const { flag, letter } of options) if (letter !== undefined) alias[flag] = letter;
  const found = parseArgs(args, {
    boolean: options.filter(({ value }) => value === undefined).map(({ flag }) => flag),
    string: [...options.filter(({ value }) => value !== undefined).map(({ flag }) => flag), "_"],
    alias,
    unknown(argument, key) {
      if (key !== undefined) throw new UsageError(`unknown option ${argument}; ${hint}`);
      return true;
    },
  });
  if (found["help"] === true) return undefined;
  const paths = found._.map(String);
  const missing = command.positional[paths.length];
  if (missing !== undefined && !missing.startsWith("[")) {
    throw new UsageError(`which ${missing}? write ${usageOf(command)}`);
  }
  const surplus = paths[command.positional.length];
  if (surplus !== undefined) throw new UsageError(`unknown argument "${surplus}"; ${hint}`);
  const value = (flag: string) => {
    const text = found[flag];
    if (text === "") throw new UsageError(`--${flag} needs a value; ${hint}`);
    return typeof text === "string" ? text : undefined;
  };
  for (const { flag } of options) value(flag);
  return { paths, value, has: (flag) => found[flag] === true };
}

/**
 * Reads the value of an option, if it was given.
 *
 * @throws {UsageError} if it cannot be read.
 */
export function parsed<Value>(
  call: CommandCall,
  flag: string,
  parse: (text: string) => Value,
): Value | undefined {
  const text = call.value(flag);
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`--${flag}: ${(error as Error).message}`, { cause: error });
  }
}

/** As {@linkcode parsed}, for an option that has to be given. */
export function needed<Value>(
  call: CommandCall,
  flag: string,
  parse: (text: string) => Value,
): Value {
  const value = parsed(call, flag, parse);
  if (value === undefined) throw new UsageError(`--${flag} is needed; see --help`);
  return value;
}

/** Reads a whole number from 0 on. */
export function parseOffset(text: string): number {
  const offset = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(offset)) throw new SyntaxError(`"${text}" is not a number from 0 on`);
  return offset;
}

/** How a command is called, in a line. */
export function usageOf({ name, positional, options }: EventsCommand): string {
  const flags = options.length === 0 ? [] : ["[options]"];
  return ["events", name, ...positional, ...flags].join(" ");
}

/** The help of a command. */
export function describeCommand(command: EventsCommand): string {
  const rows = [...command.options, HELP].map(({ flag, value, letter, help }) => {
    const long = value === undefined ? `--${flag}` : `--${flag} ${value}`;
    return [letter === undefined ? long : `${long}, -${letter}`, help] as const;
  });
  const about = command.about === "" ? "" : `\n\n${command.about}`;
  return `Usage: mod.ts ${usageOf(command)}\n\n${command.summary}\n\n${columns(rows)}${about}`;
}

/** Two columns, as wide as they must be. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
