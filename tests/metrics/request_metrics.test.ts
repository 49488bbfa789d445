/**
 * Counting requests and syncs: each once, under a method and a status, in the right bucket.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HttpError } from "../../runtime/errors.ts";
import { Histogram } from "../../runtime/metrics/histogram.ts";
import { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";
import type { FetchHandler } from "../../runtime/http/fetch_handler.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

test("histogram counts what a list of all values would count", async () => {
  const bounds = fc.uniqueArray(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 5 });
  const values = fc.array(fc.integer({ min: -10, max: 10 }));
  await holds(200, fc.tuple(bounds, values), ([unsorted, values]) => {
    const bounds = unsorted.toSorted((a, b) => a - b);
    const histogram = new Histogram(bounds);
    for (const value of values) histogram.observe(value);
    const upTo = [...bounds, Infinity].map((bound) => values.filter((it) => it <= bound).length);
    assert.deepEqual(histogram.cumulative(), upTo);
    assert.equal(histogram.count, values.length);
    assert.equal(histogram.sum, values.reduce((sum, value) => sum + value, 0));
  });
});

const INFO = { remoteAddress: undefined, signal: new AbortController().signal };

/** A request of any method: `Request` itself refuses some. */
function requestOf(method: string): Request {
  const request = new Request("http://test/");
  Object.defineProperty(request, "method", { value: method });
  return request;
}

test("request metrics count each answer once, whatever it is and however it comes", async () => {
  const metrics = new RequestMetrics();
  const clock = new SimulatedClock();
  const ask = async (method: string, handler: FetchHandler): Promise<void> => {
    const fetch = metrics.counted(handler, clock);
    await Promise.try(() => fetch(requestOf(method), INFO)).catch(() => {});
  };
  await ask("GET", () => new Response());
  await ask("GET", () => new Response(null, { status: 304 }));
  await ask("GET", () => Promise.resolve(new Response(null, { status: 304 })));
  await ask("POST", () => Promise.reject(new HttpError(422, "empty")));
  await ask("POST", () => {
    throw new Error("a defect");
  });
  // What no type allows: an adapter answers with 500.
  await ask("PUT", () => undefined as never);
  await ask("PUT", () => Response.error());
  // Methods that clients make up are one.
  await ask("BREW", () => new Response());
  await ask("WHEN", () => new Response());
  assert.deepEqual(metrics.counts(), [
    { method: "GET", status: 200, count: 1 },
    { method: "GET", status: 304, count: 2 },
    { method: "POST", status: 422, count: 1 },
    { method: "POST", status: 500, count: 1 },
    { method: "PUT", status: 500, count: 2 },
    { method: "other", status: 200, count: 2 },
  ]);
  assert.deepEqual(
    metrics.durations().map(({ method, seconds }) => [method, seconds.count]),
    [["GET", 3], ["POST", 2], ["PUT", 2], ["other", 2]],
  );
});

test("request metrics know what is in flight, and how long it took", async () => {
  const metrics = new RequestMetrics();
  const clock = new SimulatedClock();
  const { promise, resolve } = Promise.withResolvers<Response>();
  const answer = metrics.counted(() => promise, clock)(requestOf("GET"), INFO);
  assert.equal(metrics.inFlight, 1);
  await clock.advance(300);
  const response = new Response();
  resolve(response);
  assert.equal(await answer, response, "it is handed on as it is");
  assert.equal(metrics.inFlight, 0);
  assert.ok(Math.abs((metrics.durations()[0]?.seconds.sum ?? 0) - 0.3) < 0.001);
});
