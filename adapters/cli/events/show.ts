/**
 * `events show` and `events tail`: the commits of a log, as far as they are durable.
 */

import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { LogFollower } from "../../../runtime/log/follow_log.ts";
import { disk } from "../../files.ts";
import { printWarning } from "../../print.ts";
import { UsageError } from "../options.ts";
import { formatSize, parseCount } from "../units.ts";
import { type CommandCall, type EventsCommand, parsed, parseOffset } from "./command.ts";
import { COMMIT_FIELDS, commitAsJson, commitAsText } from "./event_text.ts";
import { Output } from "./output.ts";

/** Milliseconds between two looks at the mark: a look takes some microseconds. */
const POLL_MS = 50;

/** Commits that `tail` begins with. */
const LAST = 10;

const FROM = { flag: "from", value: "N", help: "begin with commit N (in a plain log: event N)" };
const LIMIT = { flag: "limit", value: "N", help: "print no more than N commits" };
const JSON_OPTION = { flag: "json", help: "print a line of JSON for each commit" };

/** `events show FILE`. */
export const show: EventsCommand = {
  name: "show",
  positional: ["FILE"],
  summary: "Prints the commits of a log: number, time, and each event.",
  options: [FROM, LIMIT, JSON_OPTION],
  about:
    `What is not known to be durable is not shown. The log may be in use. A damaged log is shown
up to where it is damaged. An event that is no text is printed as hexadecimal digits.

${COMMIT_FIELDS}`,
  async run(call) {
    const from = parsed(call, "from", parseCount);
    const limit = parsed(call, "limit", parseCount) ?? Infinity;
    const follower = open(call, { from });
    const output = new Output();
    try {
      const printed = await printAll(follower, output, call, limit);
      await output.flush();
      const behind = follower.dataEnd - follower.durable;
      if (behind > 0 && printed < limit) {
        printWarning(`${formatSize(behind)} behind it are not known to be durable: not shown`);
      }
    } finally {
      await output.flush();
      follower.close();
    }
  },
};

/** `events tail FILE`. */
export const tail: EventsCommand = {
  name: "tail",
  positional: ["FILE"],
  summary: "Prints the last commits of a log, and with -f those that follow.",
  options: [
    { flag: "follow", letter: "f", help: "go on with what becomes durable, until SIGINT" },
    { flag: "lines", letter: "n", value: "N", help: `begin with the last N commits (${LAST})` },
    FROM,
    JSON_OPTION,
  ],
  about: `It ends with 1 if the log is removed, cut, or replaced by another.

${COMMIT_FIELDS}`,
  async run(call) {
    const from = parsed(call, "from", parseCount);
    const lines = parsed(call, "lines", parseOffset);
    if (from !== undefined && lines !== undefined) {
      throw new UsageError("--from and --lines both say where to begin; choose one");
    }
    const follower = open(call, from === undefined ? { last: lines ?? LAST } : { from });
    const output = new Output();
    const stop = new AbortController();
    const onSignal = () => stop.abort();
    process.once("SIGINT", onSignal);
    process.once("SIGTERM", onSignal);
    try {
      await printAll(follower, output, call);
      while (call.has("follow") && !stop.signal.aborted) {
        await output.flush();
        await setTimeout(POLL_MS, undefined, { signal: stop.signal }).catch(() => {});
        if (!stop.signal.aborted && follower.refresh()) await printAll(follower, output, call);
      }
    } finally {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      await output.flush();
      follower.close();
    }
  },
};

function open(call: CommandCall, where: { from?: number | undefined; last?: number }): LogFollower {
  const [path = ""] = call.paths;
  return new LogFollower(path, { disk, warn: printWarning, ...where });
}

/** Prints what is durable now, `limit` commits at most; returns how many. */
async function printAll(
  follower: LogFollower,
  output: Output,
  call: CommandCall,
  limit = Infinity,
): Promise<number> {
  const format = call.has("json") ? commitAsJson : commitAsText;
  let printed = 0;
  while (printed < limit) {
    const commit = follower.next();
    if (commit === undefined) break;
    const writing = output.print(format(commit));
    if (writing !== undefined) await writing;
    printed++;
  }
  return printed;
}
