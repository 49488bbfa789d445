/**
 * Health, metrics and the access log of whole servers, over real sockets: from a start that takes its
 * time to a stop that does.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { openFileLog } from "../../mod.ts";
import { parseOpenMetrics } from "../support/open_metrics.ts";
import { listening, signal, start, type Started, withFolder } from "../support/server_process.ts";

const APP = "tests/support/diary_app.ts";

/** Calls `body` with a server and a folder for its log; no server outlives it. */
async function withServer(
  file: string,
  more: readonly string[],
  body: (server: Started, folder: string) => Promise<void>,
  prepare: (eventsFile: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await withFolder(async (folder) => {
    const eventsFile = join(folder, "admin.events");
    await prepare(eventsFile);
    const server = start(file, ["--addr", "127.0.0.1:0", "--events-file", eventsFile, ...more]);
    try {
      await body(server, folder);
    } finally {
      if (server.child.exitCode === null) signal(server, "SIGKILL");
      await server.ended;
    }
  });
}

/** Resolves with the URL of the admin address once it answers. */
async function admin(server: Started): Promise<string> {
  const url = () => /^alcedo: health and metrics are on (http:\S+)$/m.exec(server.stderr())?.[1];
  const { stderr } = server.child;
  assert.ok(stderr !== null);
  while (url() === undefined) {
    await Promise.race([
      once(stderr, "data"),
      server.ended.then(() => assert.fail(server.stderr())),
    ]);
  }
  return url() ?? "";
}

async function metricsOf(url: string) {
  const response = await fetch(`${url}/metrics`, {
    headers: { accept: "application/openmetrics-text" },
  });
  const families = parseOpenMetrics(await response.text());
  const value = (key: string): number | undefined =>
    families.get(key.replace(/\{.*$/, "").replace(/_(?:total|count|sum|bucket)$/, ""))
      ?.values.get(key);
  return { families, value };
}

/** The lines of the access log, as what they say. */
function logOf(server: Started): Record<string, unknown>[] {
  const [first = "", ...lines] = server.stdout().trimEnd().split("\n");
  assert.match(first, /^Listening on /, "the first line is the address");
  return lines.map((line) => JSON.parse(line));
}

test("--admin-addr shows health and metrics of what was served, and --access-log each exchange", async () => {
  const options = ["--admin-addr", ":0", "--access-log", "json"];
  await withServer(APP, options, async (server, folder) => {
    const url = await listening(server);
    const watched = await admin(server);
    assert.match(watched, /^http:\/\/127\.0\.0\.1:\d+$/, "this machine alone");
    assert.equal(await (await fetch(`${watched}/healthz`)).text(), "ok\n");
    const before = await metricsOf(watched);
    assert.equal(before.families.has("alcedo_http_requests"), false, "it does not count itself");

    const post = async (body: string) => (await fetch(url, { method: "POST", body })).status;
    assert.deepEqual([await post("a"), await post("b"), await post("")], [200, 200, 422]);
    await (await fetch(`${url}/%22a%20b%22?token=secret`)).text();
    await (await fetch(`${url}/boom`)).text();
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const headers = { traceparent: `00-${trace}-00f067aa0ba902b7-01` };
    const seen = await (await fetch(`${url}/traceparent`, { headers })).text();
    const written = await (await fetch(`${url}/traceparent`, { headers, method: "PUT" })).text();

    const { value, families } = await metricsOf(watched);
    assert.deepEqual([...families.get("alcedo_http_requests")?.values ?? []], [
      ['alcedo_http_requests_total{method="GET",status="200"}', 2],
      ['alcedo_http_requests_total{method="GET",status="500"}', 1],
      ['alcedo_http_requests_total{method="POST",status="200"}', 2],
      ['alcedo_http_requests_total{method="POST",status="422"}', 1],
      ['alcedo_http_requests_total{method="PUT",status="200"}', 1],
    ]);
    assert.equal(value('alcedo_http_request_duration_seconds_count{method="GET"}'), 3);
    assert.equal(value('alcedo_http_request_duration_seconds_count{method="POST"}'), 3);
    const health = await (await fetch(`${watched}/readyz`)).json();
    const { commits, logBytes } = health;
    assert.equal(health.ready, true);
    assert.equal(value("alcedo_commits_total"), commits);
    assert.equal(commits, 2);
    assert.equal(value("alcedo_commits_per_sync_sum"), commits);
    assert.equal(value("alcedo_syncs_total"), value("alcedo_sync_duration_seconds_count"));
    assert.ok((value("alcedo_sync_duration_seconds_sum") ?? 0) > 0);
    assert.equal(value("alcedo_log_bytes"), logBytes);
    assert.equal(value("alcedo_applied_sequence"), health.applied);
    assert.equal(value("alcedo_durable_sequence"), health.durable);
    for (const name of ["alcedo_writes_waiting", "alcedo_rebuilds_total", "alcedo_bad_events"]) {
      assert.equal(value(name), 0);
    }
    assert.equal(value("alcedo_access_log_lines_dropped_total"), 0);
    assert.ok((value("process_resident_memory_bytes") ?? 0) > 1e6);
    const age = Date.now() / 1000 - (value("process_start_time_seconds") ?? 0);
    assert.ok(age > 0 && age < 600, `${age}`);
    assert.equal(families.get("alcedo_build_info")?.values.size, 1);

    // It stops, while a write is in hand: not ready, but alive, up to the last answer.
    const until = join(folder, "go");
    const slow = fetch(`${url}/slow?until=${until}`, { method: "POST", body: "c" });
    while ((await metricsOf(watched)).value("alcedo_http_requests_in_flight") !== 1);
    signal(server, "SIGTERM");
    let ready: Response;
    do ready = await fetch(`${watched}/readyz`); while (ready.status === 200);
    assert.equal(ready.status, 503);
    assert.equal((await ready.json()).state, "stopping");
    assert.equal((await fetch(`${watched}/healthz`)).status, 200);
    await writeFile(until, "");
    assert.equal((await slow).status, 200);
    assert.deepEqual(await server.ended, { code: 0, signal: null });

    const log = logOf(server);
    assert.deepEqual(log.map(({ method, path, status }) => `${method} ${path} ${status}`), [
      "POST / 200",
      "POST / 200",
      "POST / 422",
      "GET /%22a%20b%22 200",
      "GET /boom 500",
      "GET /traceparent 200",
      "PUT /traceparent 200",
      "POST /slow 200",
    ]);
    for (const { time, duration_ms: ms, remote } of log) {
      assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 600_000);
      assert.ok(typeof ms === "number" && ms >= 0);
      assert.match(String(remote), /^127\.0\.0\.1:\d+$/);
    }
    assert.equal(new Set(log.map(({ span_id: id }) => id)).size, log.length);
    assert.equal(seen, `00-${trace}-${log[5]?.span_id}-01`);
    assert.equal(written, `00-${trace}-${log[6]?.span_id}-01`);
    assert.equal(log[5]?.trace_id, trace);
  });
});

test("readyz says how far a long start has come, on an address that answers from the first moment", async () => {
  const prepare = async (eventsFile: string): Promise<void> => {
    const log = await openFileLog(eventsFile);
    const event = new Uint8Array(256 * 1024);
    const commit = { events: [event], bytes: event.length + 3 };
    for (let i = 0; i < 32; i++) await log.append([commit]);
    await log.close();
  };
  await withServer("tests/support/slow_replay_app.ts", ["--admin-addr", ":0"], async (server) => {
    const watched = await admin(server);
    const states = new Set<string>();
    let events = 0;
    for (;;) {
      const ready = await fetch(`${watched}/readyz`);
      const { state, progress } = await ready.json();
      states.add(`${ready.status} ${state}`);
      if (progress !== undefined) {
        assert.ok(progress.events >= events && progress.bytes <= progress.bytesTotal);
        events = progress.events;
        assert.equal((await fetch(`${watched}/healthz`)).status, 200);
      }
      if (ready.ok) break;
    }
    assert.deepEqual([...states], ["503 starting", "200 ok"]);
    assert.ok(events > 0, "it answered in the midst of the replay");
    assert.equal(await (await fetch(await listening(server))).text(), "32");
    signal(server, "SIGTERM");
    assert.deepEqual(await server.ended, { code: 0, signal: null });
    assert.match(server.stdout(), /^Listening on \S+\n$/, "no access log unless asked for");
  }, prepare);
});

test("an admin address in use is said in one line, with exit code 1", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  assert.ok(typeof address === "object" && address !== null);
  await withServer(APP, ["--admin-addr", `:${address.port}`], async (server) => {
    assert.equal((await server.ended).code, 1);
    assert.match(
      server.stderr(),
      /^alcedo: cannot listen on 127\.0\.0\.1:\d+: the port is in use; .* --admin-addr\n$/,
    );
    assert.equal(server.stdout(), "");
  });
  other.close();
  await once(other, "close");
});
