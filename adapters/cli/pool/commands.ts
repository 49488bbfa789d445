/**
 * What the control socket of a pool takes: its workers, replaced, added, removed and looked at.
 */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import { messageOf } from "../../../runtime/errors.ts";
import { type ControlCommand, ControlError } from "../../../runtime/processes/control_command.ts";
import { collectdCommand, type Figure, statsCommand } from "../../../runtime/processes/figures.ts";
import type { Pool } from "../../../runtime/processes/pool.ts";
import { clock } from "../../clock.ts";
import { formatSize } from "../units.ts";

/** The commands of a pool. `pool` is asked for when one is given. */
export function poolCommands(pool: () => Pool): ControlCommand[] {
  const look = () => figuresOf(pool());
  const platform = { host: hostname(), clock, timeOfDay: Date.now };
  return [
    {
      name: "restart-workers",
      parameters: [],
      summary: "Replaces each worker by a new one that is well; no request fails.",
      async run() {
        try {
          await pool().restart();
        } catch (error) {
          throw new ControlError(messageOf(error), { cause: error });
        }
      },
    },
    {
      name: "spawn-workers",
      parameters: ["N"],
      summary: "Starts up to N more workers, up to the maximum.",
      run([text = ""]) {
        pool().add(parseCount(text));
      },
    },
    {
      name: "remove-workers",
      parameters: ["N"],
      summary: "Lets up to N workers go, down to the minimum.",
      run([text = ""]) {
        pool().remove(parseCount(text));
      },
    },
    statsCommand(look),
    collectdCommand(look, platform),
    {
      name: "workers",
      parameters: [],
      summary: "Prints a table of the workers.",
      async run(_args, { print }) {
        const rows = pool().workers.map(({ pid, state, requests, ageMs }) => [
          String(pid ?? "-"),
          state,
          String(requests),
          `${Math.floor(ageMs / 1000)}s`,
          memoryOf(pid),
        ]);
        for (const line of columns([["PID", "STATE", "REQUESTS", "AGE", "MEMORY"], ...rows])) {
          await print(line);
        }
      },
    },
    {
      name: "health",
      parameters: [],
      summary: "Says how the pool is; an ERROR if no worker serves.",
      async run(_args, { print }) {
        const { workers, idle, waiting } = pool().stats;
        for (const [name, value] of Object.entries({ workers, idle, waiting })) {
          await print(`${name.padEnd(7)}  ${value}`);
        }
        if (!pool().isOpen) throw new ControlError("the pool takes no requests");
        if (workers === 0) throw new ControlError("no worker serves");
      },
    },
  ];
}

function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : -1;
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new ControlError(`"${text}" is not a number of workers`);
}

function figuresOf({ stats }: Pool): Figure[] {
  const { workers, idle, waiting, restarts, deaths, answered, retried, refused, dropped } = stats;
  return [
    { name: "workers", value: workers },
    { name: "worker-restarts", value: restarts, isTotal: true },
    { name: "worker-deaths", value: deaths, isTotal: true },
    { name: "workers-idle", value: idle },
    { name: "requests-waiting", value: waiting },
    { name: "requests-answered", value: answered, isTotal: true },
    { name: "requests-retried", value: retried, isTotal: true },
    { name: "requests-refused", value: refused, isTotal: true },
    { name: "requests-dropped", value: dropped, isTotal: true },
    { name: "uptime-seconds", value: Math.floor(process.uptime()) },
    { name: "memory-bytes", value: process.memoryUsage().rss },
  ];
}

/** What of a process is in memory, where the system says so. */
function memoryOf(pid: number | undefined): string {
  try {
    const [, kib] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kib === undefined ? "-" : formatSize(1024 * Number(kib));
  } catch {
    return "-"; // It has just ended, or this is no Linux.
  }
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0))
  );
  return rows.map((row) =>
    row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd()
  );
}
