/**
 * A real server, killed with SIGKILL under load, again and again: every answer that any client
 * got is accounted for after the restart.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { ClientLoad } from "../support/client_load.ts";
import { serveDiary, withDiaries } from "../support/diary_server.ts";

const ROUNDS = process.env["ALCEDO_LONG"] ? 100 : 2;
/** Answers that must have come before the server is killed. */
const ANSWERS_MIN = 40;

const KINDS = [["checked", "always"], ["plain", "always"], ["checked", "no"]] as const;

test(`a server that is killed ${ROUNDS} times under load keeps all it has answered for`, async () => {
  await withDiaries((folder) =>
    // What is lost with the power is not lost with a process: with no durability either.
    Promise.all(KINDS.map(async ([format, durability]) => {
      const file = join(folder, `${format}-${durability}.events`);
      const args = ["--events-format", format, "--durability", durability];
      const load = new ClientLoad();
      for (let round = 0; round < ROUNDS; round++) {
        const server = await serveDiary(file, args);
        load.assertKept(await server.entries());
        const clients = load.run(server.url);
        await load.reach(load.counts.answered + ANSWERS_MIN);
        await server.kill();
        await clients;
        assert.equal(load.counts.refused, 0);
      }
      const server = await serveDiary(file, args);
      load.assertKept(await server.entries());
      assert.equal(await server.stop(), 0);
    }))
  );
});
