/**
 * `events backup`, `events restore` and `events snapshot`: what is made of a log while it stays as
 * it is, and what is made of that.
 */

import { backupLog, type Copied, restoreLog } from "../../../runtime/log/backup.ts";
import { makeSnapshot } from "../../../runtime/make_snapshot.ts";
import { clock } from "../../clock.ts";
import { loadApp } from "../load_module.ts";
import { formatCount, formatSize } from "../units.ts";
import { type EventsCommand, needed } from "./command.ts";
import { printResult } from "./output.ts";
import { working } from "./platform.ts";

const JSON_OPTION = { flag: "json", help: "print one line of JSON" };

/** `events backup FILE DEST`. */
export const backup: EventsCommand = {
  name: "backup",
  positional: ["FILE", "DEST"],
  summary: "Copies a log as far as it is durable, while it may be written, and its mark.",
  options: [JSON_OPTION],
  about:
    `There must be nothing at DEST. The copy was read and looked at before it got its name, and is
synced. It is the begin of the log, byte for byte. The newest snapshot of it is copied, too.

With --json, one object: file, format, sequence (the newest commit in it), bytes, snapshot (the newest
commit that the snapshot shows, or null).`,
  async run(call) {
    const [path = "", dest = ""] = call.paths;
    const { snapshot = null, ...copied } = await working(
      "Copying",
      path,
      (options) => backupLog(path, dest, options),
    );
    const text = `"${dest}" has ${contentOf(copied)} of "${path}"`;
    await printResult(call.has("json"), text, { file: dest, ...copied, snapshot });
  },
};

/** `events restore BACKUP FILE`. */
export const restore: EventsCommand = {
  name: "restore",
  positional: ["BACKUP", "FILE"],
  summary: "Makes a log of a backup, under a new history.",
  options: [
    { flag: "replace", help: "put the log that is there aside, as FILE.old-TIME" },
    JSON_OPTION,
  ],
  about:
    `Positions of before lead nowhere from then on: who followed the log begins anew. With --replace,
the log that was there is kept with its mark and its snapshots; it must not be in use.

With --json, one object: file, format, sequence (the newest commit in it), bytes, snapshot (the newest
commit that the backup's snapshot shows, or null), old (where the log is that was there, or null).`,
  async run(call) {
    const [source = "", path = ""] = call.paths;
    const isReplacing = call.has("replace");
    const { old = null, snapshot = null, ...restored } = await working(
      "Restoring",
      path,
      (options) => restoreLog(source, path, { ...options, isReplacing }),
    );
    const kept = old === null ? "" : `; the log that was there is now "${old}"`;
    const text = `"${path}" has ${contentOf(restored)} of "${source}"${kept}`;
    await printResult(call.has("json"), text, { file: path, ...restored, snapshot, old });
  },
};

/** `events snapshot FILE --app APP`. */
export const snapshot: EventsCommand = {
  name: "snapshot",
  positional: ["FILE"],
  summary: "Keeps the model of a log, so that the next start need not replay all of it.",
  options: [
    { flag: "app", value: "APP", help: "the module of the application, which has modelVersion" },
    { flag: "from-scratch", help: "replay all of the log, whatever snapshot there is" },
    JSON_OPTION,
  ],
  about: `The log may be in use: the model is that after its newest durable commit. It is kept as
FILE.snapshot-SEQUENCE; older ones are removed when it has been read back. With --from-scratch it is also
proven that all of the log is whole and can be replayed.

With --json, one object: file (the snapshot), sequence (the newest commit that it shows), bytes (of the
model).`,
  async run(call) {
    const [path = ""] = call.paths;
    const app = await loadApp(needed(call, "app", (text) => text), "make a snapshot with");
    const isFromScratch = call.has("from-scratch");
    const made = await working("Replaying", path, ({ onProgress, ...options }) => {
      const reported = onProgress === undefined ? {} : { onProgress };
      return makeSnapshot(app, path, { ...options, ...reported, clock, isFromScratch });
    });
    const { path: file, sequence, bytes } = made;
    const text = `"${file}" has the model after sequence ${sequence.toLocaleString("en")} ` +
      `(${formatSize(bytes)})`;
    await printResult(call.has("json"), text, { file, sequence, bytes });
  },
};

function contentOf({ format, sequence, bytes }: Omit<Copied, "snapshot">): string {
  const what = format === "plain" ? "event" : "commit";
  return `${formatCount(sequence, what)} (${formatSize(bytes)})`;
}
