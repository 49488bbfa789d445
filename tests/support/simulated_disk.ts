/**
 * The disk port in memory, with everything that a real disk may do to a log: short writes, no
 * room, any operation that fails, slow syncs, bits that turn over, a process that is killed, a
 * machine that loses its power at any step. All of it follows from a seed and from what the test
 * sets in `faults`.
 *
 * How a file's bytes become durable, or do not, is in `simulated_file.ts`; how names do, in
 * `simulated_folder.ts`.
 */

import { AlcedoError } from "../../runtime/errors.ts";
import type { Disk, DiskFile, DiskLock } from "../../runtime/log/disk.ts";
import { Random } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { SimulatedFile, type Survival } from "./simulated_file.ts";
import { SimulatedFolder } from "./simulated_folder.ts";

/** Thrown by every operation from the step on at which the process or the machine stops. */
export class CrashError extends Error {
  override readonly name = "CrashError";
}

/** What goes wrong, and when; a test may change it at any time. */
export interface Faults {
  /** The step (the number of operations) at which everything stops. */
  crashAtStep: number;
  /** The step at which the operation fails, whatever it is, in the way in which it can fail. */
  failAtStep: number;
  /** Bytes that still fit on the disk. Bytes that are written over take none. */
  roomBytes: number;
  /** What a write without room throws, if it does not return a short count. */
  noRoomCode: "ENOSPC" | "EDQUOT" | "EFBIG";
  /** How many of the next looks for files fail (open, openToRead, list, identityOf). */
  failingLooks: number;
  /** How many of the next changes of names fail (create, link, rename, remove). */
  failingNames: number;
  /** How many of the next reads fail (of bytes, or of the size). */
  failingReads: number;
  /** How many of the next writes fail, after any part of them. */
  failingWrites: number;
  /** How many of the next syncs fail, of a file or a folder. */
  failingSyncs: number;
  /** How many of the next cuts fail. */
  failingTruncates: number;
  /** What all these throw. */
  failCode: string;
  /** The path that all these are about; of all files, if there is none. */
  failPath: string | undefined;
  /** Milliseconds that a sync takes at most. */
  syncMsMax: number;
  /** How likely it is, at each step, that the system does with its cache what it may do. */
  writeBackChance: number;
  /** What of the changes that a failed sync forgets is on the disk. */
  failedSyncLeaves: Survival | "anything";
  /** Whether any changes of names may survive a crash, and not only the first ones. */
  areNamesUnordered: boolean;
}

/** A disk that is as it should be. */
export const GOOD: Readonly<Faults> = {
  crashAtStep: Infinity,
  failAtStep: Infinity,
  roomBytes: Infinity,
  noRoomCode: "ENOSPC",
  failingLooks: 0,
  failingNames: 0,
  failingReads: 0,
  failingWrites: 0,
  failingSyncs: 0,
  failingTruncates: 0,
  failCode: "EIO",
  failPath: undefined,
  syncMsMax: 0,
  writeBackChance: 0,
  failedSyncLeaves: "anything",
  areNamesUnordered: false,
};

type FailingOperation =
  | "failingLooks"
  | "failingNames"
  | "failingReads"
  | "failingWrites"
  | "failingSyncs"
  | "failingTruncates";

interface Options {
  clock: SimulatedClock;
  seed: number;
}

export class SimulatedDisk implements Disk {
  readonly faults: Faults = { ...GOOD };
  /** Operations so far. */
  steps = 0;
  /** Changes with every operation that may change what a crash leaves. */
  changes = 0;
  #hasCrashed = false;
  readonly #folder: SimulatedFolder;
  readonly #locked = new Set<SimulatedFile>();
  readonly #clock: SimulatedClock;
  readonly #random: Random;

  constructor(options: Options, folder: SimulatedFolder = new SimulatedFolder()) {
    this.#clock = options.clock;
    this.#random = new Random(options.seed);
    this.#folder = folder;
  }

  /** Whether everything has stopped: what happens from then on, nobody sees. */
  get hasCrashed(): boolean {
    return this.#hasCrashed;
  }

  /** The names of the files that there are. */
  get paths(): string[] {
    return this.#folder.paths;
  }

  /** What a reader would find in the file now, if there is one. */
  contentOf(path: string): Uint8Array | undefined {
    return this.#folder.get(path)?.content();
  }

