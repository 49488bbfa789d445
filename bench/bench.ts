/** What every bench is given, and what it returns. */

import type { Client } from "./load/run.ts";
import type { BenchOptions } from "./options.ts";
import type { Runtime } from "./runtimes.ts";
import type { Table } from "./table.ts";

/** What a bench works with. */
export interface Bench {
  readonly options: BenchOptions;
  readonly client: Client;
  /** A folder for its files, which is removed afterwards. */
  readonly folder: string;
  /** Says what is being done. */
  say(text: string): void;
}

/** What a bench has found. */
export interface Findings {
  readonly table: Table;
  /** The numbers behind the table, for programs. */
  readonly data: unknown;
}

/** Measures something on `runtimes`. */
export type RunBench = (bench: Bench, runtimes: readonly Runtime[]) => Promise<Findings>;
