/**
 * Runs a log through several lives on one simulated disk: opens it, appends, meets faults, is
 * killed or loses its power at any step, and has its files harmed in between. After each start:
 * nothing that was acknowledged is missing, nothing is there that was never written, commits are
 * whole and in order, a position never means something else; or the start is refused, which only
 * harm may bring about, and changes nothing.
 *
 * The code under test is the product's own; only the disk is replaced. Lives come from
 * `log_plans.ts`, harm is in `log_harm.ts`.
 */

import assert from "node:assert/strict";
import { AlcedoError } from "../../runtime/errors.ts";
import type { Disk } from "../../runtime/log/disk.ts";
import {
  type Commit,
  type Durability,
  type EventLog,
  sizeInCommit,
} from "../../runtime/log/event_log.ts";
import { openLog } from "../../runtime/log/open_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { judge, readSlots } from "./checked_format.ts";
import { type Harm, harm } from "./log_harm.ts";
import { Random } from "./random.ts";
import { SimulatedClock } from "./simulated_clock.ts";
import { CrashError, SimulatedDisk } from "./simulated_disk.ts";
import type { Survival } from "./simulated_file.ts";

export interface LogFault {
  /** Before which flush. */
  readonly at: number;
  readonly kind: "no room" | "room" | "write" | "sync" | "cut" | "read" | "mark" | "later";
  readonly amount: number;
}

/** One process. */
export interface LogLife {
  /** The sizes of the events of each commit of each flush. */
  readonly flushes: readonly (readonly (readonly number[])[])[];
  readonly faults: readonly LogFault[];
  /** The step of this life whose operation fails, whatever it is. */
  readonly failAtStep?: number | undefined;
  /** The step of this life at which it ends; else it is closed. */
  readonly crashAtStep?: number | undefined;
  /** What happens then: the next life finds all of it, or loses its power. */
  readonly end: "kill" | Survival;
  readonly writeBackChance?: number | undefined;
  /** What happens to the files before the next life. */
  readonly harm?: Harm | undefined;
}

export interface LogScenario {
  readonly seed: number;
  readonly format: LogFormat;
  readonly durability: Durability;
  readonly lives: readonly LogLife[];
}

/** Breaks a promise on purpose. */
export type BreakDisk = (disk: Disk) => Disk;

/** What happened in all lives. */
export interface LogCounts {
  /** Operations in each life. */
  readonly steps: number[];
  acknowledged: number;
  crashes: number;
  refused: number;
  cut: number;
}

const PATH = "db.events";
const MARK = `${PATH}.mark`;

/** Runs all lives, and one more in which all is well. */
export async function runLogLives(
  scenario: LogScenario,
  breakDisk: BreakDisk = (disk) => disk,
): Promise<LogCounts> {
  const world = new World(scenario, breakDisk);
  for (const life of scenario.lives) await world.live(life);
  await world.live(LAST_LIFE);
  return world.counts;
}

/** An event without bytes. */
const EMPTY = "0 ";

const LAST_LIFE: LogLife = { flushes: [[[5]]], faults: [], end: "nothing" };

class World {
  readonly counts: LogCounts = { steps: [], acknowledged: 0, crashes: 0, refused: 0, cut: 0 };
  readonly #scenario: LogScenario;
  readonly #breakDisk: BreakDisk;
  readonly #clock = new SimulatedClock();
  readonly #random: Random;
  #disk: SimulatedDisk;
  /** All commits (or events) that may be in the log, in order. */
  #written: string[] = [];
  /** How many of them must be there now, and how many after a loss of power. */
  #present = 0;
  #durable = 0;
  /** What each position that was told means. */
  readonly #positions = new Map<string, string>();
  #timeOfDay = 1_700_000_000_000;
  #names = 0;
  /** Whether a fault that this life asked for may explain an error. */
  #isFaulty = false;
  /** Whether the mark may say less than was acknowledged. */
  #isMarkBehind = false;
  #life: LogLife = LAST_LIFE;

