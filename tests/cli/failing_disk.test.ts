/**
 * A real server on a real disk that is full, or on which system calls fail: what its clients and
 * its operator are told meanwhile, and what is found afterwards.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ClientLoad } from "../support/client_load.ts";
import {
  type DiaryServer,
  refusedDiary,
  serveDiary,
  withDiaries,
} from "../support/diary_server.ts";
import { recoverDiary } from "../support/diary_file.ts";
import { needsDisk, withDisk } from "../support/mounted_disk.ts";
import { RUNTIME } from "../support/runtime.ts";
import { inject, testWithStrace } from "../support/strace.ts";

const IS_LONG = Boolean(process.env["ALCEDO_LONG"]);
const FORMATS = ["checked", "plain"] as const;

/**
 * A write that says it has written less. Deno writes on until the counts add up to the whole, which
 * those of calls that only pretend may do: there, the next call says why.
 */
const SHORT = RUNTIME === "deno" ? "error=EDQUOT" : "retval=9";

/** Faults after which nothing is known of what was being written. */
const FATAL: readonly (readonly [what: string, faults: string[], clients: number])[] = [
  // One client's sync is in the foreground, that of several in the background.
  ["EIO from a sync", ["fdatasync:error=EIO"], 1],
  ["EIO from a sync in the background", ["fdatasync:error=EIO"], 8],
  ["ENOSPC from a sync", ["fdatasync:error=ENOSPC"], 8],
  ["EIO from a write", ["pwrite64:error=EIO"], 2],
  ["EROFS from a write", ["pwrite64:error=EROFS"], 2],
  ["no room, and no way back", ["pwrite64:error=ENOSPC", "ftruncate:error=EIO"], 2],
  ["no room, and a way back that fails", [`pwrite64:${SHORT}`, "fdatasync:error=EIO"], 2],
];

const callOf = (fault: string): string => fault.slice(0, fault.indexOf(":"));

testWithStrace("after a failed sync or write nothing is acknowledged until a restart", async () => {
  await withDiaries((folder) =>
    Promise.all(FORMATS.map(async (format) => {
      const file = join(folder, `${format}.events`);
      // The one keeps the last durable model; the other must build it again.
      const env = { DIARY_STYLE: format === "plain" ? "in-place" : "pure" };
      let server = await serveDiary(file, ["--events-format", format], env);
      // In either format it is the same code that meets the fault.
      const mine = FATAL.filter((_, i) => IS_LONG || FORMATS[i % FORMATS.length] === format);
      for (const [what, faults, clients] of mine) {
        assert.equal(await server.post(`before ${what}`), 200);
        const kept = await server.entries();
        const trace = `${file}.trace-${kept.length}`;
        const injection = await inject(server.pid, { file, faults, trace });
        const inDoubt = Array.from({ length: clients }, (_, i) => `${what} ${i}`);
        const statuses = await Promise.all(inDoubt.map(server.post));
        assert.deepEqual(statuses, inDoubt.map(() => 503), what);
        const calls = injection.trace();
        for (const fault of faults) {
          assert.match(calls, new RegExp(`${callOf(fault)}\\(.*INJECTED`));
        }
        assert.equal(await server.post("while it fails"), 503);
        assert.equal(injection.trace(), calls, "nothing is tried again");
        await injection.end();

        // The disk is well again, and a sync would succeed: it would say nothing.
        const left = readFileSync(file);
        assert.equal(await server.post("too late"), 503);
        assert.deepEqual(await server.entries(), kept);
        const { state, durable } = await server.health();
        assert.match(
          state,
          /^read-only: The log ".*" (could not|cannot) be |is full and could not/,
        );
        assert.equal(durable, kept.length);
        assert.equal(await server.stop(), 0);
        assert.deepEqual(readFileSync(file), left, "not written to, not even when it was closed");
        assert.equal(server.stderr().match(/AlcedoError: The log/g)?.length, 1, server.stderr());

        server = await serveDiary(file, [], env);
        const found = await server.entries();
        assert.deepEqual(found.splice(0, kept.length), kept);
        for (const entry of found) assert.ok(inDoubt.includes(entry), `${entry} was refused`);
      }
    }))
  );
});

/** Every way to say so; what a full disk does to either format is tested on one. */
const NO_ROOM = { checked: ["error=ENOSPC", SHORT], plain: ["error=EDQUOT", "error=EFBIG"] };

