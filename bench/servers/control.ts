/**
 * The line between a server and the bench that started it: the server says where it listens,
 * answers each line with a report, and ends when its standard input does, however the bench
 * ended.
 */

import process from "node:process";
import { createInterface } from "node:readline";

/** What a server is to serve; its first argument, as JSON. */
export interface ServerPlan {
  /** Entries in the model. */
  readonly entries: number;
  readonly style: "pure" | "in place";
  /** The file for the log, or the database, which is created. */
  readonly eventsFile: string;
  readonly format: "checked" | "plain";
  /** Whether requests and syncs are counted, as with `--admin-addr`. */
  readonly hasMetrics: boolean;
  /** Whether a database in the process has its file for itself. */
  readonly isExclusive: boolean;
  /** Where the database listens that it uses, if that is a server itself. */
  readonly databaseSocket: string;
  /** The program that a pool's worker is. */
  readonly worker: readonly string[];
}

/** What a server says of itself. */
export interface ServerReport {
  /** Processor time, in microseconds, of all its threads. */
  readonly cpuUs: number;
  /** Writes that were handled; of Alcedo: events that are durable. */
  readonly writes: number;
  /** Appends to the log. */
  readonly flushes: number;
  /** Bytes in the log; 0 for a server that has none of ours. */
  readonly logBytes: number;
}

/** The plan that this process was started with. */
export function readPlan(): ServerPlan {
  return JSON.parse(process.argv[2] ?? "{}") as ServerPlan;
}

/** Says where the server listens, and then reports as often as it is asked. */
export function reportWhenAsked(
  port: number,
  report: () => Omit<ServerReport, "cpuUs">,
): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", () => {
    const { user, system } = process.cpuUsage();
    console.log(JSON.stringify({ cpuUs: user + system, ...report() }));
  });
  lines.on("close", () => process.exit(0));
  console.log(port);
}
