/**
 * The logs that the engine's properties run on, each with its faults, and with an answer to the
 * question which events no crash could undo now: the plain log on the simulated disk, and a slow
 * memory log.
 */

import assert from "node:assert/strict";
import { decodeVarint } from "#std/encoding/varint";
import type { Disk } from "../../runtime/log/disk.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { eventsOf, flakyLog } from "./flaky_log.ts";
import type { LedgerEvent } from "./ledger_app.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { GOOD, SimulatedDisk } from "./simulated_disk.ts";
import type { Survival } from "./simulated_file.ts";
import { LOG_PATH as PATH, openPlainLog } from "./test_log.ts";

export type FaultKind =
  | "no room"
  | "room"
  | "failing sync"
  | "failing write"
  | "failing cut"
  | "slow"
  | "fast"
  | "mended"; // nothing fails any more

/** What happens to the storage at some time of a life. */
export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  readonly amount: number;
}

/** How a life ends, if it is not at its end: at the step `atStep`. */
export interface LifeEnd {
  readonly kind: "close" | "kill" | Survival;
  readonly atStep: number;
}

export interface Storage {
  open(): Promise<EventLog>;
  readonly hasCrashed: boolean;
  /** What a crash now could leave, adversarially chosen: the events of each case. */
  survivors(): Promise<string[][]>;
  set(fault: Fault): void;
  /** Prepares for a life that ends like this. */
  begin(end: LifeEnd): void;
  /** Ends it: what is opened next is what was left. */
  end(end: LifeEnd): void;
}

/** Wrappers that break a promise on purpose. */
export interface Mutation {
  readonly disk?: (disk: Disk) => Disk;
  readonly log?: (log: EventLog) => EventLog;
}

const WORST_CASES: readonly Survival[] = ["nothing", "everything", "prefix"];

/** The plain log on a simulated disk. */
export function plainStorage(clock: SimulatedClock, seed: number, mutation: Mutation): Storage {
  let disk = new SimulatedDisk({ clock, seed });
  let timeOfDay = 0;
  let seen: { changes: number; survivors: string[][] } | undefined;
  return {
    async open() {
      seen = undefined;
      const log = await openPlainLog({
        disk: mutation.disk?.(disk) ?? disk,
        clock,
        timeOfDay: () => timeOfDay++,
      });
      return mutation.log?.(log) ?? log;
    },
    get hasCrashed() {
      return disk.hasCrashed;
    },
    survivors() {
      if (seen?.changes !== disk.changes) {
        const survivors = WORST_CASES.map((survival) =>
          idsIn(disk.contentAfterCrash(PATH, survival) ?? new Uint8Array(0))
        );
        seen = { changes: disk.changes, survivors };
      }
      return Promise.resolve(seen.survivors);
    },
    set({ kind, amount }) {
      const { faults } = disk;
      if (kind === "no room") faults.roomBytes = amount * 7;
      else if (kind === "room") faults.roomBytes = Infinity;
      else if (kind === "failing sync") faults.failingSyncs = 1;
      else if (kind === "failing write") faults.failingWrites = 1;
      else if (kind === "failing cut") faults.failingTruncates = 1;
      else if (kind === "mended") {
        Object.assign(faults, { ...GOOD, crashAtStep: faults.crashAtStep });
      } else faults.syncMsMax = kind === "slow" ? amount : 0;
    },
    begin(end) {
      // In this format, zeros are events: nothing can find a hole.
      disk.faults.failedSyncLeaves = "prefix";
      if (end.kind !== "close") disk.faults.crashAtStep = disk.steps + end.atStep;
    },
    end(end) {
      disk = end.kind === "close" || end.kind === "kill" ? disk.restart() : disk.crash(end.kind);
    },
  };
}

/** The ids of the whole events in a plain log: with another reader than the one under test. */
function idsIn(bytes: Uint8Array): string[] {
  const decoder = new TextDecoder();
  const ids: string[] = [];
  for (let at = 0; at < bytes.length;) {
    let size: bigint, from: number;
    try {
      [size, from] = decodeVarint(bytes, at);
    } catch {
      break; // Torn in a size.
    }
    const end = from + Number(size);
    if (end > bytes.length) break;
    const text = decoder.decode(bytes.subarray(from, end));
    if (!/^{.*}$/.test(text)) assert.fail(`at offset ${at}, nothing else is in the log: ${text}`);
    ids.push((JSON.parse(text) as LedgerEvent).id);
    at = end;
  }
  return ids;
}

/** A memory log, which knows no crash. */
export function memoryStorage(clock: SimulatedClock, _seed: number, mutation: Mutation): Storage {
  const { log, faults } = flakyLog(clock);
  // The log of one life may fail; the next one finds what is in it.
  return {
    open() {
      faults.nextAppends = "ok";
      return Promise.resolve(mutation.log?.(log) ?? log);
    },
    hasCrashed: false,
    async survivors() {
      return [(await eventsOf(log)).map((text) => (JSON.parse(text) as LedgerEvent).id)];
    },
    set({ kind, amount }) {
      if (kind === "slow") faults.appendMs = amount;
      else if (kind === "fast") faults.appendMs = 0;
      else if (kind === "mended") faults.nextAppends = "ok";
      else if (kind === "room") {
        if (faults.nextAppends === "full") faults.nextAppends = "ok";
      } else if (kind === "no room") {
        if (faults.nextAppends === "ok") faults.nextAppends = "full";
      } else faults.nextAppends = "failed";
    },
    begin() {},
    end() {},
  };
}
