/**
 * The diary's log without a server: made, and recovered and read, by the product's own code on
 * real files, in a moment.
 */

import { copyFileSync, rmSync } from "node:fs";
import { openFileLog } from "../../adapters/file_log.ts";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";

/** An entry as the diary's codec writes it. */
export function eventOf(entry: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(entry));
}

/** Appends each entry as a commit and a flush of its own. */
export async function appendEntries(log: EventLog, entries: readonly string[]): Promise<void> {
  for (const entry of entries) {
    const event = eventOf(entry);
    await log.append([{ events: [event], bytes: sizeInCommit(event) }]);
  }
}

/** How a log is made by {@linkcode makeDiary}. */
export interface MakeOptions {
  format: LogFormat;
  /** Leaves it as a crash does, instead of closing it. */
  isCrashed?: boolean;
}

/** Makes a log with these entries, and its mark. */
export async function makeDiary(
  file: string,
  entries: readonly string[],
  { format, isCrashed = false }: MakeOptions,
): Promise<void> {
  const made = isCrashed ? `${file}-made` : file;
  const log = await openFileLog(made, { format });
  try {
    await appendEntries(log, entries);
    if (!isCrashed) return;
    copyFileSync(made, file);
    copyFileSync(`${made}.mark`, `${file}.mark`);
  } finally {
    await log.close();
    if (isCrashed) {
      for (const name of ["", ".mark", ".lock"]) rmSync(`${made}${name}`, { force: true });
    }
  }
}

/** Recovers a log as every start does, reads its entries, and closes it. */
export async function recoverDiary(
  file: string,
  warn: (message: string) => void = () => {},
): Promise<string[]> {
  const log = await openFileLog(file, { warn });
  try {
    const entries: string[] = [];
    for await (const { bytes, bounds, count } of log.read(log.durable)) {
      for (let i = 0; i < count; i++) {
        const event = bytes.subarray(bounds[2 * i], bounds[2 * i + 1]);
        entries.push(JSON.parse(new TextDecoder().decode(event)));
      }
    }
    return entries;
  } finally {
    await log.close();
  }
}
