/**
 * A real server on a real disk that is full, or whose syncs fail.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statfsSync, watch, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { isInstalled, needs } from "../support/needs.ts";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

const APP = "tests/support/diary_app.ts";
const isRoot = process.getuid?.() === 0;
const testWithMount = needs("root", isRoot && canMount());
const testWithStrace = needs("strace", isInstalled("strace"));

const post = (url: string, body: string) => fetch(url, { method: "POST", body });
const entriesOf = async (url: string): Promise<string[]> => await (await fetch(url)).json();

testWithMount(
  "a full disk is answered with 507 while reads go on, and heals by itself",
  async () => {
    await withFolder(async (folder) => {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
      try {
        const ballast = join(folder, "ballast");
        const args = ["--addr", "localhost:0", "--events-file", join(folder, "full.events")];
        const server = start(APP, args);
        const url = await listening(server);
        const answered: string[] = [];
        for (let i = 0; i < 3; i++) {
          answered.push(`before ${i}`);
          assert.equal((await post(url, `before ${i}`)).status, 200);
        }
        const { bavail, bsize } = statfsSync(folder);
        writeFileSync(ballast, new Uint8Array(bavail * bsize));
        // What is left of the log's last page is still room.
        let refused: Response;
        for (let i = 0;; i++) {
          const entry = `${i} ${"x".repeat(1000)}`;
          refused = await post(url, entry);
          if (refused.status !== 200) break;
          answered.push(entry);
        }
        assert.equal(refused.status, 507);
        assert.equal(refused.headers.get("retry-after"), "1");
        assert.deepEqual(await entriesOf(url), answered);
        assert.equal((await post(url, "too soon")).status, 507);
        await rm(ballast);
        // There is room; it is looked for once a second.
        while ((await post(url, "after")).status === 507);
        answered.push("after");
        assert.deepEqual(await entriesOf(url), answered);
        signal(server, "SIGKILL");
        await server.ended;

        const again = start(APP, args);
        assert.deepEqual(await entriesOf(await listening(again)), answered);
        signal(again, "SIGTERM");
        assert.equal((await again.ended).code, 0);
      } finally {
        execFileSync("umount", ["--lazy", folder]);
      }
    });
  },
);

testWithStrace(
  "a failed sync is never acknowledged, and ends writing until a restart",
  async () => {
    await withFolder(async (folder) => {
      const args = ["--addr", "localhost:0", "--events-file", join(folder, "sync.events")];
      const server = start(APP, args);
      const url = await listening(server);
      assert.equal((await post(url, "kept")).status, 200);
      const trace = join(folder, "trace");
      const strace = await failSyncs(server.child.pid, trace);
      const inDoubt = await post(url, "in doubt");
      assert.equal(inDoubt.status, 503);
      assert.match(await readFile(trace, "utf8"), /fdatasync.*INJECTED/);
      strace.kill("SIGINT");
      await once(strace, "close");
      // The disk is well again, and the sync would succeed: it would say nothing.
      assert.equal((await post(url, "too late")).status, 503);
      assert.deepEqual(await entriesOf(url), ["kept"]);
      signal(server, "SIGTERM");
      assert.equal((await server.ended).code, 0);
      assert.equal(server.stderr().match(/AlcedoError: The log/g)?.length, 1, server.stderr());

      const again = start(APP, args);
      const [kept, ...rest] = await entriesOf(await listening(again));
      assert.equal(kept, "kept");
      assert.ok(rest.length === 0 || rest.join() === "in doubt", "its outcome was unknown");
      signal(again, "SIGTERM");
      await again.ended;
    });
  },
);

/** Makes every `fdatasync` of a process fail with EIO from now on. */
async function failSyncs(pid: number | undefined, trace: string): Promise<ChildProcess> {
  const strace = spawn("strace", [
    ...["-f", "-p", String(pid), "-o", trace],
    ...["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"],
  ], { stdio: ["ignore", "ignore", "pipe"] });
  // It says so for each thread; the file is there when it has begun.
  await once(strace.stderr, "data");
  if (!existsSync(trace)) await once(watch(join(trace, "..")), "change");
  return strace;
}

function canMount(): boolean {
  try {
    execFileSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], { stdio: "ignore" });
    return true;
  } catch {
    return false; // A container without the right to.
  }
}
