/**
 * What the control socket of a single server takes: figures, health, and a snapshot.
 */

import { hostname } from "node:os";
import process from "node:process";
import { type ControlCommand, ControlError } from "../../runtime/processes/control_command.ts";
import { collectdCommand, type Figure, statsCommand } from "../../runtime/processes/figures.ts";
import type { MetricsSources } from "../admin/families.ts";
import { type Readiness, readinessFields } from "../admin/readiness.ts";
import { formatSize } from "../cli/units.ts";
import { clock } from "../clock.ts";
import type { SnapshotKeeper } from "../snapshots.ts";

/** What the commands look at. */
export interface ServerView {
  look(): MetricsSources;
  /** What keeps snapshots, once the server serves, if it does. */
  readonly snapshots: SnapshotKeeper | undefined;
}

/** The commands of a single server. */
export function serverCommands(view: ServerView): ControlCommand[] {
  const look = () => figuresOf(view.look());
  const platform = { host: hostname(), clock, timeOfDay: Date.now };
  return [statsCommand(look), collectdCommand(look, platform), health(view), snapshot(view)];
}

function figuresOf({ readiness, requests }: MetricsSources): Figure[] {
  const { state, health } = readiness;
  const answered = requests.counts().reduce((total, { count }) => total + count, 0);
  return [
    { name: "state", value: state },
    { name: "uptime-seconds", value: Math.floor(process.uptime()) },
    { name: "memory-bytes", value: process.memoryUsage().rss },
    { name: "requests", value: answered, isTotal: true },
    { name: "requests-in-flight", value: requests.inFlight },
    ...(health === undefined ? [] : [
      { name: "commits", value: health.commits, isTotal: true },
      { name: "writes-waiting", value: health.writesWaiting },
      { name: "log-bytes", value: health.logBytes },
    ]),
  ];
}

function health({ look }: ServerView): ControlCommand {
  return {
    name: "health",
    parameters: ["[--json]"],
    summary: "Says how the server is; an ERROR if it is not ready for requests.",
    async run([format], { print }) {
      if (format !== undefined && format !== "--json") {
        throw new ControlError(`"${format}" is not --json`);
      }
      const { readiness } = look();
      if (format === undefined) { for (const line of rowsOf(readiness)) await print(line); }
      else await print(JSON.stringify(readinessFields(readiness)));
      if (!readiness.isReady) throw new ControlError(`not ready: ${readiness.state}`);
    },
  };
}

function rowsOf({ state, progress, health }: Readiness): string[] {
  const rows: [string, string | number][] = [["state", state]];
  if (progress !== undefined) {
    const { bytes, bytesTotal } = progress;
    rows.push(["replayed", `${Math.floor(100 * bytes / Math.max(1, bytesTotal))} %`]);
  }
  if (health !== undefined) {
    const { snapshot } = health;
    rows.push(
      ["applied", `commit ${health.applied}`],
      ["durable", `commit ${health.durable}`],
      ["log", formatSize(health.logBytes)],
      ["snapshot", snapshot === undefined ? "none" : snapshotText(snapshot)],
      ["writes waiting", health.writesWaiting],
      ["models rebuilt", health.rebuilds],
      ["bad events", health.badEvents],
    );
    if (health.mayLose !== undefined) rows.push(["durability", health.mayLose]);
  }
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

function snapshotText({ sequence, ageMs }: { sequence: number; ageMs: number }): string {
  return `of commit ${sequence}, ${Math.floor(ageMs / 60_000)} min old`;
}

function snapshot(view: ServerView): ControlCommand {
  return {
    name: "snapshot",
    parameters: [],
    summary: "Makes a snapshot of the model, and waits until it is there.",
    async run(_args, { print }) {
      const { snapshots } = view;
      if (snapshots === undefined) throw new ControlError(noSnapshots(view.look().readiness));
      const made = await snapshots.makeNow();
      if (made === undefined) return await print("the newest snapshot shows every commit already");
      if ("error" in made) throw new ControlError(made.error);
      const { path, sequence, bytes } = made;
      await print(`"${path}" has the model after sequence ${sequence} (${formatSize(bytes)})`);
    },
  };
}

function noSnapshots({ state }: Readiness): string {
  return state === "starting" || state === "stopping"
    ? `the server is ${state}`
    : "this server makes no snapshots: they need a modelVersion, and a log that it writes itself";
}
