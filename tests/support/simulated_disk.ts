/**
 * The disk port in memory, with everything that a real disk may do to a log: short writes, no
 * room, failing writes and syncs, slow syncs, a process that is killed, a machine that loses its
 * power at any step. All of it follows from a seed and from what the test sets in `faults`.
 *
 * How a file's bytes become durable, or do not, is in `simulated_file.ts`.
 */

import { AlcedoError } from "../../runtime/errors.ts";
import type { Disk, DiskFile, DiskLock } from "../../runtime/log/disk.ts";
import { Random } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { SimulatedFile, type Survival } from "./simulated_file.ts";

/** Thrown by every operation from the step on at which the process or the machine stops. */
export class CrashError extends Error {
  override readonly name = "CrashError";
}

/** What goes wrong, and when; a test may change it at any time. */
export interface Faults {
  /** The step (the number of operations) at which everything stops. */
  crashAtStep: number;
  /** Bytes that still fit on the disk. Bytes that are written over take none. */
  roomBytes: number;
  /** What a write without room throws, if it does not return a short count. */
  noRoomCode: "ENOSPC" | "EDQUOT" | "EFBIG";
  /** How many of the next writes fail with EIO, after any part of them. */
  failingWrites: number;
  /** How many of the next syncs fail. */
  failingSyncs: number;
  /** How many of the next cuts fail with EIO. */
  failingTruncates: number;
  /** Milliseconds that a sync takes at most. */
  syncMsMax: number;
}

/** A disk that is as it should be. */
export const GOOD: Readonly<Faults> = {
  crashAtStep: Infinity,
  roomBytes: Infinity,
  noRoomCode: "ENOSPC",
  failingWrites: 0,
  failingSyncs: 0,
  failingTruncates: 0,
  syncMsMax: 0,
};

interface Options {
  clock: SimulatedClock;
  seed: number;
}

/** The files of a machine: which names lead to them now, and which would after a crash. */
interface Machine {
  readonly names: Map<string, SimulatedFile>;
  durableNames: Map<string, SimulatedFile>;
}

export class SimulatedDisk implements Disk {
  readonly faults: Faults = { ...GOOD };
  /** Operations so far. */
  steps = 0;
  /** Changes with every operation that may change what a crash leaves. */
  changes = 0;
  #hasCrashed = false;
  readonly #machine: Machine;
  readonly #locked = new Set<SimulatedFile>();
  readonly #clock: SimulatedClock;
  readonly #random: Random;

  constructor(options: Options, machine?: Machine) {
    this.#clock = options.clock;
    this.#random = new Random(options.seed);
    this.#machine = machine ?? { names: new Map(), durableNames: new Map() };
  }

  /** Whether everything has stopped: what happens from then on, nobody sees. */
  get hasCrashed(): boolean {
    return this.#hasCrashed;
  }

