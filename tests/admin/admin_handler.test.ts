/**
 * What the admin address answers in each state of a server, and in which format.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { adminHandler } from "../../adapters/admin/admin_handler.ts";
import { CLASSIC, negotiate, OPEN_METRICS } from "../../adapters/admin/exposition.ts";
import { Life } from "../../adapters/admin/readiness.ts";
import { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";
import { SyncMetrics } from "../../runtime/metrics/sync_metrics.ts";
import { parseOpenMetrics } from "../support/open_metrics.ts";
import { ask, run, words } from "../support/running.ts";

const INFO = { remoteAddress: undefined, signal: new AbortController().signal };

/** The handler for a server with this life. */
function handlerFor(life: Life, requests: RequestMetrics = new RequestMetrics()) {
  const handler = adminHandler(() => ({
    readiness: life.readiness(),
    requests,
    syncs: new SyncMetrics(),
    linesDropped: undefined,
  }));
  return async (path: string, init: RequestInit = {}): Promise<Response> =>
    await handler(new Request(`http://test${path}`, init), INFO);
}

/** What `/readyz` says, and whether `/metrics` says the same. */
async function readiness(life: Life) {
  const get = handlerFor(life);
  const ready = await get("/readyz");
  const body = await ready.json() as { ready: boolean; state: string };
  assert.equal(ready.status, body.ready ? 200 : 503);
  assert.equal((await get("/healthz")).status, 200, "the process lives in any state");
  const accept = { headers: { accept: "application/openmetrics-text" } };
  const states = parseOpenMetrics(await (await get("/metrics", accept)).text()).get("alcedo_state");
  const name = body.state.replace(/:.*$/, "");
  const ones = [...states?.values ?? []].filter(([, value]) => value === 1).map(([key]) => key);
  assert.deepEqual(ones, [`alcedo_state{state="${name}"}`]);
  return body;
}

const app = words("pure", (_request, model, { saveEvent }) => {
  saveEvent?.("word");
  return new Response(model.join(" "));
});

test("readyz refuses while the log is replayed, with how far that has come", async () => {
  const life = new Life();
  assert.deepEqual(await readiness(life), { ready: false, state: "starting" });
  const progress = { events: 5, bytes: 10, bytesTotal: 100 };
  assert.equal(life.replaying(progress), true);
  assert.deepEqual(await readiness(life), { ready: false, state: "starting", progress });
  life.serving();
  assert.deepEqual(await readiness(life), { ready: true, state: "ok" });
  assert.equal(life.replaying(progress), false, "a model is built again: that is no start");
  assert.deepEqual(await readiness(life), { ready: true, state: "ok" });
  life.stopping();
  assert.deepEqual(await readiness(life), { ready: false, state: "stopping" });
});

test("readyz is content with a full disk, and not with a log that has failed", async () => {
  const running = await run(app);
  const { clock, engine, faults } = running;
  const life = new Life();
  life.serving(engine);
  assert.deepEqual(await readiness(life), {
    ready: true,
    ...JSON.parse(JSON.stringify(engine.health())),
  });
  faults.nextAppends = "full";
  ask(running, "POST", "/");
  await clock.settle();
  const full = await readiness(life);
  assert.deepEqual([full.ready, full.state], [true, "disk full"]);
  faults.nextAppends = "failed";
  await clock.advance(1000);
  ask(running, "POST", "/");
  await clock.settle();
  const failed = await readiness(life);
  assert.deepEqual([failed.ready, failed.state], [false, "read-only: sync failed"]);
});

test("readyz is content with a log that was opened to be read, where that was asked for", async () => {
  const { engine } = await run(app);
  const state = "read-only: it was opened to be read" as const;
  const reading = { health: () => ({ ...engine.health(), state }) };
  for (const isForReads of [true, false]) {
    const life = new Life();
    life.serving(reading, { isForReads });
    const body = await readiness(life);
    assert.deepEqual([body.ready, body.state], [isForReads, state]);
  }
});

test("admin address knows three pages, which are only read", async () => {
  const get = handlerFor(new Life());
  assert.equal((await get("/")).status, 404);
  assert.equal((await get("/constructor")).status, 404);
  const posted = await get("/metrics", { method: "POST" });
  assert.equal(posted.status, 405);
  assert.equal(posted.headers.get("allow"), "GET, HEAD");
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    assert.equal((await get(path)).headers.get("cache-control"), "no-store");
  }
});

test("metrics are the same in both formats, by their names in each", async () => {
  const requests = new RequestMetrics();
  const running = await run(app);
  const fetch = requests.counted((request) => running.engine.fetch(request), running.clock);
  for (const method of ["GET", "POST", "GET"]) {
    void fetch(new Request("http://test/", { method }), INFO);
    await running.clock.settle();
  }
  const life = new Life();
  life.serving(running.engine);
  const get = handlerFor(life, requests);
  const open = await get("/metrics", { headers: { accept: "application/openmetrics-text" } });
  assert.equal(open.headers.get("content-type"), OPEN_METRICS);
  const classic = await get("/metrics");
  assert.equal(classic.headers.get("content-type"), CLASSIC);
  const valuesIn = (text: string) =>
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
      // They go on between two looks.
      .filter((line) => !line.startsWith("process_"));
  const text = await open.text();
  assert.deepEqual(valuesIn(text), valuesIn(await classic.text()));
  const families = parseOpenMetrics(text);
  assert.deepEqual(
    families.get("alcedo_http_requests")?.values,
    new Map([
      ['alcedo_http_requests_total{method="GET",status="200"}', 2],
      ['alcedo_http_requests_total{method="POST",status="200"}', 1],
    ]),
  );
  assert.equal(families.get("alcedo_commits")?.values.get("alcedo_commits_total"), 1);
  assert.equal(families.get("alcedo_durable_sequence")?.values.get("alcedo_durable_sequence"), 1);
});

test("metrics come as OpenMetrics to whoever names it, and would rather have it", () => {
  const open = [
    "application/openmetrics-text",
    "application/openmetrics-text; version=1.0.0",
    "text/plain, application/openmetrics-text",
    "Application/OpenMetrics-Text;q=0.6,text/plain;q=0.6",
    // Prometheus 2 and 3.
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2",
  ];
  for (const accept of open) assert.equal(negotiate(accept), OPEN_METRICS, accept);
  const classic = [
    null,
    "",
    "*/*",
    "text/html,application/xhtml+xml,*/*;q=0.8",
    "text/plain;version=0.0.4",
    "text/plain,application/openmetrics-text;q=0.5",
    "application/openmetrics-text;q=0",
    "application/openmetrics-text;version=2.0.0",
  ];
  for (const accept of classic) assert.equal(negotiate(accept), CLASSIC, String(accept));
});
