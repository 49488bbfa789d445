/**
 * The logs that the engine's properties run on, each with its faults, and with an answer to the
 * question which events no crash could undo now: both formats of a log on the simulated disk, and
 * a slow memory log.
 */

import assert from "node:assert/strict";
import { decodeVarint } from "#std/encoding/varint";
import type { Disk } from "../../runtime/log/disk.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { judge, readSlots } from "./checked_format.ts";
import { eventsOf, flakyLog } from "./flaky_log.ts";
import type { LedgerEvent } from "./ledger_app.ts";
import { Random } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { GOOD, SimulatedDisk } from "./simulated_disk.ts";
import { type Survival, SURVIVALS } from "./simulated_file.ts";
import { LOG_PATH as PATH, openTestLog } from "./test_log.ts";

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
  /** Whether a commit survives whole, or not at all. */
  readonly keepsCommitsWhole: boolean;
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

/** The plain log on a simulated disk: without sums, nothing can find a hole. */
export function plainStorage(clock: SimulatedClock, seed: number, mutation: Mutation): Storage {
  const worstCases: Survival[] = ["nothing", "everything", "prefix"];
  return diskStorage({ format: "plain", worstCases, idsIn }, clock, seed, mutation);
}

/** The checked log on a simulated disk that writes back what and when it likes. */
export function checkedStorage(clock: SimulatedClock, seed: number, mutation: Mutation): Storage {
  return diskStorage(
    { format: "checked", worstCases: SURVIVALS, idsIn: idsInChecked },
    clock,
    seed,
    mutation,
  );
}

interface Format {
  readonly format: LogFormat;
  readonly worstCases: readonly Survival[];
  /** The ids of the events in a log, and its mark: with another reader than the one under test. */
  readonly idsIn: (log: Uint8Array, mark: Uint8Array | undefined) => string[];
}

function diskStorage(
  { format, worstCases, idsIn }: Format,
  clock: SimulatedClock,
  seed: number,
  mutation: Mutation,
): Storage {
  let disk = new SimulatedDisk({ clock, seed });
  let timeOfDay = 0;
  const ids = new Random(seed);
  let seen: { changes: number; survivors: string[][] } | undefined;
  return {
    keepsCommitsWhole: format === "checked",
    async open() {
      seen = undefined;
      const log = await openTestLog({
        format,
        disk: mutation.disk?.(disk) ?? disk,
        clock,
        timeOfDay: () => timeOfDay++,
        random: (bytes) => Uint8Array.from({ length: bytes }, () => ids.upTo(255)),
      });
      return mutation.log?.(log) ?? log;
    },
    get hasCrashed() {
      return disk.hasCrashed;
    },
    survivors() {
      if (seen?.changes !== disk.changes) {
        // The mark is as new as it can be: never may it say more than is left of the log.
        const mark = disk.contentAfterCrash(`${PATH}.mark`, "everything");
        const survivors = worstCases.map((survival) =>
          idsIn(disk.contentAfterCrash(PATH, survival) ?? new Uint8Array(0), mark)
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
      if (format === "plain") disk.faults.failedSyncLeaves = "prefix";
      else disk.faults.writeBackChance = 0.1;
      if (end.kind !== "close") disk.faults.crashAtStep = disk.steps + end.atStep;
    },
    end(end) {
      disk = end.kind === "close" || end.kind === "kill" ? disk.restart() : disk.crash(end.kind);
    },
  };
}

/** The ids of the whole events in a plain log. */
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

/** The ids of the whole events in a checked log, as recovery must find them. */
function idsInChecked(log: Uint8Array, mark: Uint8Array | undefined): string[] {
  const { kind, end, frames } = judge(log, readSlots(mark));
  assert.ok(kind === "whole" || kind === "cut", `no crash may lead to this: ${kind} at ${end}`);
  const decoder = new TextDecoder();
  return frames.flatMap(({ commits }) => commits.flat()).map((event) =>
    (JSON.parse(decoder.decode(event)) as LedgerEvent).id
  );
}

/** A memory log, which knows no crash. */
export function memoryStorage(clock: SimulatedClock, _seed: number, mutation: Mutation): Storage {
  const { log, faults } = flakyLog(clock);
  // The log of one life may fail; the next one finds what is in it.
  return {
    keepsCommitsWhole: true,
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
