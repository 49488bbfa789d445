/**
 * A real server, killed with SIGKILL under load, again and again: every answer that any client
 * got is accounted for after the restart.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

const ROUNDS = process.env["ALCEDO_LONG"] ? 100 : 4;
const CLIENTS = 8;
/** Answers that must have come before the server is killed. */
const ANSWERS_MIN = 40;

test(`a server that is killed ${ROUNDS} times under load keeps all it has answered for`, async () => {
  await withFolder(async (folder) => {
    const args = ["--addr", "localhost:0", "--events-file", join(folder, "kill.events")];
    /** What was sent, and of it what was answered: in the order of its answers, by client. */
    const sent = new Set<string>();
    const answered: string[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const server = start("tests/support/diary_app.ts", args);
      const url = await listening(server);
      const entries: string[] = await (await fetch(url)).json();
      assert.equal(new Set(entries).size, entries.length, "no entry is there twice");
      for (const entry of entries) assert.ok(sent.has(entry), `${entry} was never sent`);
      const kept = new Set(entries);
      for (const entry of answered) assert.ok(kept.has(entry), `${entry} was answered for`);
      assertOrder(entries);
      if (round === ROUNDS) {
        signal(server, "SIGTERM");
        assert.equal((await server.ended).code, 0);
        return;
      }
      const before = answered.length;
      const enough = () => answered.length >= before + ANSWERS_MIN;
      let kill = () => {};
      const killed = new Promise<void>((resolve) => kill = resolve);
      const clients = Array.from({ length: CLIENTS }, async (_, client) => {
        for (let i = 0;; i++) {
          const entry = `${round}.${client}.${i}`;
          sent.add(entry);
          try {
            const response = await fetch(url, { method: "POST", body: entry });
            assert.equal(response.status, 200);
            await response.text();
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
            return; // Killed: it may be there or not.
          }
          answered.push(entry);
          if (enough()) kill();
        }
      });
      await Promise.race([killed, ...clients]);
      signal(server, "SIGKILL");
      await Promise.all(clients);
      await server.ended;
    }
  });
});

/** A client sends one entry after the other: there is no gap before one that is there. */
function assertOrder(entries: readonly string[]): void {
  const next = new Map<string, number>();
  for (const entry of entries) {
    const [, client = "", i] = /^(\d+\.\d+)\.(\d+)$/.exec(entry) ?? [];
    assert.equal(Number(i), next.get(client) ?? 0, `${entry} is in its place`);
    next.set(client, Number(i) + 1);
  }
}
