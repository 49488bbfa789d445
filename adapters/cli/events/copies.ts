/**
 * `events backup` and `events restore`: copies of logs.
 */

import { backupLog, type Copied, restoreLog } from "../../../runtime/log/backup.ts";
import { formatCount, formatSize } from "../units.ts";
import type { EventsCommand } from "./command.ts";
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

function contentOf({ format, sequence, bytes }: Omit<Copied, "snapshot">): string {
  const what = format === "plain" ? "event" : "commit";
  return `${formatCount(sequence, what)} (${formatSize(bytes)})`;
}
