/**
 * Metrics as text, by Prometheus's own library: in OpenMetrics, and in the older format of
 * Prometheus. The library is loaded when metrics are asked for the first time.
 */

import { type Metric, Registry } from "@prometheus-io/client";

/** A metric with all its values. */
export interface Family {
  /** Without the `_total` of counters. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

/** One value of a metric. */
export interface Sample {
  /** What is added to the name: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The formats, as `content-type` has them. */
export const OPEN_METRICS: typeof Registry.OPENMETRICS_CONTENT_TYPE =
  Registry.OPENMETRICS_CONTENT_TYPE;
export const CLASSIC: typeof Registry.PROMETHEUS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Writes metrics. Those without values are left out. */
export async function exposition(
  families: readonly Family[],
  contentType: typeof OPEN_METRICS | typeof CLASSIC,
): Promise<string> {
  const registry = new Registry(contentType);
  for (const family of families) {
    if (family.samples.length > 0) registry.registerMetric(counted(family, contentType));
  }
  return await registry.metrics();
}

/** A metric whose values were counted elsewhere, as a registry takes it. */
function counted(family: Family, contentType: typeof OPEN_METRICS | typeof CLASSIC): Metric {
  const { help, type, samples } = family;
  // In OpenMetrics the library adds it to each value.
  const name = type === "counter" && contentType === CLASSIC ? `${family.name}_total` : family.name;
  const values = samples.map(({ suffix, labels = {}, value }) => (
    { ...suffix === undefined ? {} : { metricName: name + suffix }, labels, value }
  ));
  const metric = { name, help, type, get: () => Promise.resolve({ name, help, type, values }) };
  // Of a metric, a registry that writes text uses no more than that. The library's own ones can only
  // be counted up one by one, and its way for the values of other processes, `Registry.aggregate`,
  // puts the buckets of all methods before the sums of all, which OpenMetrics does not allow.
  return metric as unknown as Metric;
}

/**
 * Which of the two a client wants. The older one is for whoever does not name OpenMetrics: that is
 * what Prometheus says a server should do, and what a browser shows.
 */
export function negotiate(accept: string | null): typeof OPEN_METRICS | typeof CLASSIC {
  let best = 0;
  let type: typeof OPEN_METRICS | typeof CLASSIC = CLASSIC;
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [name, ...parameters] = range.split(";").map((part) => part.trim());
    const valueOf = (parameter: string) =>
      parameters.find((it) => it.startsWith(`${parameter}=`))?.slice(parameter.length + 1);
    const isOpen = name === "application/openmetrics-text" &&
      ["1.0.0", undefined].includes(valueOf("version"));
    if (!isOpen && name !== "text/plain") continue;
    const quality = Number(valueOf("q") ?? 1);
    if (quality > best || quality === best && quality > 0 && isOpen) {
      best = quality;
      type = isOpen ? OPEN_METRICS : CLASSIC;
    }
  }
  return type;
}
