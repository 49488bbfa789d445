/**
 * Real servers that are killed while they start, at random moments and at each system call that
 * changes a file, and servers that start at the same time.
 */

import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { makeDiary, recoverDiary } from "../support/diary_file.ts";
import {
  DIARY,
  diaryArgs,
  endDiary,
  serveDiary,
  startDiary,
  withDiaries,
} from "../support/diary_server.ts";
import { listening, ROOT, RUN } from "../support/server_process.ts";
import { startUntil, testWithStrace } from "../support/strace.ts";

const IS_LONG = Boolean(process.env["ALCEDO_LONG"]);
const FORMATS = ["checked", "plain"] as const;
const ENTRIES = Array.from({ length: 20 }, (_, i) => `entry ${i}`);

/** What a server finds when it starts. */
const BEGINNINGS: readonly {
  what: string;
  make(file: string, format: LogFormat): Promise<void>;
}[] = [
  { what: "nothing", make: () => Promise.resolve() },
  {
    what: "a torn tail",
    async make(file, format): Promise<void> {
      await makeDiary(file, ENTRIES, { format, isCrashed: true });
      appendFileSync(file, new Uint8Array(50).fill(0x7f));
    },
  },
];

/** Holds what is found after a kill against what there was before. */
async function assertSound(file: string, hadEntries: boolean, when: string): Promise<void> {
  assert.deepEqual(await recoverDiary(file), hadEntries ? ENTRIES : [], when);
  const left = readdirSync(join(file, "..")).filter((name) => /\.new-|-new$/.test(name));
  assert.deepEqual(left, [], when);
}

test("a server that is killed at a random moment of its start leaves a sound log", async () => {
  await withDiaries((folder) =>
    Promise.all(FORMATS.map(async (format) => {
      const begin = Date.now();
      await (await serveDiary(join(folder, `${format}.events`))).kill();
      const startMs = Date.now() - begin;
      for (let round = 0; round < (IS_LONG ? 50 : 2); round++) {
        const { make, what } = BEGINNINGS[round % 2] ?? assert.fail();
        const inner = join(folder, `${format}-${round}`);
        mkdirSync(inner);
        const file = join(inner, "db.events");
        await make(file, format);
        const server = startDiary(file, ["--events-format", format]);
        const ms = startMs * (0.5 + Math.random() * 0.6);
        await setTimeout(ms);
        await endDiary(server, "SIGKILL");
        await assertSound(file, what !== "nothing", `${format}, ${what}, after ${ms} ms`);
      }
    }))
  );
});

/** The system calls by which the runtimes change files. */
const CALLS = ["pwrite64", "fdatasync", "fsync", "link,linkat", "rename", "unlink", "ftruncate"];

testWithStrace("a server that is killed at a step of its start leaves a sound log", async () => {
  await withDiaries((folder) =>
    Promise.all(FORMATS.map(async (format) => {
      let count = 0;
      for (const { make, what } of BEGINNINGS) {
        /** Starts a server that is killed; `false` if it listened before. */
        const isKilled = async (call: string, nth: number): Promise<boolean> => {
          const inner = join(folder, `${format}-${count++}`);
          mkdirSync(inner);
          const file = join(inner, "db.events");
          await make(file, format);
          const files = [inner, file, `${file}.mark`, `${file}.mark-new`, `${file}.lock`];
          const command = [
            ...RUN,
            join(ROOT, DIARY),
            ...diaryArgs(file, ["--events-format", format]),
          ];
          const printed = await startUntil(command, { call, nth, files });
          await assertSound(file, what !== "nothing", `${format}, ${what}, ${call} ${nth}`);
          return printed === "";
        };
        if (IS_LONG) {
          let kills = 0;
          for (const call of CALLS) {
            let nth = 1;
            while (await isKilled(call, nth)) nth++;
            kills += nth - 1;
          }
          assert.ok(kills > 10, `a start has more than ${kills} steps`);
        } else {
          const call = CALLS[Math.floor(Math.random() * CALLS.length)] ?? assert.fail();
          await isKilled(call, 1 + Math.floor(Math.random() * 3));
        }
      }
    }))
  );
});

test("of servers that begin the same log at once one wins, and the others name it", async () => {
  await withDiaries((folder) =>
    Promise.all(FORMATS.map(async (format) => {
      const file = join(folder, `${format}.events`);
      const servers = Array.from(
        { length: 3 },
        () => startDiary(file, ["--events-format", format]),
      );
      const urls = await Promise.all(servers.map((server) => listening(server).catch(() => "")));
      const winner = urls.findIndex((url) => url !== "");
      const { pid } = servers[winner]?.child ?? assert.fail("one must listen");
      for (const [i, server] of servers.entries()) {
        if (i === winner) continue;
        assert.equal((await server.ended).code, 1);
        assert.match(server.stderr(), new RegExp(`^alcedo: Cannot open log .* \\(pid ${pid}, `));
      }
      const post = await fetch(urls[winner] ?? "", { method: "POST", body: "mine" });
      assert.equal(post.status, 200);
      await endDiary(servers[winner] ?? assert.fail(), "SIGKILL");
      assert.deepEqual(await recoverDiary(file), ["mine"]);
    }))
  );
});
