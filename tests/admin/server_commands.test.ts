/**
 * What the commands of a single server say at the stages of its life, without one.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Life } from "../../adapters/admin/readiness.ts";
import { serverCommands } from "../../adapters/control/server_commands.ts";
import type { SnapshotKeeper } from "../../adapters/snapshots.ts";
import type { Health } from "../../runtime/engine.ts";
import { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";
import { ControlError } from "../../runtime/processes/control_command.ts";

/** A server that is only said to be there. */
function server(snapshots?: SnapshotKeeper) {
  const life = new Life();
  const requests = new RequestMetrics();
  const sources = { requests, syncs: undefined, linesDropped: undefined };
  const commands = serverCommands({
    look: () => ({ readiness: life.readiness(), ...sources }),
    snapshots,
  });
  /** The lines that a command prints, and why it fails, if it does. */
  const ask = async (name: string, ...args: string[]): Promise<string[]> => {
    const lines: string[] = [];
    try {
      await commands.find((command) => command.name === name)?.run(args, {
        signal: new AbortController().signal,
        print(line) {
          lines.push(line);
          return Promise.resolve();
        },
      });
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      lines.push(`ERROR: ${error.message}`);
    }
    return lines;
  };
  return { life, ask };
}

test("a server without a model is healthy as long as it serves, and has no snapshots", async () => {
  const { life, ask } = server();
  assert.deepEqual(await ask("health"), ["state  starting", "ERROR: not ready: starting"]);
  assert.deepEqual(await ask("snapshot"), ["ERROR: the server is starting"]);
  life.serving();
  assert.deepEqual(await ask("health"), ["state  ok"]);
  assert.deepEqual(await ask("health", "--json"), ['{"ready":true,"state":"ok"}']);
  assert.deepEqual(await ask("health", "--yaml"), ['ERROR: "--yaml" is not --json']);
  assert.match((await ask("snapshot")).join(), /^ERROR: this server makes no snapshots/);
  const names = (await ask("stats")).map((line) => line.split("=")[0]);
  assert.deepEqual(names, [
    "state",
    "uptime-seconds",
    "memory-bytes",
    "requests",
    "requests-in-flight",
  ]);
  life.stopping();
  assert.deepEqual(await ask("health"), ["state  stopping", "ERROR: not ready: stopping"]);
});

test("a server whose log has failed is not ready, and says what it may lose", async () => {
  const health = (): Health => ({
    state: "read-only: a sync failed",
    mayLose: "a loss may undo it",
    applied: 3,
    durable: 2,
    position: "p.2",
    logBytes: 2048,
    snapshot: { sequence: 1, ageMs: 119_000 },
    flushes: 2,
    commits: 2,
    writesWaiting: 4,
    rebuilds: 5,
    badEvents: 6,
  });
  const { life, ask } = server();
  life.serving({ health });
  const lines = [
    "state           read-only: a sync failed",
    "applied         commit 3",
    "durable         commit 2",
    "log             2.0 KiB",
    "snapshot        of commit 1, 1 min old",
    "writes waiting  4",
    "models rebuilt  5",
    "bad events      6",
    "durability      a loss may undo it",
  ];
  const error = "ERROR: not ready: read-only: a sync failed";
  assert.deepEqual(await ask("health"), [...lines, error]);
  life.serving({ health }, { isForReads: true });
  assert.deepEqual(await ask("health"), lines, "that is all that was promised");
});

test("a snapshot that cannot be made is an error, with its reason", async () => {
  const never = () => assert.fail("a command does not stop it");
  const { life, ask } = server({
    stop: never,
    makeLast: never,
    makeNow: () => Promise.resolve({ error: "the disk is full" }),
  });
  life.serving();
  assert.deepEqual(await ask("snapshot"), ["ERROR: the disk is full"]);
});
