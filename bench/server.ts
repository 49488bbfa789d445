/**
 * Servers that the benches compare: started, asked for their reports, and their logs counted.
 */

import { openFileLog } from "alcedo";
import { join } from "node:path";
import { type Running, type Runtime, start } from "./runtimes.ts";
import type { ServerPlan, ServerReport } from "./servers/control.ts";

/** A server to be measured. */
export interface ServerKind {
  /** How it is called in the tables. */
  readonly name: string;
  /** Its file below `servers/`. */
  readonly file: string;
  readonly style: ServerPlan["style"];
}

/** One that runs. */
export interface BenchServer extends AsyncDisposable {
  readonly kind: ServerKind;
  readonly port: number;
  report(): Promise<ServerReport>;
  /** Kills it, and resolves with the number of events in its log, if it has one. */
  end(): Promise<number | undefined>;
}

export const BARE: ServerKind = { name: "bare", file: "bare.ts", style: "pure" };
export const PURE: ServerKind = { name: "Alcedo, pure", file: "alcedo.ts", style: "pure" };
export const IN_PLACE: ServerKind = {
  name: "Alcedo, in place",
  file: "alcedo.ts",
  style: "in place",
};
export const NODE_HTTP: ServerKind = { name: "node:http", file: "node_http.ts", style: "pure" };

/** Starts a server, whose log is in `folder`. */
export async function startServer(
  runtime: Runtime,
  kind: ServerKind,
  options: { entries: number; folder: string },
): Promise<BenchServer> {
  const { entries, folder } = options;
  const eventsFile = join(folder, `${runtime} ${kind.name}.events`);
  const plan: ServerPlan = { entries, style: kind.style, eventsFile };
  const running: Running = start(runtime, `servers/${kind.file}`, [JSON.stringify(plan)]);
  const port = Number(await running.line());
  const isAlcedo = kind.file === "alcedo.ts";
  return {
    kind,
    port,
    report: async () => JSON.parse(await running.ask("report")) as ServerReport,
    async end() {
      await running.kill();
      if (!isAlcedo) return undefined;
      const log = await openFileLog(eventsFile);
      const count = log.durable;
      await log.close();
      return count;
    },
    [Symbol.asyncDispose]: () => running.kill(),
  };
}
