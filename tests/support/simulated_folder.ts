/**
 * The names of the files on the simulated disk: which lead to which file now, and which would
 * after a crash. Each change of names is one step in the file system's journal: all of it
 * survives, or nothing; and of all changes the first ones, unless the test asks for worse.
 */

import type { Random } from "./random.ts";
import { SimulatedFile, type Survival } from "./simulated_file.ts";

/** A change of names, in one step: one goes, or a file gets one, or both. */
interface NameChange {
  readonly gone?: string;
  readonly named?: readonly [path: string, file: SimulatedFile];
}

export class SimulatedFolder {
  readonly #names: Map<string, SimulatedFile>;
  readonly #durable: Map<string, SimulatedFile>;
  /** From the durable names to those of now, oldest first. */
  #changes: NameChange[] = [];

  constructor(names: ReadonlyMap<string, SimulatedFile> = new Map()) {
    this.#names = new Map(names);
    this.#durable = new Map(names);
  }

  get paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  get files(): Set<SimulatedFile> {
    return new Set(this.#names.values());
  }

  get(path: string): SimulatedFile | undefined {
    return this.#names.get(path);
  }

  /** Changes names; returns the files that have none any more. */
  change(change: NameChange): SimulatedFile[] {
    const losing = [change.gone, change.named?.[0]].map((path) => this.#names.get(path ?? ""));
    apply(this.#names, change);
    this.#changes.push(change);
    const { files } = this;
    return losing.filter((file) => file !== undefined).filter((file) => !files.has(file));
  }

  /** Gives a file a name that was there already, as if it had always been its own. */
  put(path: string, file: SimulatedFile): void {
    // Of what was changed before, all else is as it was.
    this.#changes = this.#changes.map(({ gone, named }) => ({
      ...(gone === undefined || gone === path ? {} : { gone }),
      ...(named === undefined || named[0] === path ? {} : { named }),
    }));
    apply(this.#names, { named: [path, file] });
    apply(this.#durable, { named: [path, file] });
  }

  /** Makes the names durable. */
  sync(): void {
    this.#settle(this.#changes.length);
  }

  /** Makes the first changes of names durable, however many. */
  writeBack(random: Random): void {
    this.#settle(random.upTo(this.#changes.length));
  }

  #settle(count: number): void {
    for (const change of this.#changes.splice(0, count)) apply(this.#durable, change);
  }

  /** The file that the path leads to after a loss of power now, in the best case or the worst. */
  durable(path: string, isBest: boolean): SimulatedFile | undefined {
    return (isBest ? this.#names : this.#durable).get(path);
  }

  /** The folder after a loss of power now. */
  afterCrash(survival: Survival, random: Random, areNamesUnordered: boolean): SimulatedFolder {
    const names = new Map(this.#durable);
    for (const change of this.#surviving(survival, random, areNamesUnordered)) apply(names, change);
    const found = new Map<SimulatedFile, SimulatedFile>();
    for (const file of new Set(names.values())) {
      found.set(file, new SimulatedFile(file.afterCrash(survival, random), file.identity));
    }
    for (const [path, file] of names) names.set(path, found.get(file) ?? file);
    return new SimulatedFolder(names);
  }

  #surviving(survival: Survival, random: Random, areNamesUnordered: boolean): NameChange[] {
    if (survival === "nothing") return [];
    if (survival === "everything") return this.#changes;
    if (areNamesUnordered) return this.#changes.filter(() => random.chance(0.5));
    return this.#changes.slice(0, random.upTo(this.#changes.length));
  }
}

function apply(names: Map<string, SimulatedFile>, { gone, named }: NameChange): void {
  if (gone !== undefined) names.delete(gone);
  if (named !== undefined) names.set(...named);
}
