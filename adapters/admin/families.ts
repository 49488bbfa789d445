/**
 * Which metrics there are: their names, and where their values come from. What the engine counts
 * anyway is read when it is asked for. Names follow Prometheus's conventions; `docs/metrics.md` says
 * what each of them means.
 */

import process from "node:process";
import about from "../../package.json" with { type: "json" };
import type { Health } from "../../runtime/engine.ts";
import type { Histogram } from "../../runtime/metrics/histogram.ts";
import type { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";
import type { SyncMetrics } from "../../runtime/metrics/sync_metrics.ts";
import { runtimeName } from "../listen.ts";
import type { Family, Sample } from "./exposition.ts";
import type { Readiness } from "./readiness.ts";

/** What a server's metrics are made of. */
export interface MetricsSources {
  readonly readiness: Readiness;
  readonly requests: RequestMetrics;
  /** Of the log, where it is a file that is written. */
  readonly syncs: SyncMetrics | undefined;
  /** Lines that the access log is without, if there is one. */
  readonly linesDropped: number | undefined;
}

/** All metrics, with their values of now. */
export function familiesOf(sources: MetricsSources): Family[] {
  const { readiness, requests, syncs, linesDropped } = sources;
  return [
    ...ofRequests(requests),
    ...(linesDropped === undefined ? [] : [
      counter("alcedo_access_log_lines_dropped", "Lines that were left out.", linesDropped),
    ]),
    state(readiness.state),
    ...(readiness.health === undefined ? [] : ofEngine(readiness.health)),
    ...(syncs === undefined ? [] : ofSyncs(syncs)),
    ...ofProcess(),
  ];
}

function ofRequests(requests: RequestMetrics): Family[] {
  return [
    {
      name: "alcedo_http_requests",
      help: "Requests that were answered.",
      type: "counter",
      samples: requests.counts().map(({ method, status, count }) => (
        { labels: { method, status: String(status) }, value: count }
      )),
    },
    {
      name: "alcedo_http_request_duration_seconds",
      help: "Time until an answer was handed over to be sent.",
      type: "histogram",
      samples: requests.durations().flatMap(({ method, seconds }) =>
        histogramSamples(seconds, { method })
      ),
    },
    gauge("alcedo_http_requests_in_flight", "Requests that wait for an answer.", requests.inFlight),
  ];
}

const STATES = ["starting", "ok", "disk full", "read-only", "unavailable", "stopping"] as const;

function state(now: Readiness["state"]): Family {
  // Without the reason, which is for people.
  const [name] = now.split(":");
  return {
    name: "alcedo_state",
    help: "The state that the server is in: 1, the others 0.",
    type: "gauge",
    samples: STATES.map((state) => ({ labels: { state }, value: state === name ? 1 : 0 })),
  };
}

function ofEngine(health: Health): Family[] {
  const { snapshot } = health;
  return [
    gauge("alcedo_writes_waiting", "Writes that wait for their turn.", health.writesWaiting),
    counter("alcedo_commits", "Commits that have become durable.", health.commits),
    gauge("alcedo_applied_sequence", "The newest commit in the model.", health.applied),
    gauge("alcedo_durable_sequence", "The newest durable commit.", health.durable),
    gauge("alcedo_log_bytes", "Durable bytes of the log.", health.logBytes),
    counter("alcedo_rebuilds", "Models that were built again from the log.", health.rebuilds),
    gauge("alcedo_bad_events", "Commits that the model is without.", health.badEvents),
    ...(snapshot === undefined ? [] : [
      gauge("alcedo_snapshot_sequence", "The newest commit in a snapshot.", snapshot.sequence),
      gauge("alcedo_snapshot_age_seconds", "Age of that snapshot.", snapshot.ageMs / 1000),
    ]),
  ];
}

function ofSyncs({ seconds, commits }: SyncMetrics): Family[] {
  return [
    counter("alcedo_syncs", "Syncs of the log.", seconds.count),
    histogram("alcedo_sync_duration_seconds", "Time that a sync took.", seconds),
    histogram("alcedo_commits_per_sync", "Commits that a sync made durable.", commits),
  ];
}

function ofProcess(): Family[] {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const labels = {
    version: about.version,
    runtime: runtimeName(),
    runtime_version: process.versions[runtimeName()] ?? "",
  };
  return [
    gauge("process_resident_memory_bytes", "Memory of the process.", rss),
    gauge("process_heap_bytes", "Of it, what objects take.", heapUsed),
    counter("process_cpu_seconds", "Processor time.", (user + system) / 1e6),
    gauge("process_start_time_seconds", "When it started, since 1970.", STARTED_AT_S),
    {
      name: "alcedo_build_info",
      help: "What is running.",
      type: "gauge",
      samples: [{ labels, value: 1 }],
    },
  ];
}

/** Once and for all: later the two clocks may differ. */
const STARTED_AT_S = Math.round(Date.now() - 1000 * process.uptime()) / 1000;

function counter(name: string, help: string, value: number): Family {
  return { name, help, type: "counter", samples: [{ value }] };
}

function gauge(name: string, help: string, value: number): Family {
  return { name, help, type: "gauge", samples: [{ value }] };
}

function histogram(name: string, help: string, values: Histogram): Family {
  return { name, help, type: "histogram", samples: histogramSamples(values, {}) };
}

function histogramSamples(values: Histogram, labels: Readonly<Record<string, string>>): Sample[] {
  const { bounds, count, sum } = values;
  return [
    ...values.cumulative().map((value, i): Sample => (
      { suffix: "_bucket", labels: { ...labels, le: boundLabel(bounds[i]) }, value }
    )),
    { suffix: "_sum", labels, value: sum },
    { suffix: "_count", labels, value: count },
  ];
}

/** As OpenMetrics wants it: `0.25`, `1.0`, and `+Inf` for the last bucket. */
function boundLabel(bound: number | undefined): string {
  if (bound === undefined) return "+Inf";
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}
