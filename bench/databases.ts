/**
 * The databases that Alcedo is compared with: started where they are servers of their own, and
 * counted when all is done.
 */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createClient } from "redis";
import { findProgram, type Running, startProgram } from "./runtimes.ts";

/** Ticks of the processor time in `/proc`: the same on all Linux machines. */
const TICKS_PER_S = 100;

/** Microseconds of processor time that a process has had. */
function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name stands in parentheses, and may have anything in it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1e6 / TICKS_PER_S;
}

/** Where Redis is, if it is installed. */
export function findRedis(): string | undefined {
  return findProgram("redis-server");
}

/** A Redis that runs. */
export interface Redis extends AsyncDisposable {
  readonly socket: string;
  /** Processor time that it has had, in microseconds. */
  cpuUs(): number;
  /** Kills it, and resolves with how many events the next one finds. */
  count(): Promise<number>;
}

/**
 * Starts a Redis that answers when what it was told is on disk. It writes its log and nothing
 * else, and listens on a Unix socket, where it is quicker than on the loopback device.
 */
export async function startRedis(folder: string): Promise<Redis> {
  mkdirSync(folder, { recursive: true });
  const socket = join(folder, "socket");
  const start = async (): Promise<Running> => {
    const running = startProgram(findRedis() ?? "", [
      ...["--port", "0", "--unixsocket", socket, "--dir", folder],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
      ...["--auto-aof-rewrite-percentage", "0"],
    ]);
    while (!(await running.line()).endsWith(`ready to accept connections at ${socket}`));
    return running;
  };
  let running = await start();
  return {
    socket,
    cpuUs: () => cpuUsOf(running.pid),
    async count() {
      await running.kill();
      running = await start();
      const client = createClient({ socket: { path: socket, tls: false } });
      await client.connect();
      const count = await client.lLen("events");
      client.destroy();
      return count;
    },
    [Symbol.asyncDispose]: () => running.kill(),
  };
}

/** How many events are in the database at `path`. */
export function countInSqlite(path: string): number {
  const database = new DatabaseSync(path);
  const row = database.prepare("SELECT count(*) AS count FROM events").get();
  database.close();
  return Number(row?.["count"]);
}
