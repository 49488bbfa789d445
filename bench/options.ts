/**
 * The options of the benches: arguments, read once, into one frozen object.
 */

import { type Args, parseArgs } from "#std/cli/parse_args";
import type { Client } from "./load/run.ts";
import { type Runtime, RUNTIMES } from "./runtimes.ts";

export const BENCHES = [
  "read",
  "write",
  "rivals",
  "log",
  "isolation",
  "replay",
  "snapshot",
  "verify",
  "changes",
  "pool",
] as const;

export type BenchName = typeof BENCHES[number];

/** The first one is the default. */
const CLIENTS: readonly Client[] = ["own", "wrk"];

/** What the text of `--help` is. */
export const HELP = `node bench/main.ts [options]

Measures Alcedo side by side with the bare servers of the runtimes, and with databases.

  --only BENCH       one of ${BENCHES.join(", ")}; may be given again
  --runtime RUNTIME  one of ${RUNTIMES.join(", ")}; may be given again
  --client CLIENT    what sends requests: "own" (default), or "wrk" where it is installed
  --seconds N        seconds of one measurement, default 2
  --rounds N         measurements of each server, default 5; medians are shown
  --small            as small as it still works: the numbers mean nothing then
  --json FILE        also write all that was measured to FILE
`;

/** How much is measured. */
export interface BenchOptions {
  readonly benches: readonly BenchName[];
  readonly runtimes: readonly Runtime[];
  /** What sends the requests, if it is there. */
  readonly client: Client;
  /** Milliseconds of one measurement, and of warming up before; 0 to do without. */
  readonly ms: number;
  readonly warmUpMs: number;
  readonly rounds: number;
  /** How many clients write at once, one number after the other. */
  readonly connections: readonly number[];
  /** Entries of the models, and events that are replayed. */
  readonly entries: number;
  readonly events: number;
  readonly json: string | undefined;
  readonly help: boolean;
}

/** The arguments, as they are written. */
interface Arguments extends Args {
  readonly help: boolean;
  readonly small: boolean;
  readonly only: readonly string[];
  readonly runtime: readonly string[];
  readonly client?: string | undefined;
  readonly seconds?: string | undefined;
  readonly rounds?: string | undefined;
  readonly json?: string | undefined;
}

/** Something on the command line is not as it must be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Reads the arguments.
 *
 * @throws {UsageError} if there is something wrong with one.
 */
export function parseOptions(args: readonly string[]): BenchOptions {
  const parsed = parseArgs([...args], {
    boolean: ["help", "small"],
    string: ["only", "runtime", "client", "seconds", "rounds", "json"],
    collect: ["only", "runtime"],
    unknown: (argument: string) => {
      throw new UsageError(`"${argument}" is no option`);
    },
  }) as Arguments;
  const { small, client } = parsed;
  return Object.freeze({
    benches: chosen("--only", parsed.only, BENCHES),
    runtimes: chosen("--runtime", parsed.runtime, RUNTIMES),
    // wrk measures whole seconds only.
    client: small
      ? "own"
      : chosen("--client", client === undefined ? [] : [client], CLIENTS)[0] ?? "own",
    ms: 1000 * number("--seconds", parsed.seconds, small ? 0.1 : 2),
    warmUpMs: small ? 0 : 1000,
    rounds: number("--rounds", parsed.rounds, small ? 1 : 5),
    connections: small ? [16] : [1, 64, 256],
    entries: small ? 10_000 : 1_000_000,
    events: small ? 50_000 : 5_000_000,
    json: parsed.json,
    help: parsed.help,
  });
}

function chosen<Name extends string>(
  flag: string,
  values: readonly string[],
  names: readonly Name[],
): readonly Name[] {
  const unknown = values.find((value) => !names.some((name) => name === value));
  if (unknown !== undefined) {
    throw new UsageError(`${flag} is "${unknown}"; choose from ${names.join(", ")}`);
  }
  return values.length === 0 ? names : names.filter((name) => values.includes(name));
}

function number(flag: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  const parsed = Number(value);
  if (!(parsed > 0)) throw new UsageError(`${flag} is "${value}", not a number above 0`);
  return parsed;
}