  /** The names of the files that there are. */
  get paths(): string[] {
    return [...this.#machine.names.keys()].sort();
  }

  /** Puts a file on the disk, durable, as if it had always been there. */
  put(path: string, bytes: Uint8Array): void {
    const file = new SimulatedFile(bytes);
    this.#machine.names.set(path, file);
    this.#machine.durableNames.set(path, file);
  }

  /** What a reader would find in the file now, if there is one. */
  contentOf(path: string): Uint8Array | undefined {
    return this.#machine.names.get(path)?.content();
  }

  /** What would be found in the file if the power failed now; nothing if it would not be there. */
  contentAfterCrash(path: string, survival: Survival): Uint8Array | undefined {
    const names = survival === "everything" ? this.#machine.names : this.#machine.durableNames;
    return names.get(path)?.afterCrash(survival, new Random(this.steps));
  }

  /** The power fails: the disk as it is found afterwards. Of what was not synced, `survival` is. */
  crash(survival: Survival): SimulatedDisk {
    this.#hasCrashed = true;
    const { names, durableNames } = this.#machine;
    const surviving = new Map(durableNames);
    const isLucky = () => survival !== "nothing" && this.#random.chance(0.5);
    for (const [path, file] of names) {
      if (survival === "everything" || isLucky()) surviving.set(path, file);
    }
    for (const path of durableNames.keys()) {
      const isRemoved = !names.has(path);
      if (isRemoved && (survival === "everything" || isLucky())) surviving.delete(path);
    }
    const found = new Map<string, SimulatedFile>();
    for (const [path, file] of surviving) {
      found.set(path, new SimulatedFile(file.afterCrash(survival, this.#random)));
    }
    return this.#next({ names: found, durableNames: new Map(found) });
  }

  /** The process is killed: the disk as the next one finds it, nothing of it more durable. */
  restart(): SimulatedDisk {
    this.#hasCrashed = true;
    return this.#next(this.#machine);
  }

  #next(machine: Machine): SimulatedDisk {
    return new SimulatedDisk({ clock: this.#clock, seed: this.#random.upTo(2 ** 31) }, machine);
  }

  // The port

  open(path: string): DiskFile | undefined {
    this.#step();
    const file = this.#machine.names.get(path);
    return file === undefined ? undefined : this.#handle(file);
  }

  openToRead(path: string): DiskFile | undefined {
    return this.open(path);
  }

  link(path: string, to: string): void {
    this.#step();
    const file = this.#machine.names.get(path);
    if (file === undefined) throw failure("ENOENT", path);
    if (this.#machine.names.has(to)) throw failure("EEXIST", `${to} exists`);
    this.#machine.names.set(to, file);
    this.changes++;
  }

  rename(path: string, to: string): void {
    this.#step();
    const file = this.#machine.names.get(path);
    if (file === undefined) throw failure("ENOENT", path);
    this.#machine.names.set(to, file);
    this.#machine.names.delete(path);
    this.changes++;
  }

  list(prefix: string): string[] {
    this.#step();
    return this.paths.filter((path) => path.startsWith(prefix));
  }

  identityOf(path: string): string | undefined {
    this.#step();
    return this.#machine.names.get(path)?.identity;
  }

  create(path: string): DiskFile {
    this.#step();
    if (this.#machine.names.has(path)) throw failure("EEXIST", `${path} exists`);
    const file = new SimulatedFile();
    this.#machine.names.set(path, file);
    this.changes++;
    return this.#handle(file);
  }

  remove(path: string): void {
    this.#step();
    const file = this.#machine.names.get(path);
    if (file === undefined) return;
    this.#machine.names.delete(path);
    this.faults.roomBytes += file.size;
    this.changes++;
  }

  syncFolder(_path: string): void {
    this.#step();
    if (this.#fails("failingSyncs")) throw failure("EIO", "sync of the folder");
    this.#machine.durableNames = new Map(this.#machine.names);
    this.changes++;
  }

  lock(path: string): Promise<DiskLock> {
    return Promise.try(() => {
      this.#step();
      const file = this.#machine.names.get(path);
      if (file === undefined) throw failure("ENOENT", path);
      if (this.#locked.has(file)) {
        throw new AlcedoError("log_locked", `Cannot open log "${path}": it is in use`);
      }
      this.#locked.add(file);
      return { release: () => void this.#locked.delete(file) };
    });
  }

  #handle(file: SimulatedFile): DiskFile {
    let isOpen = true;
    const step = () => {
      this.#step();
      if (!isOpen) throw failure("EBADF", "the file is closed");
    };
    return {
      identity: file.identity,
      size: () => {
        step();
        return file.size;
      },
      read: (into, offset) => {
        step();
        // Fewer bytes than there are, now and then: readers must go on.
        const most = this.#random.chance(0.2) ? 1 + this.#random.upTo(into.length) : into.length;
        return file.read(into.subarray(0, most), offset);
      },
      write: (bytes, offset) => {
        // A write that the crash cuts short may have done any part of its work.
        if (!this.#hasCrashed && this.steps + 1 >= this.faults.crashAtStep) {
          file.write(bytes.subarray(0, this.#random.upTo(bytes.length)), offset);
        }
        step();
        return this.#write(file, bytes, offset);
      },
      truncate: (size) => {
        step();
        if (this.#fails("failingTruncates")) throw failure("EIO", "truncate");
        this.faults.roomBytes += Math.max(0, file.size - size);
        file.truncate(size);
        this.changes++;
      },
      syncNow: () => {
        step();
        this.#clock.block(this.#syncMs());
        this.#endSync(file, file.dirty());
      },
      sync: async () => {
        step();
        const covered = file.dirty();
        const ms = this.#syncMs();
        if (ms > 0) await this.#clock.sleep(ms);
        this.#step();
        this.#endSync(file, covered);
      },
      close: () => {
        // Not a step: a process that stops closes everything.
        isOpen = false;
      },
    };
  }

  #write(file: SimulatedFile, bytes: Uint8Array, offset: number): number {
    this.changes++;
    const { faults } = this;
    if (this.#fails("failingWrites")) {
      file.write(bytes.subarray(0, this.#random.upTo(bytes.length)), offset);
      throw failure("EIO", "write");
    }
    const grown = Math.max(0, offset + bytes.length - file.size);
    if (grown <= faults.roomBytes) {
      faults.roomBytes -= grown;
      file.write(bytes, offset);
      return bytes.length;
    }
    const written = bytes.length - grown + faults.roomBytes;
    faults.roomBytes = 0;
    file.write(bytes.subarray(0, written), offset);
    // Some platforms return a short count, others throw though a part is in the file.
    if (written === 0 || this.#random.chance(0.5)) throw failure(faults.noRoomCode, "write");
    return written;
  }

  #endSync(file: SimulatedFile, covered: number): void {
    this.changes++;
    if (this.#fails("failingSyncs")) {
      file.failSync(covered, this.#random);
      throw failure("EIO", "sync");
    }
    file.sync(covered);
  }

  #syncMs(): number {
    return this.#random.upTo(this.faults.syncMsMax);
  }

  #fails(fault: "failingWrites" | "failingSyncs" | "failingTruncates"): boolean {
    if (this.faults[fault] <= 0) return false;
    this.faults[fault]--;
    return true;
  }

  #step(): void {
    if (this.#hasCrashed) throw new CrashError("everything has stopped");
    this.steps++;
    if (this.steps < this.faults.crashAtStep) return;
    this.#hasCrashed = true;
    throw new CrashError(`everything stops at step ${this.steps}`);
  }
}

function failure(code: string, doing: string): Error {
  return Object.assign(new Error(`${code}: ${doing}`), { code });
}
