/**
 * `events convert`, `events repair` and `events squash`: what makes another log of a log. What was
 * there is always kept.
 */

import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { convertLog } from "../../../runtime/log/convert.ts";
import type { LogFormat } from "../../../runtime/log/recovery.ts";
import { repairLog, type RepairPlan } from "../../../runtime/log/repair.ts";
import { squashLog } from "../../../runtime/squash.ts";
import { clock } from "../../clock.ts";
import { StartError } from "../exit.ts";
import { loadApp } from "../load_module.ts";
import { UsageError } from "../options.ts";
import { formatCount, formatSize } from "../units.ts";
import { type EventsCommand, needed, parseOffset } from "./command.ts";
import { printResult } from "./output.ts";
import { working } from "./platform.ts";

const JSON_OPTION = { flag: "json", help: "print one line of JSON" };

/** `events convert --to FORMAT FILE [DEST]`. */
export const convert: EventsCommand = {
  name: "convert",
  positional: ["FILE", "[DEST]"],
  summary: "Makes a log in the other format of one.",
  options: [
    { flag: "to", value: "FORMAT", help: "the format of the new log: checked or plain" },
    { flag: "drop-meta", help: "to plain: lose what the runtime has noted with commits" },
    JSON_OPTION,
  ],
  about:
    `Without DEST the new log takes the place of the old one, which is kept as FILE.old-TIME. The log
must not be in use. All events are kept, in order, and nothing else: the new log has a new history, and
each event is a commit of its own in it. In the plain format there are no commits, no times, no notes.

With --json, one object: file, format, events, commits (of the old log), notesDropped, bytes, old
(where the old log is).`,
  async run(call) {
    const [path = "", dest] = call.paths;
    const to = needed(call, "to", parseFormat);
    const mayDropMeta = call.has("drop-meta");
    const done = await working(
      "Converting",
      path,
      (options) => convertLog(path, { ...options, to, dest, mayDropMeta }),
    );
    const { events, commits, metaDropped: notesDropped, bytes, old } = done;
    const lost = to === "plain" && commits !== events
      ? `; that they were ${formatCount(commits, "commit")} is not known there`
      : "";
    const dropped = notesDropped === 0 ? "" : `; ${formatCount(notesDropped, "note")} dropped`;
    const text = `"${done.path}" is ${to}: ${formatCount(events, "event")}, ${formatSize(bytes)}` +
      `${lost}${dropped}; the old log is "${old}"`;
    const facts = { events, commits, notesDropped, bytes, old };
    await printResult(call.has("json"), text, { file: done.path, format: to, ...facts });
  },
};

function parseFormat(text: string): LogFormat {
  if (text !== "checked" && text !== "plain") {
    throw new SyntaxError(`"${text}" is none of: checked, plain`);
  }
  return text;
}

/** `events repair FILE --cut-at OFFSET`. */
export const repair: EventsCommand = {
  name: "repair",
  positional: ["FILE"],
  summary: "Cuts a damaged log off, so that it can be used again without what follows.",
  options: [
    { flag: "cut-at", value: "OFFSET", help: "where: the offset that the refusal names" },
    { flag: "yes", letter: "y", help: "do not ask" },
    JSON_OPTION,
  ],
  about:
    `What is cut off is kept as FILE.cut-OFFSET-TIME. The log gets a new history: positions of before
lead nowhere, and who followed the log begins anew. If there is a backup, "events restore" may be better.

With --json, one object: file, format, sequence (the last commit that stays), lost (commits that are
known to have been behind it), bytes (that were cut off), keptAs (or null), snapshotsAside.`,
  async run(call) {
    const [path = ""] = call.paths;
    const cutAt = needed(call, "cut-at", parseOffset);
    const confirm = call.has("yes") ? () => true : (plan: RepairPlan) => ask(path, cutAt, plan);
    const done = await working(
      "Repairing",
      path,
      (options) => repairLog(path, { ...options, cutAt, confirm }),
    );
    if (done === undefined) throw new StartError("not cut: nothing was changed");
    const { keptAs = null, ...facts } = done;
    const kept = keptAs === null ? "" : `; ${formatSize(done.bytes)} are now in "${keptAs}"`;
    const text = `"${path}" ends with ${whatOf(done)} ${done.sequence} now${kept}`;
    await printResult(call.has("json"), text, { file: path, ...facts, keptAs });
  },
};

function whatOf({ format }: RepairPlan): string {
  return format === "plain" ? "event" : "commit";
}

/** Asks on the terminal. */
async function ask(path: string, cutAt: number, plan: RepairPlan): Promise<boolean> {
  const { sequence, lost, bytes } = plan;
  const what = whatOf(plan);
  const price = lost === 0
    ? "no commit is known to be in them"
    : `${formatCount(lost, what)} (${sequence + 1} to ${sequence + lost}) would be given up`;
  const question = `Cut "${path}" at offset ${cutAt}, after ${what} ${sequence}? ` +
    `${formatSize(bytes)} follow; ${price}. [y/N] `;
  if (!process.stdin.isTTY) {
    throw new UsageError(`${question.replace(/ \[.*/, "")} Nobody can be asked here; say --yes`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Whoever closes the terminal instead has not said yes.
    const closed = once(terminal, "close").then(() => "");
    return /^y(es)?$/i.test((await Promise.race([terminal.question(question), closed])).trim());
  } finally {
    terminal.close();
  }
}

/** `events squash FILE --app APP`. */
export const squash: EventsCommand = {
  name: "squash",
  positional: ["FILE"],
  summary: "Gives up a log's history: makes a new one of the events that make the same model.",
  options: [
    { flag: "app", value: "APP", help: "the module of the application, which has eventsFrom" },
    JSON_OPTION,
  ],
  about:
    `The log must not be in use. It is replayed, and the new log is made of eventsFrom(model), each
event a commit; that is replayed as well, and must give an equal model. Times, and what the runtime has
noted with commits, are not in it. The old log, with all of its
history, is kept as FILE.old-TIME with its mark and its snapshots: if that history may go, or must (to
delete what somebody asked you to delete), delete these files, and the backups that have it.

With --json, one object: file, format, events (of the new log), bytes, sequenceBefore, bytesBefore (of
the old log), old (where that is).`,
  async run(call) {
    const [path = ""] = call.paths;
    const app = await loadApp(needed(call, "app", (text) => text), "squash with");
    const done = await working(
      "Squashing",
      path,
      (options) => squashLog(app, path, { ...options, clock }),
    );
    const { sequenceBefore, bytesBefore, events, bytes, old, format } = done;
    const what = format === "plain" ? "event" : "commit";
    const text =
      `"${path}" has ${formatCount(events, "event")} (${formatSize(bytes)}) now, which make ` +
      `the same model as its ${formatCount(sequenceBefore, what)} (${
        formatSize(bytesBefore)
      }) did; ` +
      `these are kept as "${old}": delete that, if they may go or must`;
    await printResult(call.has("json"), text, { file: path, ...done });
  },
};