testWithStrace("a write without room is answered with 507, and heals by itself", async () => {
  await withDiaries((folder) =>
    Promise.all(FORMATS.map(async (format) => {
      const file = join(folder, `${format}.events`);
      const args = ["--events-format", format];
      const server = await serveDiary(file, args);
      const answered: string[] = [];
      for (const fault of NO_ROOM[format]) {
        answered.push(`before ${fault}`);
        assert.equal(await server.post(`before ${fault}`), 200);
        const { logBytes } = await server.health();
        const trace = `${file}.trace-${fault}`;
        const injection = await inject(server.pid, { file, faults: [`pwrite64:${fault}`], trace });
        assert.deepEqual(await Promise.all(["a", "b", "c"].map(server.post)), [507, 507, 507]);
        assert.match(injection.trace(), /pwrite64\(.*INJECTED/);
        assert.equal(readFileSync(file).length, logBytes, "it is cut back to its end");
        assert.equal((await server.health()).state, "disk full");
        await injection.end();
        assert.deepEqual(await server.entries(), answered);
        await healed(server, "after");
        answered.push("after");
        assert.equal((await server.health()).state, "ok");
      }
      await server.kill();
      assert.deepEqual(await recoverDiary(file), answered);
    }))
  );
});

/** Writes until it succeeds: room is looked for once a second. */
async function healed(server: DiaryServer, entry: string): Promise<void> {
  for (;;) {
    const status = await server.post(entry);
    if (status === 200) return;
    assert.equal(status, 507);
  }
}

for (const system of ["tmpfs", "ext4"] as const) {
  needsDisk(system)(
    `a full ${system} is answered with 507 under load, loses nothing, and heals by itself`,
    async () => {
      await withDisk(system, async ({ folder, fill }) => {
        const logs = await Promise.all(FORMATS.map(async (format) => {
          const file = join(folder, `${format}.events`);
          const server = await serveDiary(file, ["--events-format", format]);
          return { file, server, load: new ClientLoad({ padding: "x".repeat(1000), paceMs: 10 }) };
        }));
        const each = (step: (log: typeof logs[number]) => Promise<void>) =>
          Promise.all(logs.map(step));
        const more = (load: ClientLoad) => {
          const enough = load.counts.answered + 20;
          return () => load.counts.answered >= enough;
        };
        await each(({ server, load }) => load.run(server.url, more(load)));
        const makeRoom = fill();
        await each(async ({ server, load }) => {
          // What is left of the log's last block is still room.
          await load.run(server.url, () => load.counts.refused > 0);
          const refused = await fetch(server.url, { method: "POST", body: "refused" });
          assert.equal(refused.status, 507);
          assert.equal(refused.headers.get("retry-after"), "1");
          assert.equal((await server.health()).state, "disk full");
          load.assertKept(await server.entries());
        });
        makeRoom();
        await each(async ({ file, server, load }) => {
          await load.run(server.url, more(load));
          assert.equal((await server.health()).state, "ok");
          assert.equal(load.counts.inDoubt, 0);
          await server.kill();
          load.assertKept(await recoverDiary(file));
        });
      });
    },
  );
}

needsDisk("ext4")(
  "a start on a full disk serves reads, and writes when there is room",
  async () => {
    await withDisk("ext4", async ({ folder, fill }) => {
      const logs = await Promise.all(FORMATS.map(async (format) => {
        const file = join(folder, `${format}.events`);
        return { file, server: await serveDiary(file, ["--events-format", format]), answered: 0 };
      }));
      const makeRoom = fill();
      for (const log of logs) {
        // Until the last block has no room either: not for what a start notes in a checked log.
        while (await log.server.post("x") === 200) log.answered++;
        await log.server.kill();
        const left = readFileSync(log.file);
        log.server = await serveDiary(log.file);
        assert.equal((await log.server.entries()).length, log.answered);
        assert.equal(await log.server.post("x".repeat(2000)), 507);
        assert.deepEqual(readFileSync(log.file), left);
      }
      // With a weaker durability a start has something to note that must not be missing.
      const { server, file } = logs[0] ?? assert.fail();
      assert.match(server.stderr(), /is full: nothing can be saved until there is room/);
      await server.kill();
      const { stderr, code } = await refusedDiary(file, ["--durability", "no"]);
      assert.match(
        stderr,
        /^alcedo: Cannot write ".*checked\.events": no space left on the disk\n$/,
      );
      assert.equal(code, 1);

      logs[0] = { ...logs[0] ?? assert.fail(), server: await serveDiary(file) };
      makeRoom();
      for (const { server, file, answered } of logs) {
        await healed(server, "after");
        await server.kill();
        assert.equal((await recoverDiary(file)).length, answered + 1);
      }
    });
  },
);
