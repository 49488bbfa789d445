/**
 * `events stat` and `events verify`: what a log is, and whether it is whole.
 */

import { basename } from "node:path";
import process from "node:process";
import type { App } from "../../../runtime/app.ts";
import type { AppProblem } from "../../../runtime/check_app.ts";
import { messageOf } from "../../../runtime/errors.ts";
import { markPath } from "../../../runtime/log/mark.ts";
import { openLogReader } from "../../../runtime/log/open_log_reader.ts";
import { snapshotPaths } from "../../../runtime/log/put_in_place.ts";
import { type Verified, verifyLog } from "../../../runtime/log/verify.ts";
import { verifyApp } from "../../../runtime/verify_app.ts";
import { clock } from "../../clock.ts";
import { disk } from "../../files.ts";
import { printWarning } from "../../print.ts";
import { loadApp } from "../load_module.ts";
import { formatCount, formatSize } from "../units.ts";
import { columns, type EventsCommand } from "./command.ts";
import { timeAsText } from "./event_text.ts";
import { printResult } from "./output.ts";
import { working } from "./platform.ts";

const JSON_OPTION = { flag: "json", help: "print one line of JSON" };

/** `events stat FILE`. */
export const stat: EventsCommand = {
  name: "stat",
  positional: ["FILE"],
  summary: "Says what is in a log, and what is beside it. All of it is read.",
  options: [JSON_OPTION],
  about: `With --json, one object:
  file, format      as text; the format is "checked" or "plain"
  counts            what a sequence counts: "commits", or in a plain log "events"
  sequence          the newest commit (or event)
  events, frames    how many there are
  noted             commits that the runtime has noted something with
  bytes             the size of the file
  end               where the last whole commit ends
  marked            bytes that the mark calls durable, or null
  history           the first part of positions, or null where none is kept
  firstTime,        when the first and the last commit were written (ISO 8601), or null
  lastTime
  closed            whether the log was closed well, and nothing was written since; in a plain log,
                    which has nothing to say so, always false
  beside            the names of its files: mark, snapshots, and what was put aside`,
  async run(call) {
    const [path = ""] = call.paths;
    const verified = await working("Reading", path, (options) => verifyLog(path, options));
    const { found, events, frames, withMeta: noted, marked = null } = verified;
    const { format, sequence, size: bytes, end, history = null } = found;
    const [firstTime, lastTime] = [verified.firstTime, verified.lastTime].map((time) =>
      time === undefined ? null : timeAsText(time)
    );
    const beside = filesBeside(path);
    const counts = format === "plain" ? "events" : "commits";
    const closed = found.isClean && found.end === found.size;
    const text = columns([
      ["format", format],
      ["newest", `${counts.slice(0, -1)} ${sequence.toLocaleString("en")}`],
      ["events", events.toLocaleString("en")],
      ...format === "plain" ? [] : [
        ["frames", frames.toLocaleString("en")] as const,
        ["noted", formatCount(noted, "commit")] as const,
      ],
      ["size", `${formatSize(bytes)} (${bytes} bytes, whole up to ${end})`],
      ["durable", marked === null ? "no mark" : `${marked} bytes by its mark`],
      ["history", history ?? "none is kept"],
      ...lastTime === null || firstTime === null || lastTime === undefined
        ? []
        : [["written", `${firstTime} to ${lastTime}`] as const],
      // A plain log has nothing to say so.
      ...format === "plain" ? [] : [["closed", closed ? "well" : "not, or it is in use"] as const],
      ["beside", beside.join(", ") || "nothing"],
    ]);
    await printResult(call.has("json"), text, {
      ...{ file: path, format, counts, sequence, events, frames, noted, bytes, end, marked },
      ...{ history, firstTime, lastTime, closed, beside },
    });
  },
};