  /** What would be found in the file if the power failed now; nothing if it would not be there. */
  contentAfterCrash(path: string, survival: Survival): Uint8Array | undefined {
    const file = this.#folder.durable(path, survival === "everything");
    return file?.afterCrash(survival, new Random(this.steps));
  }

  /** The power fails: the disk as it is found afterwards. Of what was not synced, `survival` is. */
  crash(survival: Survival): SimulatedDisk {
    this.#hasCrashed = true;
    const { areNamesUnordered } = this.faults;
    return this.#next(this.#folder.afterCrash(survival, this.#random, areNamesUnordered));
  }

  /** The process is killed: the disk as the next one finds it, nothing of it more durable. */
  restart(): SimulatedDisk {
    this.#hasCrashed = true;
    return this.#next(this.#folder);
  }

  #next(folder: SimulatedFolder): SimulatedDisk {
    const seed = this.#random.upTo(2 ** 31);
    return new SimulatedDisk({ clock: this.#clock, seed }, folder);
  }

  // What others do to the files

  /** Puts another file there, durable, as if it had always been so. */
  put(path: string, bytes: Uint8Array): void {
    this.#folder.put(path, new SimulatedFile(bytes));
    this.changes++;
  }

  /** Another program writes behind the end of a file. */
  appendAsOther(path: string, bytes: Uint8Array): void {
    const file = this.#found(path);
    file.write(bytes, file.size);
    this.changes++;
  }

  /** The system drops from its cache what is marked clean, whether or not it is on the disk. */
  evict(path: string): void {
    this.#found(path).evict();
    this.changes++;
  }

  /** A bit of a file turns over, on the disk itself: this one, or any. Returns which one. */
  flipBit(path: string, bit?: number): number {
    const file = this.#found(path);
    const flipped = bit ?? this.#random.upTo(8 * file.size - 1);
    file.flip(flipped);
    this.changes++;
    return flipped;
  }

  // The port

  open(path: string): DiskFile | undefined {
    return this.#open(path, true);
  }

  openToRead(path: string): DiskFile | undefined {
    return this.#open(path, false);
  }

  #open(path: string, isWritable: boolean): DiskFile | undefined {
    this.#operate("failingLooks", path);
    const file = this.#folder.get(path);
    return file === undefined ? undefined : this.#handle(file, path, isWritable);
  }

