/**
 * Runs a load against a server, with our own client or with wrk.
 *
 * Our own looks at every answer, and can put a load beside a load. It is fast enough: a bare
 * Deno server answers it 118,000 times a second, at the limit of its own processor time, and
 * its ratios are those of wrk. wrk is there to check that on other machines.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keyOf } from "../application.ts";
import { findProgram, start, startProgram } from "../runtimes.ts";
import { entriesToRead, type LoadPlan, type LoadResult } from "./plan.ts";

/** What sends the requests. */
export type Client = "own" | "wrk";

/** Where `wrk` is, if it is installed. */
export function findWrk(): string | undefined {
  return findProgram("wrk");
}

/** Loads a server; `folder` is for files that the client needs. */
export async function runLoad(
  client: Client,
  plan: LoadPlan,
  folder: string,
): Promise<LoadResult> {
  const wrk = client === "wrk" && plan.beside === undefined ? findWrk() : undefined;
  const running = wrk === undefined
    ? start("node", "load/client.ts", [JSON.stringify(plan)])
    : startProgram(wrk, wrkArguments(plan, folder));
  try {
    // wrk talks before it has a result.
    for (;;) {
      const line = await running.line();
      if (line.startsWith("{")) return JSON.parse(line) as LoadResult;
    }
  } finally {
    await running.kill();
  }
}

function wrkArguments({ connections, ms, port, requests }: LoadPlan, folder: string): string[] {
  const script = fileURLToPath(new URL("wrk.lua", import.meta.url));
  // It takes whole seconds only.
  const seconds = Math.max(1, Math.round(ms / 1000));
  return [
    "-t1",
    `-c${connections}`,
    `-d${seconds}s`,
    `-s${script}`,
    `http://127.0.0.1:${port}/`,
    "--",
    ...(requests.kind === "write"
      ? ["write", String(requests.bytes)]
      : ["read", pathsFile(folder, requests.entries)]),
  ];
}

function pathsFile(folder: string, entries: number): string {
  const path = join(folder, "paths");
  writeFileSync(path, entriesToRead(entries).map((entry) => `/${keyOf(entry)}\n`).join(""));
  return path;
}