  constructor(scenario: LogScenario, breakDisk: BreakDisk) {
    this.#scenario = scenario;
    this.#breakDisk = breakDisk;
    this.#random = new Random(scenario.seed);
    this.#disk = new SimulatedDisk({ clock: this.#clock, seed: scenario.seed });
  }

  async live(life: LogLife): Promise<void> {
    this.#life = life;
    this.#prepare(life);
    try {
      const log = await this.#tryToOpen();
      if (log !== undefined) {
        this.#check(await contentOf(log, this.#random), log);
        for (const [index, flush] of life.flushes.entries()) {
          this.#setFaults(index);
          await this.#append(log, flush);
        }
        await this.#close(log);
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      // Not every error has the crash itself on top. Else it is one of reading what was found.
      if (this.#disk.hasCrashed) this.counts.crashes++;
      else if (!this.#isFaulty || !String(error).includes("EIO")) throw error;
    }
    this.counts.steps.push(this.#disk.steps);
    // What a weaker durability has acknowledged, a failed sync may forget, too.
    if (this.#isFaulty) this.#present = this.#durable;
    if (life.end === "kill") this.#disk = this.#disk.restart();
    else {
      this.#disk = this.#disk.crash(life.end);
      this.#present = this.#durable;
      this.#isMarkBehind = true;
    }
    if (life.harm !== undefined) await this.#harm(life.harm);
  }

  /** In a plain log zeros at the end are events only as far as the mark says. */
  #doubtZeros(): void {
    if (this.#scenario.format === "checked") return;
    while (this.#written[this.#present - 1] === EMPTY) this.#present--;
    this.#durable = Math.min(this.#durable, this.#present);
    this.#positions.clear();
  }

  #prepare(life: LogLife): void {
    const { faults } = this.#disk;
    this.#isFaulty = life.failAtStep !== undefined;
    if (life.crashAtStep !== undefined) faults.crashAtStep = life.crashAtStep;
    if (life.failAtStep !== undefined) faults.failAtStep = life.failAtStep;
    if (this.#scenario.format === "plain") faults.failedSyncLeaves = "prefix"; // Zeros are events.
    else faults.writeBackChance = life.writeBackChance ?? 0;
  }

  /** Opens the log; `undefined` if a fault that was asked for prevents it. */
  async #tryToOpen(): Promise<EventLog | undefined> {
    try {
      return await this.#open();
    } catch (error) {
      if (this.#disk.hasCrashed || !this.#isFaulty) throw error;
      assert.ok(!isCode(error, "log_unreadable"), `a fault is no damage: ${error}`);
      return undefined;
    }
  }

  #open(): Promise<EventLog> {
    const { format, durability } = this.#scenario;
    const ids = new Random(this.#random.upTo(2 ** 31));
    return openLog(PATH, {
      disk: this.#breakDisk(this.#disk),
      clock: this.#clock,
      warn: () => {},
      timeOfDay: () => this.#timeOfDay += this.#random.upTo(3) - 1,
      random: (bytes) => Uint8Array.from({ length: bytes }, () => ids.upTo(255)),
      format,
      durability,
    });
  }

  /** Checks what is found at a start; from then on, all of it is durable. */
  #check(found: string[], log: EventLog): void {
    const { length } = found;
    assert.deepEqual(found, this.#written.slice(0, length), "only what was written, in order");
    assert.ok(
      length >= this.#present,
      `acknowledged and missing: ${this.#present - length} of ${this.#present}`,
    );
    assert.equal(log.durable, length);
    this.#written = found;
    this.#durable = this.#present = length;
    this.#isMarkBehind = false;
    this.#tell(log, 0);
    if (this.#scenario.format === "plain") return;
    const bytes = this.#disk.contentOf(PATH) ?? new Uint8Array(0);
    const { kind, frames } = judge(bytes, readSlots(this.#disk.contentOf(MARK)));
    assert.equal(kind, "whole", "another reader says the same");
    assert.deepEqual(frames.flatMap(({ commits }) => commits.map(textOf)), found);
  }

  /** These positions are known to others now. */
  #tell(log: EventLog, from: number): void {
    for (let i = from; i < this.#present; i++) {
      const position = `${log.history}.${i + 1}`;
      const commit = this.#written[i] ?? "";
      assert.equal(this.#positions.get(position) ?? commit, commit, `${position} is another`);
      this.#positions.set(position, commit);
    }
  }

  #setFaults(index: number): void {
    const { faults } = this.#disk;
    for (const { at, kind, amount } of this.#life.faults) {
      if (at !== index) continue;
      if (kind === "no room") faults.roomBytes = amount;
      else if (kind === "room") faults.roomBytes = Infinity;
      else if (kind === "later") this.#clock.block(100 * amount);
      else if (kind === "mark") {
        this.#isMarkBehind = true;
        Object.assign(faults, { failingWrites: 1, failPath: MARK });
      } else {
        this.#isFaulty = true;
        if (kind === "write") faults.failingWrites = 1;
        else if (kind === "sync") faults.failingSyncs = 1;
        else if (kind === "cut") faults.failingTruncates = 1;
        else faults.failingReads = 1;
      }
    }
  }

  async #append(log: EventLog, sizes: readonly (readonly number[])[]): Promise<void> {
    const commits = sizes.map((events) => this.#commit(events));
    const texts = commits.map(({ events }) => textOf(events));
    const before = this.#written;
    const written = log.counts === "commits"
      ? texts
      : commits.flatMap(({ events }) => events.map((event) => textOf([event])));
    // Until it is known: any number of them, from the first on.
    this.#written = [...before, ...written];
    try {
      await log.append(commits);
    } catch (error) {
      if (error instanceof CrashError || this.#disk.hasCrashed) throw error;
      await this.#checkFailure(log, error, before);
      return;
    }
    // A mark that cannot be written is a warning only, so this may be missed.
    if (this.#disk.hasCrashed) throw new CrashError("nobody is told");
    this.counts.acknowledged += commits.length;
    this.#present = this.#written.length;
    if (this.#scenario.durability === "always") this.#durable = this.#present;
    this.#tell(log, before.length);
  }

  async #checkFailure(log: EventLog, error: unknown, before: string[]): Promise<void> {
    const { faults } = this.#disk;
    if (isCode(error, "log_full")) {
      this.#written = before; // None of it, ever.
      assert.ok(faults.roomBytes < Infinity, "there is room");
      await log.hasRoom?.(100);
      return;
    }
    assert.ok(isCode(error, "log_failed"), `an append fails in a way that is known: ${error}`);
    assert.ok(this.#isFaulty, `no fault explains it: ${error}`);
    // What is tried from now on is not in the log.
    const last = this.#written;
    await assert.rejects(log.append([this.#commit([3])]), { code: "log_failed" });
    this.#written = last;
  }

  #commit(sizes: readonly number[]): Commit {
    const events = sizes.map((size) => {
      const name = new TextEncoder().encode(`${++this.#names}:`);
      return Uint8Array.from({ length: size }, (_, i) => name[i % name.length] ?? 0);
    });
    return { events, bytes: events.reduce((sum, event) => sum + sizeInCommit(event), 0) };
  }

  async #close(log: EventLog): Promise<void> {
    try {
      await log.close();
    } catch (error) {
      if (this.#disk.hasCrashed || !this.#isFaulty) throw error;
      return;
    }
    if (log.readOnly === undefined) this.#durable = this.#present;
  }

  /** Harms the files: the next start goes as FORMAT's table says. */
  async #harm(what: Harm): Promise<void> {
    const disk = this.#disk;
    const log = disk.contentOf(PATH);
    const mark = disk.contentOf(MARK);
    if (log === undefined || log.length === 0) return;
    // Without a mark, nothing tells an empty plain log, or one of a torn event, from anything else.
    const isPlain = this.#scenario.format === "plain";
    if (isPlain && (what.kind !== "mark" || this.#present === 0)) return;
    const harmed = harm(what, { log, mark }, this.#random);
    if (harmed === undefined) return;
    put(disk, PATH, harmed.log);
    put(disk, MARK, harmed.mark);
    if (what.kind === "mark") this.#isMarkBehind = true;
    const isBlind = this.#isMarkBehind ||
      this.#scenario.durability !== "always";
    if (isPlain) {
      this.#doubtZeros();
      return;
    }
    const slot = readSlots(harmed.mark);
    const { kind, end, frames } = judge(harmed.log, slot);
    // Of a log without a byte, and a mark that says nothing, nobody knows what was in it.
    if (harmed.log.length === 0 && harmed.mark !== undefined && slot === undefined) {
      await this.#isRefused(undefined);
      put(disk, PATH, log);
      return;
    }
    const found = frames.flatMap(({ commits }) => commits.map(textOf));
    if (kind === "whole" || kind === "cut") {
      const text = `${what.kind} at ${end} of ${harmed.log.length}`;
      assert.ok(isBlind || found.length >= this.#present, `acknowledged and lost: ${text}`);
      this.counts.cut++;
      // What the harm has brought in, or taken away, nobody can tell from what was written.
      this.#written = found;
      this.#present = Math.min(this.#present, found.length);
      this.#durable = Math.min(this.#durable, found.length);
      this.#positions.clear();
      return;
    }
    // What is not known for a log may be taken for a plain one.
    if (kind === "refuse") await this.#isRefused(harmed.log.length > 0 ? end : undefined);
    put(disk, PATH, log);
    put(disk, MARK, mark);
  }

  async #isRefused(end: number | undefined): Promise<void> {
    const disk = this.#disk;
    const before = filesOf(disk);
    await assert.rejects(this.#open(), (error: Error) => {
      assert.ok(isCode(error, "log_unreadable"), `refused: ${error}`);
      assert.match(error.message, /"db.events"/);
      if (end !== undefined) {
        assert.match(error.message, new RegExp(`offset ${end}\\b`), "it names the place");
        assert.match(error.message, /events re(store|pair)/, "and what to do");
      }
      return true;
    });
    assert.deepEqual(filesOf(disk), before, "nothing was changed");
    this.counts.refused++;
  }
}

function put(disk: SimulatedDisk, path: string, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) disk.remove(path);
  else disk.put(path, bytes);
}

function filesOf(disk: SimulatedDisk): Map<string, Uint8Array | undefined> {
  const paths = disk.paths.filter((path) => !path.includes(".new-"));
  return new Map(paths.map((path) => [path, disk.contentOf(path)]));
}

/** All commits of a log, in two ways that must agree. */
async function contentOf(log: EventLog, random: Random): Promise<string[]> {
  const commits: string[] = [];
  while (commits.length < log.durable) {
    const read = await log.readCommits(commits.length, random.upTo(5000));
    assert.equal(read[0]?.sequence, commits.length + 1);
    commits.push(...read.map(({ events }) => textOf(events)));
  }
  const events: Uint8Array[][] = commits.map(() => []);
  for await (const batch of log.read(log.durable)) {
    for (let i = 0; i < batch.count; i++) {
      const at = batch.firstSequence + (batch.commitOf[i] ?? 0) - 1;
      events[at]?.push(batch.bytes.slice(batch.bounds[2 * i], batch.bounds[2 * i + 1]));
    }
  }
  assert.deepEqual(events.map(textOf), commits);
  return commits;
}

const decoder = new TextDecoder("latin1");

/** A commit as text that tells it from any other. */
function textOf(events: readonly Uint8Array[]): string {
  return events.map((event) => `${event.length} ${decoder.decode(event)}`).join("\n");
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof AlcedoError && error.code === code;
}
