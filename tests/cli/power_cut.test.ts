/**
 * Real servers whose disk loses its power under load: a file system on a loop device is shut
 * down, so that what was not synced by then never gets to its image, and is mounted again.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { ClientLoad } from "../support/client_load.ts";
import { recoverDiary } from "../support/diary_file.ts";
import { serveDiary } from "../support/diary_server.ts";
import { needsDisk, withDisk } from "../support/mounted_disk.ts";

const FORMATS = ["checked", "plain"] as const;
const ROUNDS = process.env["ALCEDO_LONG"] ? 50 : 2;
/** Answers that each server must have given before the power is cut. */
const ANSWERS_MIN = 30;
const MEBIBYTES = { ext4: 64, xfs: 300 } as const;

for (const system of ["ext4", "xfs"] as const) {
  needsDisk(system)(
    `nothing acknowledged is missing after ${ROUNDS} power cuts under load on ${system}`,
    async () => {
      await withDisk(system, async (disk) => {
        const logs = FORMATS.map((format) => ({
          format,
          file: join(disk.folder, `${format}.events`),
          load: new ClientLoad(),
        }));
        for (let round = 0; round < ROUNDS; round++) {
          const running = await Promise.all(logs.map(async ({ format, file, load }) => {
            const server = await serveDiary(file, ["--events-format", format]);
            load.assertKept(await server.entries());
            return { server, load, enough: load.counts.answered + ANSWERS_MIN };
          }));
          const clients = running.map(({ server, load }) => load.run(server.url));
          await Promise.all(running.map(({ load, enough }) => load.reach(enough)));
          // A machine that loses its power stops at once; some disks are quicker than that.
          const kill = () => Promise.all(running.map(({ server }) => server.kill()));
          if (round % 2 === 0) await kill();
          disk.cut();
          await kill();
          await Promise.all(clients);
          disk.remount();
        }
        for (const { file, load } of logs) load.assertKept(await recoverDiary(file));
      }, MEBIBYTES[system]);
    },
  );
}

const WEAKER = [["checked", "everysec"], ["plain", "everysec"], ["checked", "no"]] as const;

/** Milliseconds that a log with `everysec` is written to before its power is cut. */
const EVERYSEC_MS = 2500;

needsDisk("ext4")(
  "a power cut undoes what a weaker durability says it may, and no more",
  async () => {
    await withDisk("ext4", async (disk) => {
      const running = await Promise.all(WEAKER.map(async ([format, durability]) => {
        const file = join(disk.folder, `${format}-${durability}.events`);
        const args = ["--events-format", format, "--durability", durability];
        const server = await serveDiary(file, args);
        assert.match(
          server.stderr(),
          new RegExp(`--durability ${durability}: a loss of power may`),
        );
        assert.match((await server.health()).mayLose ?? "", /a loss of power may/);
        return { file, durability, server, load: new ClientLoad({ clients: 2, paceMs: 5 }) };
      }));
      const start = performance.now();
      const clients = running.map(({ server, load }) => load.run(server.url));
      await setTimeout(EVERYSEC_MS);
      const cutAt = performance.now();
      disk.cut();
      await Promise.all(running.map(({ server }) => server.kill()));
      await Promise.all(clients);
      disk.remount();
      for (const { file, durability, load } of running) {
        const since = durability === "everysec" ? cutAt - 2000 : start;
        const lost = load.assertKeptUntil(await recoverDiary(file), since);
        // The last sync of `everysec` may have been a moment ago.
        assert.ok(lost > 0 || durability === "everysec", "there was something to lose");
      }
    }, MEBIBYTES.ext4);
  },
);