  create(path: string): DiskFile {
    this.#operate("failingNames", path);
    if (this.#folder.get(path) !== undefined) throw failure("EEXIST", `${path} exists`);
    const file = new SimulatedFile();
    this.#changeNames({ named: [path, file] });
    return this.#handle(file, path, true);
  }

  remove(path: string): void {
    this.#operate("failingNames", path);
    if (this.#folder.get(path) !== undefined) this.#changeNames({ gone: path });
  }

  link(path: string, to: string): void {
    this.#operate("failingNames", path);
    const file = this.#found(path);
    if (this.#folder.get(to) !== undefined) throw failure("EEXIST", `${to} exists`);
    this.#changeNames({ named: [to, file] });
  }

  rename(path: string, to: string): void {
    this.#operate("failingNames", path);
    const file = this.#found(path);
    // Of two names of one file, none is lost.
    if (this.#folder.get(to) !== file) this.#changeNames({ gone: path, named: [to, file] });
  }

  list(prefix: string): string[] {
    this.#operate("failingLooks", prefix);
    return this.paths.filter((path) => path.startsWith(prefix));
  }

  identityOf(path: string): string | undefined {
    this.#operate("failingLooks", path);
    return this.#folder.get(path)?.identity;
  }

  syncFolder(path: string): void {
    this.#operate("failingSyncs", path);
    this.#folder.sync();
    this.changes++;
  }

  lock(path: string): Promise<DiskLock> {
    return Promise.try(() => {
      this.#operate("failingLooks", path);
      const file = this.#found(path);
      if (this.#locked.has(file)) {
        throw new AlcedoError("log_locked", `Cannot open log "${path}": it is in use`);
      }
      this.#locked.add(file);
      return { release: () => void this.#locked.delete(file) };
    });
  }

  #handle(file: SimulatedFile, path: string, isWritable: boolean): DiskFile {
    let isOpen = true;
    const check = (isAllowed: boolean) => {
      if (!isOpen || !isAllowed) throw failure("EBADF", path);
    };
    return {
      identity: file.identity,
      size: () => {
        this.#operate("failingReads", path);
        check(true);
        return file.size;
      },
      read: (into, offset) => {
        this.#operate("failingReads", path);
        check(true);
        // Fewer bytes than there are, now and then: readers must go on. Not of two bytes: no system does that.
        const isShort = into.length > 2 && this.#random.chance(0.2);
        const most = isShort ? 1 + this.#random.upTo(into.length) : into.length;
        return file.read(into.subarray(0, most), offset);
      },
      write: (bytes, offset) => {
        check(isWritable);
        // A write that is cut short, by a crash or an error, may have done any part of its work.
        const part = () => file.write(bytes.subarray(0, this.#random.upTo(bytes.length)), offset);
        if (!this.#hasCrashed && this.steps + 1 >= this.faults.crashAtStep) part();
        this.#step();
        this.changes++;
        if (this.#fails("failingWrites", path)) {
          part();
          throw failure(this.faults.failCode, `write ${path}`);
        }
        return this.#write(file, bytes, offset);
      },
      truncate: (size) => {
        this.#operate("failingTruncates", path);
        check(isWritable);
        this.faults.roomBytes += Math.max(0, file.size - size);
        file.truncate(size);
        this.changes++;
      },
      syncNow: () => {
        this.#step();
        check(true);
        const { steps } = this;
        this.#clock.block(this.#syncMs());
        this.#endSync(file, path, { steps, covered: file.dirty() });
      },
      sync: async () => {
        this.#step();
        check(true);
        const { steps } = this;
        const covered = file.dirty();
        const ms = this.#syncMs();
        if (ms > 0) await this.#clock.sleep(ms);
        this.#step();
        this.#endSync(file, path, { steps, covered });
      },
      close: () => {
        // Not a step: a process that stops closes everything.
        isOpen = false;
      },
    };
  }

  #write(file: SimulatedFile, bytes: Uint8Array, offset: number): number {
    const { faults } = this;
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

  #endSync(file: SimulatedFile, path: string, sync: { steps: number; covered: number }): void {
    this.changes++;
    if (this.#fails("failingSyncs", path, sync.steps)) {
      file.failSync(sync.covered, this.faults.failedSyncLeaves, this.#random);
      throw failure(this.faults.failCode, `sync ${path}`);
    }
    file.sync(sync.covered);
  }

  #syncMs(): number {
    return this.#random.upTo(this.faults.syncMsMax);
  }

  #found(path: string): SimulatedFile {
    const file = this.#folder.get(path);
    if (file === undefined) throw failure("ENOENT", path);
    return file;
  }

  #changeNames(change: Parameters<SimulatedFolder["change"]>[0]): void {
    // Without a name, a file gives its room back.
    for (const file of this.#folder.change(change)) this.faults.roomBytes += file.size;
    this.changes++;
  }

  /** Counts an operation, and throws if it is to fail. */
  #operate(operation: FailingOperation, path: string): void {
    this.#step();
    if (this.#fails(operation, path)) throw failure(this.faults.failCode, path);
  }

  #fails(operation: FailingOperation, path: string, step: number = this.steps): boolean {
    const { faults } = this;
    if (step === faults.failAtStep) return true;
    if (faults[operation] <= 0 || path !== (faults.failPath ?? path)) return false;
    faults[operation]--;
    return true;
  }

  #step(): void {
    if (this.#hasCrashed) throw new CrashError("everything has stopped");
    this.steps++;
    if (this.#random.chance(this.faults.writeBackChance)) this.#writeBack();
    if (this.steps < this.faults.crashAtStep) return;
    this.#hasCrashed = true;
    throw new CrashError(`everything stops at step ${this.steps}`);
  }

  /** The system does with its cache, and with names, what it may do at any time. */
  #writeBack(): void {
    const random = this.#random;
    this.#folder.writeBack(random);
    this.changes++;
    for (const file of this.#folder.files) {
      if (random.chance(0.5)) file.writeBack(random);
      if (random.chance(0.5)) file.evict();
    }
  }
}

function failure(code: string, doing: string): Error {
  return Object.assign(new Error(`${code}: ${doing}`), { code });
}