/** The names of the files that belong to a log. */
function filesBeside(path: string): string[] {
  const aside = disk.list(path).filter((name) => /\.(?:cut|old|new|snapshot)-/.test(name));
  const mark = disk.identityOf(markPath(path)) === undefined ? [] : [markPath(path)];
  const names = new Set([...mark, ...snapshotPaths(path, disk), ...aside]);
  return [...names].map((name) => basename(name)).sort();
}

/** `events verify FILE`. */
export const verify: EventsCommand = {
  name: "verify",
  positional: ["FILE"],
  summary: "Looks at every byte of a log; ends with 1 if it is damaged.",
  options: [
    {
      flag: "app",
      value: "APP",
      help: "also replay it with the application in the module APP, twice, and compare",
    },
    JSON_OPTION,
  ],
  about:
    `The log may be in use: what is being written just then is not taken for damage. A plain log has
no sums: only that its sizes fit is looked at.

With --app, the models of two replays are compared, and with the newest snapshot: that finds an
updateModel that looks at a clock or at random numbers, or treats a batch otherwise than its events.

With --json, one object: file, ok; and if it is whole, format, counts, sequence, events, bytes, end,
marked as "events stat" has them; else error, the message. With --app also problems, an array of
objects with code and message, and snapshot, the newest commit of the one that was compared, or null.`,
  async run(call) {
    const [path = ""] = call.paths;
    const isJson = call.has("json");
    const appPath = call.value("app");
    // Before the log, which may take its time.
    const app = appPath === undefined ? undefined : await loadApp(appPath, "verify with");
    const start = clock.now();
    let verified: Verified;
    try {
      verified = await working("Verifying", path, (options) => verifyLog(path, options));
    } catch (error) {
      if (isJson) await printResult(true, "", { file: path, ok: false, error: messageOf(error) });
      throw error;
    }
    const seconds = (clock.now() - start) / 1000;
    const { found, events, marked = null } = verified;
    const { format, sequence, end, size: bytes } = found;
    const counts = format === "plain" ? "events" : "commits";
    const behind = found.dataEnd - end;
    if (behind > 0) {
      printWarning(
        `${behind} bytes behind ${
          counts.slice(0, -1)
        } ${sequence} were never acknowledged: a crash ` +
          `left them, or they are being written`,
      );
    }
    const replayed = app === undefined ? undefined : await replayTwice(app, path);
    const ok = (replayed?.problems.length ?? 0) === 0;
    const many = format === "plain" ? "" : `${formatCount(sequence, "commit")}, `;
    const text = `"${path}" is whole: ${format}, ${many}${formatCount(events, "event")}, ` +
      `${formatSize(end)}, in ${seconds.toFixed(1)} s (${speed(end, seconds)})` +
      (ok && replayed !== undefined ? `; ${agreement(replayed)}` : "");
    const facts = { format, counts, sequence, events, bytes, end, marked };
    await printResult(isJson, text, { file: path, ok, ...facts, ...replayed });
    for (const { message } of replayed?.problems ?? []) printWarning(message);
    if (!ok) process.exitCode = 1;
  },
};

/** What was found out about an application. */
interface ReplayedTwice {
  readonly problems: readonly AppProblem[];
  /** The sequence of the snapshot that was compared. */
  readonly snapshot: number | null;
}

function replayTwice(app: App<unknown, unknown>, path: string): Promise<ReplayedTwice> {
  return working("Replaying", path, async ({ onProgress, ...options }) => {
    const { log } = openLogReader(path, {
      ...options,
      clock,
      modelVersion: app.modelVersion,
    });
    try {
      const reported = onProgress === undefined ? {} : { onProgress };
      const { problems, snapshot = null } = await verifyApp(app, log, reported);
      return { problems, snapshot };
    } finally {
      await log.close();
    }
  });
}

function agreement({ snapshot }: ReplayedTwice): string {
  return "two replays make the same model" +
    (snapshot === null ? "" : `, and so does the snapshot of sequence ${snapshot}`);
}

function speed(bytes: number, seconds: number): string {
  return `${Math.round(bytes / 1e6 / Math.max(seconds, 1e-3))} MB/s`;
}
