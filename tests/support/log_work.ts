/**
 * The work on whole logs that `log_lives.ts` does between two lives of a writer: for each what the
 * log holds when it is done, and what else it may hold when it was stopped.
 */

import assert from "node:assert/strict";
import { decodeVarint } from "#std/encoding/varint";
import type { App } from "../../runtime/app.ts";
import { bytes } from "../../runtime/codec.ts";
import { backupLog, restoreLog } from "../../runtime/log/backup.ts";
import { convertLog } from "../../runtime/log/convert.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { repairLog } from "../../runtime/log/repair.ts";
import { makeSnapshot } from "../../runtime/make_snapshot.ts";
import { squashLog, type SquashOptions } from "../../runtime/squash.ts";
import { judge } from "./checked_format.ts";

/** Work, and where in the log, as a part of it. */
export interface Work {
  readonly kind: "convert" | "repair" | "backup" | "restore" | "squash" | "snapshot";
  readonly where: number;
}

export const WORKS: readonly Work["kind"][] = [
  "convert",
  "repair",
  "backup",
  "restore",
  "squash",
  "snapshot",
];

/** What a log holds. */
export interface Contents {
  readonly format: LogFormat;
  /** All commits (or events) that may be in it, in order, as texts. */
  readonly written: readonly string[];
  /** How many of them must be there now, and how many after a loss of power. */
  readonly present: number;
  readonly durable: number;
}

/** Work that can be done. */
export interface PlannedWork {
  run(): Promise<unknown>;
  /** What the log holds when it is done; `undefined` if it is not touched. */
  readonly done?: Contents;
  /** What it may hold if it is stopped, if it is not the old log. */
  readonly stopped?: Contents;
}

/** Where it is done. */
export interface WorkPlace {
  readonly path: string;
  /** The path of a copy that is to be made. */
  readonly copy: string;
  readonly log: Uint8Array;
  readonly now: Contents;
  readonly backup: { readonly path: string; readonly contents: Contents } | undefined;
  readonly options: SquashOptions;
}

/** Plans work; `undefined` if there is nothing to do. */
export function planWork({ kind, where }: Work, place: WorkPlace): PlannedWork | undefined {
  const { path, copy, log, now, backup, options } = place;
  switch (kind) {
    case "backup":
      return { run: () => backupLog(path, copy, options) };
    case "snapshot":
      return { run: () => makeSnapshot(LISTING, path, options) };
    case "restore": {
      if (backup === undefined) return undefined;
      const { contents } = backup;
      const run = () => restoreLog(backup.path, path, { ...options, isReplacing: true });
      return { run, done: contents, stopped: contents };
    }
    case "convert": {
      const to = now.format === "plain" ? "checked" : "plain";
      const done = { ...eachEvent(now), format: to } as const;
      return { run: () => convertLog(path, { ...options, to }), done, stopped: done };
    }
    case "squash": {
      const done = eachEvent(now);
      return { run: () => squashLog(LISTING, path, options), done, stopped: done };
    }
    case "repair": {
      const ends = now.format === "plain" ? endsInPlain(log) : endsInChecked(log);
      const end = ends[Math.floor(where * ends.length)];
      if (end === undefined) return undefined;
      const { offset: cutAt, count } = end;
      const written = now.written.slice(0, count);
      const run = () => repairLog(path, { ...options, cutAt });
      return {
        run,
        done: { ...now, written, present: written.length, durable: written.length },
        // Where it is refused, it is cut where that says, which is not before.
        stopped: { ...now, present: written.length, durable: written.length },
      };
    }
  }
}

/** Each event a commit of its own, all of them durable. */
function eachEvent({ format, written, present }: Contents): Contents {
  const all = written.flatMap(eventsIn);
  const count = written.slice(0, present).flatMap(eventsIn).length;
  return { format, written: all, present: count, durable: count };
}

/** Where a log can be cut, and how many commits (or events) are before that. */
interface End {
  readonly offset: number;
  readonly count: number;
}

function endsInChecked(log: Uint8Array): End[] {
  const { frames } = judge(log, undefined);
  return frames.slice(1).map(({ to, sequence, commits }) => ({
    offset: to,
    count: sequence + commits.length - 1,
  }));
}

function endsInPlain(log: Uint8Array): End[] {
  const ends: End[] = [];
  for (let at = 0; at < log.length;) {
    const [size, from] = varint(log, at);
    at = from + size;
    if (at <= log.length) ends.push({ offset: at, count: ends.length + 1 });
  }
  return ends;
}

function varint(bytes: Uint8Array, at: number): [value: number, end: number] {
  try {
    const [value, end] = decodeVarint(bytes, at);
    return [Number(value), end];
  } catch {
    return [Infinity, at]; // Torn.
  }
}

const decoder = new TextDecoder("latin1");

/** A commit as text that tells it from any other: its events, each in a line. */
export function textOf(events: readonly Uint8Array[]): string {
  return events.map((event) => `${event.length} ${decoder.decode(event)}`).join("\n");
}

/** The events of a commit, each as the text of a commit of its own. */
export function eventsIn(commit: string): string[] {
  return commit === "" ? [] : commit.split("\n");
}

/** Its model is the list of all events. */
export const LISTING: App<readonly string[], Uint8Array> = {
  modelVersion: "1",
  codec: bytes,
  initModel: () => [],
  updateModel: (model, events) => [...model, ...events.map((event) => textOf([event]))],
  *eventsFrom(model) {
    for (const text of model) yield eventOf(text);
  },
  handleRequest: () => assert.fail("nothing is asked"),
};

function eventOf(text: string): Uint8Array {
  const content = text.slice(text.indexOf(" ") + 1);
  return Uint8Array.from(content, (letter) => letter.charCodeAt(0));
}
