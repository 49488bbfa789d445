/**
 * Runs a log through several lives on one simulated disk: opens it, appends, meets faults, is
 * killed or loses its power at any step, and has its files harmed in between. After each start:
 * nothing that was acknowledged is missing, nothing is there that was never written, commits are
 * whole and in order, a position never means something else; or the start is refused, which only
 * harm may bring about, and changes nothing.
 *
 * The code under test is the product's own; only the disk is replaced. Lives come from
 * `log_plans.ts`; harm is in `log_harm.ts`, work on whole logs in `log_work.ts`.
 */

import assert from "node:assert/strict";
import { equal } from "#std/assert/equal";
import { restoreLog } from "../../runtime/log/backup.ts";
import type { Disk } from "../../runtime/log/disk.ts";
import type { Commit, Durability, EventLog } from "../../runtime/log/event_log.ts";
import { openLog } from "../../runtime/log/open_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { repairLog } from "../../runtime/log/repair.ts";
import { replay } from "../../runtime/replay.ts";
import type { SquashOptions } from "../../runtime/squash.ts";
import { judge, readSlots } from "./checked_format.ts";
import { commitOf, contentOf, filesOf, isCode, put } from "./log_contents.ts";
import { type Harm, harm } from "./log_harm.ts";
import {
  type Contents,
  eventsIn,
  LISTING,
  planWork,
  textOf,
  type Work,
  type WorkPlace,
} from "./log_work.ts";
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
  readonly areNamesUnordered?: boolean | undefined;
  /** What happens to the files before the next life. */
  readonly harm?: Harm | undefined;
  /** Instead of writing, it is another process that does this. */
  readonly work?: Work | undefined;
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
  /** What the log holds, or what else it may hold, after work that was stopped. */
  #now: Contents;
  #other: Contents | undefined;
  #backup: WorkPlace["backup"];
  #copies = 0;
  #isHalfRestored = false;
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
    this.#now = { format: scenario.format, written: [], present: 0, durable: 0 };
  }

  async live(life: LogLife): Promise<void> {
    this.#life = life;
    this.#prepare(life);
    try {
      if (life.work === undefined) await this.#write();
      else await this.#work(life.work);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      // Not every error has the crash itself on top. Else it is one of reading what was found.
      if (this.#disk.hasCrashed) this.counts.crashes++;
      else if (!this.#isFaulty || !String(error).includes("EIO")) throw error;
    }
    this.counts.steps.push(this.#disk.steps);
    if (this.#isMarkBehind) this.#doubtZeros();
    // What a weaker durability has acknowledged, a failed sync may forget, too.
    if (this.#isFaulty) this.#lose();
    // Without sums, nobody can find a hole in a plain log.
    const isScattered = life.end === "sectors" || life.end === "pages";
    const end = this.#isPlain() && isScattered ? "prefix" : life.end;
    if (end === "kill") this.#disk = this.#disk.restart();
    else {
      this.#disk = this.#disk.crash(end);
      this.#lose();
      this.#isMarkBehind = true;
    }
    if (life.harm !== undefined) await this.#harm(life.harm);
  }

  #isPlain(): boolean {
    return this.#now.format === "plain" || this.#other?.format === "plain";
  }

  /** What is not durable need not be there any more. */
  #lose(): void {
    const lost = (contents: Contents): Contents => ({ ...contents, present: contents.durable });
    this.#now = lost(this.#now);
    this.#other = this.#other && lost(this.#other);
  }

  /** The life of a writer. */
  async #write(): Promise<void> {
    const log = await this.#tryToOpen();
    if (log === undefined) return;
    // A mark that cannot be written is a warning only, so this may be missed.
    if (this.#disk.hasCrashed) throw new CrashError("nobody is told");
    this.#check(await contentOf(log, this.#random), log);
    await this.#checkModel(log);
    for (const [index, flush] of this.#life.flushes.entries()) {
      await this.#setFaults(index);
      await this.#append(log, flush);
    }
    await this.#close(log);
  }

  /** The life of somebody else, who does something with the whole log. */
  async #work(what: Work): Promise<void> {
    const log = this.#disk.contentOf(PATH);
    // One thing after the other: first it is known what the last work has left.
    if (log === undefined || this.#other !== undefined) return;
    // Without its mark, which is put aside first, a torn first event is no log.
    if (this.#now.format === "plain" && this.#now.present === 0) return;
    const copy = `copy-${++this.#copies}`;
    const options = this.#options();
    const place = { path: PATH, copy, log, now: this.#now, backup: this.#backup, options };
    const work = planWork(what, place);
    if (work === undefined) return;
    await this.#setFaults(0);
    this.#other = work.stopped;
    this.#isHalfRestored = what.kind === "restore";
    try {
      await work.run();
    } catch (error) {
      if (this.#disk.hasCrashed) throw error;
      const hasRoom = this.#disk.faults.roomBytes === Infinity;
      if (isCode(error, "log_full") && !hasRoom) this.#other = undefined; // Nothing was done.
      else if (isCode(error, "log_refused")) {
        // Nothing to do; or a cut that has to be done again.
        if (hasRoom && !this.#isFaulty) this.#other = undefined;
      } else assert.ok(this.#isFaulty, `no fault explains it: ${error}`);
      return;
    }
    if (this.#disk.hasCrashed) throw new CrashError("nobody is told");
    this.#other = undefined;
    this.#isMarkBehind ||= this.#isFaulty;
    if (work.done !== undefined) this.#now = work.done;
    if (what.kind === "backup") await this.#checkCopy(copy);
  }

  /** A copy holds what was durable, and whatever happens it does. */
  async #checkCopy(path: string): Promise<void> {
    const { format, written, present } = this.#now;
    const log = await openLog(path, { ...this.#options(), readOnly: true });
    const found = await contentOf(log, this.#random);
    await log.close();
    const { length } = found;
    assert.deepEqual(found, written.slice(0, length), "only what was written, in order");
    assert.ok(length >= present, `acknowledged and not in the copy: ${present - length}`);
    const contents = { format, written: found, present: length, durable: length };
    this.#backup = { path, contents };
  }

  /** In a plain log zeros at the end are events only as far as the mark says. */
  #doubtZeros(): void {
    if (!this.#isPlain()) return;
    let { present } = this.#now;
    while (this.#now.written[present - 1] === EMPTY) present--;
    this.#now = { ...this.#now, present, durable: Math.min(this.#now.durable, present) };
    this.#positions.clear();
  }

  #prepare(life: LogLife): void {
    const { faults } = this.#disk;
    this.#isFaulty = life.failAtStep !== undefined;
    faults.areNamesUnordered = life.areNamesUnordered ?? false;
    if (life.crashAtStep !== undefined) faults.crashAtStep = life.crashAtStep;
    if (life.failAtStep !== undefined) faults.failAtStep = life.failAtStep;
    if (this.#isPlain()) faults.failedSyncLeaves = "prefix"; // Zeros are events.
    else faults.writeBackChance = life.writeBackChance ?? 0;
  }

  /** Opens the log; `undefined` if a fault that was asked for prevents it. */
  async #tryToOpen(): Promise<EventLog | undefined> {
    // One of two starts begins where a snapshot ends.
    const { modelVersion } = this.#random.chance(0.5) ? LISTING : {};
    try {
      return await this.#open(modelVersion);
    } catch (error) {
      if (this.#disk.hasCrashed) throw error;
      const place = Number(/--cut-at (\d+)/.exec(String(error))?.[1]);
      if (isCode(error, "log_unreadable") && this.#life.work === undefined && this.#isHalfCut()) {
        await repairLog(PATH, { ...this.#options(), cutAt: place });
        return await this.#open(modelVersion);
      }
      if (this.#isHalfRestored && String(error).includes("belongs to another log")) {
        await this.#restoreAgain();
        return await this.#open(modelVersion);
      }
      if (!this.#isFaulty) throw error;
      assert.ok(!isCode(error, "log_unreadable"), `a fault is no damage: ${error}`);
      return undefined;
    }
  }

  /** Whether the log was being cut by hand, so that it may have to be cut again. */
  #isHalfCut(): boolean {
    return this.#other !== undefined && this.#other.written === this.#now.written;
  }

  /** A torn log may be refused while its own backup is put in its place. */
  async #restoreAgain(): Promise<void> {
    assert.ok(this.#backup !== undefined);
    const { path, contents } = this.#backup;
    await restoreLog(path, PATH, { ...this.#options(), isReplacing: true });
    this.#now = contents;
    this.#other = undefined;
  }

  #open(modelVersion?: string): Promise<EventLog> {
    const { durability } = this.#scenario;
    const { format } = this.#now;
    return openLog(PATH, { ...this.#options(), format, durability, modelVersion });
  }

  #options(): SquashOptions {
    const ids = new Random(this.#random.upTo(2 ** 31));
    return {
      disk: this.#breakDisk(this.#disk),
      clock: this.#clock,
      warn: () => {},
      timeOfDay: () => this.#timeOfDay += this.#random.upTo(3) - 1,
      random: (bytes) => Uint8Array.from({ length: bytes }, () => ids.upTo(255)),
    };
  }

  /** Checks what is found at a start; from then on, all of it is durable. */
  #check(found: string[], log: EventLog): void {
    const { length } = found;
    assert.equal(log.durable, length);
    const format = log.counts === "commits" ? "checked" : "plain";
    const other = this.#other;
    // An empty file is a log of any format.
    const isOther = other !== undefined && other.present <= length &&
      (other.format === format || length === 0) && equal(found, other.written.slice(0, length));
    if (!isOther) {
      const { written, present } = this.#now;
      assert.deepEqual(found, written.slice(0, length), "only what was written, in order");
      assert.ok(length >= present, `acknowledged and missing: ${present - length} of ${present}`);
      assert.equal(format, this.#now.format);
    }
    this.#now = { format, written: found, present: length, durable: length };
    this.#other = undefined;
    this.#isHalfRestored = false;
    this.#isMarkBehind = false;
    this.#tell(log, 0);
    if (format === "plain") return;
    const bytes = this.#disk.contentOf(PATH) ?? new Uint8Array(0);
    const { kind, frames } = judge(bytes, readSlots(this.#disk.contentOf(MARK)));
    assert.equal(kind, "whole", "another reader says the same");
    assert.deepEqual(frames.flatMap(({ commits }) => commits.map(textOf)), found);
  }

  /** A model from a snapshot and what follows is that of all events. */
  async #checkModel(log: EventLog): Promise<void> {
    const { model } = await replay(LISTING, log, log.durable, { warn: () => {} });
    assert.deepEqual(model, this.#now.written.flatMap(eventsIn));
  }

  /** These positions are known to others now. */
  #tell(log: EventLog, from: number): void {
    const { written, present } = this.#now;
    for (let i = from; i < present; i++) {
      const position = `${log.history}.${i + 1}`;
      const commit = written[i] ?? "";
      assert.equal(this.#positions.get(position) ?? commit, commit, `${position} is another`);
      this.#positions.set(position, commit);
    }
  }

  async #setFaults(index: number): Promise<void> {
    const { faults } = this.#disk;
    for (const { at, kind, amount } of this.#life.faults) {
      if (at !== index) continue;
      if (kind === "no room") faults.roomBytes = amount;
      else if (kind === "room") faults.roomBytes = Infinity;
      else if (kind === "later") await this.#clock.advance(100 * amount);
      else if (kind === "mark") {
        this.#isMarkBehind = true;
        this.#isFaulty ||= this.#life.work !== undefined;
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
    const before = this.#now;
    const written = log.counts === "commits"
      ? texts
      : commits.flatMap(({ events }) => events.map((event) => textOf([event])));
    // Until it is known: any number of them, from the first on.
    this.#now = { ...before, written: [...before.written, ...written] };
    try {
      await log.append(commits);
    } catch (error) {
      if (error instanceof CrashError || this.#disk.hasCrashed) throw error;
      await this.#checkFailure(log, error, before);
      return;
    }
    if (this.#disk.hasCrashed) throw new CrashError("nobody is told");
    this.counts.acknowledged += commits.length;
    const present = this.#now.written.length;
    const durable = this.#scenario.durability === "always" ? present : before.durable;
    this.#now = { ...this.#now, present, durable };
    this.#tell(log, before.written.length);
  }

  async #checkFailure(log: EventLog, error: unknown, before: Contents): Promise<void> {
    const { faults } = this.#disk;
    if (isCode(error, "log_full")) {
      this.#now = before; // None of it, ever.
      assert.ok(faults.roomBytes < Infinity, "there is room");
      await log.hasRoom?.(100);
      return;
    }
    assert.ok(isCode(error, "log_failed"), `an append fails in a way that is known: ${error}`);
    assert.ok(this.#isFaulty, `no fault explains it: ${error}`);
    // What is tried from now on is not in the log.
    const last = this.#now;
    await assert.rejects(log.append([this.#commit([3])]), { code: "log_failed" });
    this.#now = last;
  }

  #commit(sizes: readonly number[]): Commit {
    return commitOf(sizes.map((size) => ({ size, name: `${++this.#names}:` })));
  }

  async #close(log: EventLog): Promise<void> {
    try {
      await log.close();
    } catch (error) {
      if (this.#disk.hasCrashed || !this.#isFaulty) throw error;
      return;
    }
    if (log.readOnly === undefined) this.#now = { ...this.#now, durable: this.#now.present };
  }

  /** Harms the files: the next start goes as FORMAT's table says. */
  async #harm(what: Harm): Promise<void> {
    const disk = this.#disk;
    const log = disk.contentOf(PATH);
    const mark = disk.contentOf(MARK);
    if (log === undefined || log.length === 0 || this.#other !== undefined) return;
    // Without a mark, nothing tells an empty plain log, or one of a torn event, from anything else.
    const isPlain = this.#now.format === "plain";
    if (isPlain && (what.kind !== "mark" || this.#now.present === 0)) return;
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
    // Of a log without a byte, a mark that says nothing or a snapshot tells that there was more.
    const isLeft = harmed.mark !== undefined && slot === undefined ||
      disk.paths.some((path) => path.startsWith(`${PATH}.snapshot-0`));
    if (harmed.log.length === 0 && isLeft) {
      await this.#isRefused(undefined);
      put(disk, PATH, log);
      return;
    }
    const found = frames.flatMap(({ commits }) => commits.map(textOf));
    if (kind === "whole" || kind === "cut") {
      const text = `${what.kind} at ${end} of ${harmed.log.length}`;
      assert.ok(isBlind || found.length >= this.#now.present, `acknowledged and lost: ${text}`);
      this.counts.cut++;
      // What the harm has brought in, or taken away, nobody can tell from what was written.
      const present = Math.min(this.#now.present, found.length);
      const durable = Math.min(this.#now.durable, found.length);
      this.#now = { format: "checked", written: found, present, durable };
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
