/**
 * A pool under load while its workers are replaced and killed, again and again: each request that may be
 * repeated is answered, with its own answer. With `ALCEDO_LONG` a hundred times each.
 */

import assert from "node:assert/strict";
import process, { env } from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunningPool, startPool } from "../support/pool_process.ts";
import { withFolder } from "../support/server_process.ts";

const TIMES = env.ALCEDO_LONG ? 100 : 3;
const CLIENTS = 8;
const METHODS = ["GET", "PUT", "DELETE"];

/** Clients that ask until they are stopped; returns how many answers each kind of failure had. */
class Load {
  answers = 0;
  readonly failures: string[] = [];
  #isOver = false;
  readonly #clients: Promise<unknown>;

  constructor(url: string) {
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, (_, i) => this.#ask(url, i)));
  }

  async #ask(url: string, client: number): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const method = METHODS[i % METHODS.length] ?? "GET";
      const target = `${url}/?client=${client}&i=${i}`;
      try {
        const answer = await fetch(target, { method });
        const text = await answer.text();
        if (answer.status === 200 && JSON.parse(text).url === target) this.answers++;
        else this.failures.push(`${method} ${target}: ${answer.status} ${text}`);
      } catch (error) {
        this.failures.push(`${method} ${target}: ${error}`);
      }
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#clients;
  }
}

/**
 * A worker that has answered: one that has not may hold a request which another has died over, and
 * nothing is tried more than twice.
 */
async function aWorkingOne(pool: RunningPool): Promise<number> {
  for (;;) {
    const rows = (await pool.command("workers")).map((row) => row.split(/\s+/));
    const row = rows.find(([pid, , requests]) => Number(pid) > 0 && Number(requests) > 0);
    if (row !== undefined) return Number(row[0]);
    await sleep(5);
  }
}

/** Resolves when the pool has noticed that a worker is dead, and has another in its place. */
async function replaced(pool: RunningPool, dead: number): Promise<void> {
  for (;;) {
    const pids = await pool.pids();
    if (pids.length === 2 && !pids.includes(dead)) return;
    await sleep(5);
  }
}

test("pool answers every request that may be repeated while workers are replaced and killed", () =>
  withFolder(async (folder) => {
    const options = [
      "--min-pool-size",
      "2",
      "--max-pool-size",
      "2",
      "--worker-restart-delay",
      "5ms",
    ];
    const pool = await startPool(folder, { options });
    const load = new Load(pool.url);
    try {
      for (let i = 0; i < TIMES; i++) {
        assert.deepEqual(await pool.command("restart-workers"), ["OK"]);
      }
      const answersBefore = load.answers;
      for (let i = 0; i < TIMES; i++) {
        const pid = await aWorkingOne(pool);
        process.kill(pid, "SIGKILL");
        await replaced(pool, pid);
        const before = load.answers;
        // All that were asked then have been answered: the next one to die is not the second of any.
        while (load.answers < before + 4 * CLIENTS) await sleep(1);
      }
      assert.ok(answersBefore > 0 && load.answers > answersBefore);
      await load.stop();
      assert.deepEqual(load.failures, [], pool.started.stderr());
      const stats = await pool.command("stats");
      assert.ok(stats.includes(`worker-deaths=${TIMES}`), stats.join());
      assert.ok(stats.includes(`worker-restarts=${3 * TIMES}`), stats.join());
      assert.ok(stats.includes("requests-refused=0"), stats.join());
    } finally {
      await load.stop();
      await pool.stop();
    }
  }));
