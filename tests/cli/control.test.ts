/**
 * The control socket of whole servers: from a start that takes its time, over a kill, to a stop in
 * the midst of a snapshot.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { connectControl, type ControlConnection } from "../../adapters/control/control_client.ts";
import { openFileLog } from "../../mod.ts";
import { listening, signal, start, type Started, withFolder } from "../support/server_process.ts";

/** Asks, and resolves with all lines of the answer. */
async function ask(connection: ControlConnection, ...words: string[]): Promise<string[]> {
  const lines: string[] = [];
  const end = await connection.ask(words, (line) => void lines.push(line));
  return [...lines, end];
}

/** What `look` returns as soon as it returns, and does not throw. */
async function eventually<T>(look: () => Promise<T> | T): Promise<T> {
  for (let i = 0;; i++) {
    try {
      return await look();
    } catch (error) {
      if (i === 500) throw error;
      await setTimeout(10);
    }
  }
}

/** Ends what a test may have left running. */
async function end(...servers: Started[]): Promise<void> {
  for (const server of servers) {
    if (server.child.exitCode === null && server.child.signalCode === null) {
      signal(server, "SIGKILL");
    }
    await server.ended;
  }
}

test("a server says on its control socket how it is, makes snapshots, and takes it away", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    const pidFile = join(folder, "pid");
    const file = join(folder, "db.events");
    const options = ["--addr", "127.0.0.1:0", "--events-file", file, "--snapshot-bytes", "0"];
    const server = start("tests/support/snapshot_app.ts", options, {
      env: { ALCEDO_CTL_SOCKET: path, SNAPSHOT_APP_PID_FILE: pidFile },
    });
    try {
      const url = await listening(server);
      const connection = await connectControl(path);
      assert.deepEqual(await ask(connection, "snapshot"), [
        "the newest snapshot shows every commit already",
        "OK",
      ], "there is none to be made of nothing");
      for (const body of ["a", "b"]) await (await fetch(url, { method: "POST", body })).text();

      const stats = await ask(connection, "stats");
      assert.equal(stats.at(-1), "OK");
      const figures = Object.fromEntries(stats.slice(0, -1).map((line) => line.split("=")));
      const { "uptime-seconds": uptime, "memory-bytes": memory, "log-bytes": log, ...rest } =
        figures;
      assert.deepEqual(rest, {
        state: "ok",
        requests: "2",
        "requests-in-flight": "0",
        commits: "2",
        "writes-waiting": "0",
      });
      assert.ok(Number(uptime) < 600 && Number(memory) > 1e6 && Number(log) > 100);

      const snapshot = `${file}.snapshot-0000000000000002`;
      const other = await connectControl(path);
      const answers = await Promise.all([ask(connection, "snapshot"), ask(other, "snapshot")]);
      const [made, waited] = answers.map(([line = ""]) => line).sort();
      assert.match(made ?? "", / has the model after sequence 2 \(\d+ B\)$/);
      assert.ok(made?.startsWith(`"${snapshot}"`));
      assert.equal(waited, "the newest snapshot shows every commit already");
      assert.ok(existsSync(snapshot));
      const health = await ask(connection, "health");
      assert.deepEqual(health.map((line) => line.replaceAll(/ {2,}/g, "  ")), [
        "state  ok",
        "applied  commit 2",
        "durable  commit 2",
        `log  ${log} B`,
        "snapshot  of commit 2, 0 min old",
        "writes waiting  0",
        "models rebuilt  0",
        "bad events  0",
        "OK",
      ]);
      const [json = ""] = await ask(connection, "health", "--json");
      const { ready, state, commits, snapshot: { sequence } } = JSON.parse(json);
      assert.deepEqual({ ready, state, commits, sequence }, {
        ready: true,
        state: "ok",
        commits: 2,
        sequence: 2,
      });

      // Enough to make the next one slow.
      const body = Array.from({ length: 100_000 }, (_, i) => `text ${i}`).join("\n");
      await (await fetch(url, { method: "POST", body })).text();
      rmSync(pidFile);
      const answer = ask(connection, "snapshot");
      await eventually(() => assert.ok(existsSync(pidFile)));
      signal(server, "SIGTERM");
      assert.deepEqual(await answer, ["ERROR: the server is stopping"]);
      assert.deepEqual(await server.ended, { code: 0, signal: null });
      assert.equal(server.stderr(), "");
      const left = readdirSync(folder).filter((name) =>
        /\.(?:sock|snapshot-.*)$|^\.ctl/.test(name)
      );
      assert.deepEqual(left, ["db.events.snapshot-0000000000000002"]);
    } finally {
      await end(server);
    }
  });
});

