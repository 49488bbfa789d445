/**
 * Tables of options: what a command takes, one entry for each option, from which arguments, environment
 * variables and the help are read.
 */

import { parseArgs } from "#std/cli/parse_args";
import { faultOfPrefix } from "../../runtime/http/static_files.ts";

/** Something on the command line, or in the environment, is not as it must be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** An option of the command line, and how it is read. */
export interface OptionSpec<Value> {
  readonly flag: string;
  /** Another flag that means the same. */
  readonly alias?: string;
  /** How its value is written; a switch has none, or `true` or `false` in the environment. */
  readonly value: string | undefined;
  readonly help: string;
  readonly fallback: string;
  readonly parse: (text: string) => Value;
}

/** The options of a command, by the names of what they set. */
export type OptionTable<Settings> = {
  readonly [K in keyof Settings]: OptionSpec<Settings[K]>;
};

/** Reads a path that begins and ends with a slash. */
export function parsePrefix(text: string): string {
  const fault = faultOfPrefix(text);
  if (fault !== undefined) throw new SyntaxError(fault);
  return text;
}

/** What a command line says. */
export interface CommandLine {
  readonly help: boolean;
  readonly version: boolean;
  readonly positional: readonly string[];
  /** The options that were given, as text, by flag. */
  readonly flags: Readonly<Record<string, string>>;
}

/**
 * Takes a command line apart.
 *
 * @throws {UsageError} if an option is unknown, or has no value.
 */
export function readOptions<Settings>(
  table: OptionTable<Settings>,
  args: readonly string[],
): CommandLine {
  const specs = specsOf(table);
  const [switches, flags] = [true, false].map((isSwitch) =>
    specs.filter(({ value }) => (value === undefined) === isSwitch).map(({ flag }) => flag)
  ) as [string[], string[]]; // Two in, two out.
  const aliases = specs.flatMap(({ flag, alias }) => alias === undefined ? [] : [[flag, alias]]);
  const found = parseArgs(args, {
    boolean: ["help", "version", ...switches],
    string: [...flags, "_"],
    alias: { help: "h", ...Object.fromEntries(aliases) },
    unknown(argument, key) {
      if (key !== undefined) throw new UsageError(`unknown option ${argument}; see --help`);
      return true;
    },
  });
  const given: Record<string, string> = {};
  for (const flag of flags) {
    const value = found[flag];
    if (typeof value !== "string") continue;
    if (value === "") throw new UsageError(`--${flag} needs a value; see --help`);
    given[flag] = value;
  }
  for (const flag of switches) if (found[flag] === true) given[flag] = "true";
  return {
    help: found["help"] === true,
    version: found["version"] === true,
    positional: found._.map(String),
    flags: given,
  };
}

/** Reads the values of options. */
export interface OptionValues<Settings> {
  /**
   * Reads `text` as the value of an option.
   *
   * @throws {UsageError} if it cannot be read; it names `origin`, where it came from.
   */
  parse<K extends keyof Settings>(name: K, origin: string, text: string): Settings[K];
  /**
   * What the command line says of an option, or else the environment.
   *
   * @throws {UsageError} if that cannot be read; it names where it came from.
   */
  given<K extends keyof Settings>(name: K): Settings[K] | undefined;
}

/** The values of the options in `table`: arguments before the environment. */
export function valuesOf<Settings>(
  table: OptionTable<Settings>,
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): OptionValues<Settings> {
  const parse = <K extends keyof Settings>(name: K, origin: string, text: string) => {
    try {
      return table[name].parse(text);
    } catch (error) {
      throw new UsageError(`${origin}: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    parse,
    given(name) {
      const { flag } = table[name];
      const variable = variableOf(flag);
      const [origin, text] = flags[flag] === undefined
        ? [variable, environment[variable]]
        : [`--${flag}`, flags[flag]];
      return text === undefined ? undefined : parse(name, origin, text);
    },
  };
}

function variableOf(flag: string): string {
  return `ALCEDO_${flag.toUpperCase().replaceAll("-", "_")}`;
}

function specsOf<Settings>(table: OptionTable<Settings>): OptionSpec<unknown>[] {
  return Object.values(table);
}

/** The lines of the help that describe the options. */
export function describeTable<Settings>(table: OptionTable<Settings>): string {
  const rows = specsOf(table).map(({ flag, value, help, fallback }) =>
    value === undefined ? [`--${flag}`, help] : [`--${flag} ${value}`, `${help} (${fallback})`]
  );
  rows.push(["--help, -h", "print this and exit"], ["--version", "print the version and exit"]);
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  return rows.map(([left = "", right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
