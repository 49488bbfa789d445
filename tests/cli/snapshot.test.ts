/**
 * Snapshots of a real server's log: made by another process while the server answers, and begun with
 * at the next start, unless they are damaged or of another version.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { listening, signal, start, type Started, withFolder } from "../support/server_process.ts";

const APP = "tests/support/snapshot_app.ts";

interface Answer {
  /** How many texts the model has, the last of them, and how many the process was given. */
  readonly texts: number;
  readonly last?: string;
  readonly applied: number;
  readonly snapshot?: { readonly sequence: number; readonly ageMs: number };
}

interface Server {
  readonly started: Started;
  look(): Promise<Answer>;
  post(text: string): Promise<Answer>;
}

/** Serves while `body` runs, then stops in order; returns what was printed to standard error. */
async function serving(
  folder: string,
  args: readonly string[],
  env: Record<string, string>,
  body: (server: Server) => Promise<void>,
): Promise<string> {
  const file = join(folder, "db.events");
  const started = start(APP, ["--addr", ":0", "--events-file", file, ...args], { env });
  try {
    const url = await listening(started);
    const ask = async (init?: RequestInit) => await (await fetch(url, init)).json();
    await body({ started, look: ask, post: (text) => ask({ method: "POST", body: text }) });
  } finally {
    if (started.child.exitCode === null && started.child.signalCode === null) {
      signal(started, "SIGTERM");
    }
    await started.ended;
  }
  return started.stderr();
}

/** Waits until something is so. */
async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let i = 0; i < 600; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await setTimeout(50);
  }
  throw new Error("it never came to be");
}

function snapshotsIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes(".snapshot-"));
}

/** Posts so many texts, with one request. */
function many(count: number): string {
  return Array.from({ length: count }, (_, i) => `text ${i}`).join("\n");
}

/** Changes one byte of a file that is there. */
function damage(path: string, at: (bytes: Buffer) => number): void {
  const bytes = readFileSync(path);
  const place = at(bytes);
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

test("a server makes a snapshot while it answers, and the next start begins with it", async () => {
  await withFolder(async (folder) => {
    const printed = await serving(folder, ["--snapshot-bytes", "10KiB"], {}, async (server) => {
      assert.equal((await server.post("first")).snapshot, undefined);
      await server.post(many(5000));
      const { sequence, ageMs } = await eventually(async () => (await server.look()).snapshot);
      assert.equal(sequence, 2);
      assert.ok(ageMs >= 0 && ageMs < 60_000, `${ageMs}`);
      assert.equal((await server.post("more")).texts, 5002);
    });
    assert.equal(printed, "");
    assert.deepEqual(snapshotsIn(folder), ["db.events.snapshot-0000000000000002"]);
    // What the snapshot shows is not looked at: it may be damaged.
    damage(join(folder, "db.events"), (bytes) => bytes.indexOf("text 100"));
    const printedThen = await serving(folder, ["--snapshot-on-stop"], {}, async (server) => {
      const { texts, last, applied, snapshot } = await server.look();
      assert.deepEqual({ texts, last, applied }, { texts: 5002, last: "more", applied: 1 });
      assert.equal(snapshot?.sequence, 2);
    });
    assert.equal(printedThen, "");
    assert.deepEqual(snapshotsIn(folder), ["db.events.snapshot-0000000000000003"]);
    await serving(folder, [], {}, async (server) => {
      const { texts, applied } = await server.look();
      assert.deepEqual({ texts, applied }, { texts: 5002, applied: 0 });
    });
  });
});

test("a snapshot that is damaged, or of another version, is passed over with a warning", async () => {
  await withFolder(async (folder) => {
    const name = join(folder, "db.events.snapshot-0000000000000001");
    await serving(folder, ["--snapshot-on-stop"], {}, async (server) => {
      await server.post(many(100));
    });
    assert.ok(existsSync(name));
    const replayed = async (server: Server) => {
      const { texts, applied } = await server.look();
      assert.deepEqual({ texts, applied }, { texts: 100, applied: 100 });
    };
    const printed = await serving(folder, [], { SNAPSHOT_APP_VERSION: "2" }, replayed);
    assert.match(printed, /^alcedo: The snapshot ".*" is passed over: its model has version "1"/);
    assert.equal(printed.trimEnd().split("\n").length, 1);
    damage(name, (bytes) => bytes.length - 10);
    assert.match(await serving(folder, [], {}, replayed), /is passed over: its body is damaged\./);
    // Of the other version one is made; then that is the newest.
    const env = { SNAPSHOT_APP_VERSION: "2" };
    await serving(folder, ["--snapshot-bytes", "1B"], env, async (server) => {
      await eventually(async () => (await server.look()).snapshot);
    });
    await serving(folder, [], env, async (server) => {
      assert.equal((await server.look()).applied, 0);
    });
  });
});

test("a server whose model cannot be kept says so, and answers on", async () => {
  await withFolder(async (folder) => {
    const env = { SNAPSHOT_APP_FAULT: "1" };
    const printed = await serving(folder, ["--snapshot-bytes", "1B"], env, async (server) => {
      await server.post("one");
      await eventually(() => server.started.stderr() || undefined);
      assert.equal((await server.post("two")).texts, 2);
    });
    assert.match(
      printed,
      /^alcedo: No snapshot of ".*" could be made, so the next start takes longer;/,
    );
    assert.match(printed, /tried again in 1 min: Cannot encode model: model\.look is a function/);
    assert.equal(printed.trimEnd().split("\n").length, 1);
    assert.deepEqual(snapshotsIn(folder), []);
  });
});

test("a process that makes a snapshot ends when its server is killed, or stops", async () => {
  await withFolder(async (folder) => {
    for (const name of ["SIGKILL", "SIGTERM"] as const) {
      const pidFile = join(folder, name);
      const env = { SNAPSHOT_APP_PID_FILE: pidFile };
      await serving(folder, ["--snapshot-bytes", "1KiB"], env, async (server) => {
        // Enough for seconds of replay.
        await server.post(many(100_000));
        const pid = await eventually(() =>
          existsSync(pidFile) && readFileSync(pidFile, "utf8") || undefined
        );
        signal(server.started, name);
        await server.started.ended;
        await eventually(() => hasEnded(Number(pid)) || undefined);
      });
      assert.deepEqual(snapshotsIn(folder), []);
    }
  });
});

/** Whether a process is gone, or only waits for its parent to ask after it. */
function hasEnded(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
