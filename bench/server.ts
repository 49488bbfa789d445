/**
 * Servers that the benches compare: started, asked for their reports, and what they kept counted.
 */

import { openFileLog } from "alcedo";
import { join } from "node:path";
import { countInSqlite, startRedis } from "./databases.ts";
import { type Running, type Runtime, start } from "./runtimes.ts";
import type { ServerPlan, ServerReport } from "./servers/control.ts";

/** A server to be measured. */
export interface ServerKind {
  /** How it is called in the tables. */
  readonly name: string;
  /** Its file below `servers/`. */
  readonly file: string;
  readonly style: ServerPlan["style"];
  /** @default {"checked"} */
  readonly format?: ServerPlan["format"];
  /** @default {false} */
  readonly hasMetrics?: boolean;
  /** @default {false} */
  readonly isExclusive?: boolean;
  /** @default none */
  readonly worker?: readonly string[];
}

/** One that runs. */
export interface BenchServer extends AsyncDisposable {
  readonly kind: ServerKind;
  readonly port: number;
  report(): Promise<ServerReport>;
  /** Kills it, and resolves with the number of events in its log or database, if it has one. */
  end(): Promise<number | undefined>;
}

export const BARE: ServerKind = { name: "bare", file: "bare.ts", style: "pure" };
export const PURE: ServerKind = { name: "Alcedo, pure", file: "alcedo.ts", style: "pure" };
export const IN_PLACE: ServerKind = {
  name: "Alcedo, in place",
  file: "alcedo.ts",
  style: "in place",
};
export const WITH_METRICS: ServerKind = { ...PURE, name: "Alcedo, with metrics", hasMetrics: true };
export const NODE_HTTP: ServerKind = { name: "node:http", file: "node_http.ts", style: "pure" };

export const PLAIN: ServerKind = { ...PURE, name: "Alcedo, plain log", format: "plain" };
export const SQLITE: ServerKind = { name: "SQLite", file: "sqlite.ts", style: "pure" };
export const EXCLUSIVE_SQLITE: ServerKind = {
  ...SQLITE,
  name: "SQLite, exclusive",
  isExclusive: true,
};
export const REDIS: ServerKind = { name: "Redis", file: "redis.ts", style: "pure" };

/** Starts a server, whose log or database is in `folder`. */
export async function startServer(
  runtime: Runtime,
  kind: ServerKind,
  options: { entries: number; folder: string },
): Promise<BenchServer> {
  const { entries, folder } = options;
  const eventsFile = join(folder, `${runtime} ${kind.name}.events`);
  const redis = kind === REDIS ? await startRedis(join(folder, runtime)) : undefined;
  const plan: ServerPlan = {
    entries,
    style: kind.style,
    eventsFile,
    format: kind.format ?? "checked",
    hasMetrics: kind.hasMetrics ?? false,
    isExclusive: kind.isExclusive ?? false,
    databaseSocket: redis?.socket ?? "",
    worker: kind.worker ?? [],
  };
  const running: Running = start(runtime, `servers/${kind.file}`, [JSON.stringify(plan)]);
  const port = Number(await running.line());
  return {
    kind,
    port,
    async report() {
      const report = JSON.parse(await running.ask("report")) as ServerReport;
      return { ...report, cpuUs: report.cpuUs + (redis?.cpuUs() ?? 0) };
    },
    async end() {
      await running.kill();
      if (redis !== undefined) return await redis.count();
      if (kind.file === SQLITE.file) return countInSqlite(eventsFile);
      return kind.file === "alcedo.ts" ? await countInLog(eventsFile) : undefined;
    },
    async [Symbol.asyncDispose]() {
      await running.kill();
      await redis?.[Symbol.asyncDispose]();
    },
  };
}

async function countInLog(path: string): Promise<number> {
  const log = await openFileLog(path);
  const count = log.durable;
  await log.close();
  return count;
}
