/** The options of `mod.ts pool`: their defaults, their other names, and what they refuse. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readPoolCall } from "../../adapters/cli/pool/options.ts";

test("pool has the defaults of what it replaces", () => {
  const { settings, command } = readPoolCall(["--", "janet", "app.janet", "--", "-x"], {});
  assert.deepEqual(command, ["janet", "app.janet", "--", "-x"]);
  assert.deepEqual(settings, {
    sizeMin: 1,
    sizeMax: 1,
    spawnTimeoutMs: 50,
    rendezvousTimeoutMs: 60_000,
    requestTimeoutMs: 60_000,
    restartDelayMs: 1000,
    attritionDelayMs: 120_000,
    healthCheckIntervalMs: 120_000,
    bodyBytesMax: 4 * 1024 * 1024,
    readTimeoutMs: 60_000,
    writeTimeoutMs: 60_000,
    backlogMax: 1024,
    static: undefined,
    staticPrefix: "/static/",
    addr: { hostname: "127.0.0.1", port: 8080 },
    ctlSocket: "./alcedo.sock",
  });
});

test("pool takes its options from arguments and the environment", () => {
  const args = ["--listen-address", ":81", "--min-pool-size=3", "--static-url-prefix", "/f/"];
  const { settings } = readPoolCall([...args, "--", "x"], {
    ALCEDO_WORKER_REQUEST_TIMEOUT: "2m",
    ALCEDO_MAX_REQUEST_BODY_SIZE: "1KiB",
    ALCEDO_MIN_POOL_SIZE: "9",
  });
  const { addr, sizeMin, sizeMax, staticPrefix, requestTimeoutMs, bodyBytesMax } = settings;
  assert.deepEqual([addr, sizeMin, sizeMax], [{ hostname: "", port: 81 }, 3, 3]);
  assert.deepEqual([staticPrefix, requestTimeoutMs, bodyBytesMax], ["/f/", 120_000, 1024]);
  assert.deepEqual(readPoolCall(["--addr", ":82"], {}).settings.addr, { hostname: "", port: 82 });
});

test("pool says what is wrong with its options", () => {
  const cases: [args: string[], message: RegExp][] = [
    [["--min-pool-size", "3", "--max-pool-size", "2"], /^--min-pool-size is 3, more than --max/],
    [["--max-pool-size", "0"], /^--max-pool-size: "0" is not a number from 1 on/],
    [["--worker-spawn-timeout", "50"], /^--worker-spawn-timeout: "50" is not a duration/],
    [["--workers", "2"], /^unknown option --workers/],
    [["janet"], /^unknown argument "janet"; the command is written after --/],
    [["--static-url-prefix", "x"], /^--static-url-prefix: /],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => readPoolCall([...args, "--", "x"], {}), { name: "UsageError", message });
  }
});
