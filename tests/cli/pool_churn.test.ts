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

/** Resolves when all workers are there that there shall be. */
async function complete(pool: RunningPool): Promise<void> {
  while (!(await pool.command("stats")).includes("workers=2")) await sleep(5);
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
      const replaced = load.answers;
      for (let i = 0; i < TIMES; i++) {
        const before = load.answers;
        const [pid = 0] = await pool.pids();
        process.kill(pid, "SIGKILL");
        await complete(pool);
        // Both have answered again: the next one to die is not the second for any request.
        while (load.answers < before + 4 * CLIENTS && load.failures.length === 0) await sleep(1);
      }
      assert.ok(replaced > 0 && load.answers > replaced);
      await load.stop();
      assert.deepEqual(load.failures, []);
      const stats = await pool.command("stats");
      assert.ok(stats.includes(`worker-deaths=${TIMES}`), stats.join());
      assert.ok(stats.includes(`worker-restarts=${3 * TIMES}`), stats.join());
      assert.ok(stats.includes("requests-refused=0"), stats.join());
    } finally {
      await load.stop();
      await pool.stop();
    }
  }));