/** A log that takes a few seconds to replay. */
async function longLog(path: string): Promise<void> {
  const log = await openFileLog(path);
  const event = new Uint8Array(256 * 1024);
  const commit = { events: [event], bytes: event.length + 3 };
  for (let i = 0; i < 32; i++) await log.append([commit]);
  await log.close();
}

test("a server that cannot start leaves no control socket", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    const options = ["--addr", "127.0.0.1:0", "--events-file", folder, "--ctl-socket", path];
    const server = start("examples/hello_world/main.ts", options);
    assert.equal((await server.ended).code, 1);
    assert.match(server.stderr(), /^alcedo: cannot open /);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test("a second server is refused, and one after a kill says at once how far its start is", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    const file = join(folder, "db.events");
    await longLog(file);
    const serve = (file: string, app: string) =>
      start(app, ["--addr", "127.0.0.1:0", "--events-file", file, "--ctl-socket", path]);
    const first = serve(join(folder, "other.events"), "examples/hello_world/main.ts");
    let last: Started | undefined;
    try {
      await listening(first);
      const second = serve(file, "tests/support/slow_replay_app.ts");
      assert.equal((await second.ended).code, 1);
      const refusal = `alcedo: cannot listen on the control socket "${path}": it is in use (pid ` +
        `${first.child.pid}, started `;
      assert.ok(second.stderr().startsWith(refusal), second.stderr());
      assert.equal(second.stderr().trimEnd().split("\n").length, 1);

      signal(first, "SIGKILL");
      await first.ended;
      assert.ok(existsSync(path), "what is killed leaves its socket");
      last = serve(file, "tests/support/slow_replay_app.ts");
      const connection = await eventually(() => connectControl(path));
      const states = new Set<string>();
      const shares: number[] = [];
      for (let isReady = false; !isReady;) {
        const lines = await ask(connection, "health");
        isReady = lines.at(-1) === "OK";
        states.add(lines.at(-1) ?? "");
        const share = /^replayed +(\d+) %$/m.exec(lines.join("\n"))?.[1];
        if (share !== undefined) shares.push(Number(share));
      }
      assert.deepEqual([...states], ["ERROR: not ready: starting", "OK"]);
      assert.ok(shares.length > 0, "it answered in the midst of the replay");
      assert.deepEqual(shares, shares.toSorted((a, b) => a - b));
      assert.deepEqual(await ask(connection, "snapshot"), [
        "ERROR: this server makes no snapshots: they need a modelVersion, and a log that it writes " +
        "itself",
      ]);
      signal(last, "SIGTERM");
      await connection.closed;
      assert.equal((await last.ended).code, 0);
      assert.equal(existsSync(path), false);
    } finally {
      await end(first, ...last === undefined ? [] : [last]);
    }
  });
});

test("a server that is told to stop while it starts takes its socket away", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    const file = join(folder, "db.events");
    await longLog(file);
    const options = ["--addr", "127.0.0.1:0", "--events-file", file, "--ctl-socket", path];
    const server = start("tests/support/slow_replay_app.ts", options);
    try {
      const connection = await eventually(() => connectControl(path));
      signal(server, "SIGTERM");
      await connection.closed;
      assert.deepEqual(await server.ended, { code: null, signal: "SIGTERM" });
      assert.equal(existsSync(path), false);
    } finally {
      await end(server);
    }
  });
});
