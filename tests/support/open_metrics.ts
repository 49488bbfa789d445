/**
 * Reads OpenMetrics text, as strictly as OpenMetrics 1.0 says what it must be: names, types, helps,
 * values that stand together, histograms that add up, and the end.
 */

import assert from "node:assert/strict";

/** What of OpenMetrics we use. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};

/** A metric and its values. */
export interface MetricFamily {
  readonly type: string;
  readonly help: string;
  /** By name and labels, as they are written: `a_total{b="c"}`. */
  readonly values: Map<string, number>;
}

const NAME = "[a-z_][a-z0-9_]*";
const LABEL = `${NAME}="(?:[^"\\\\\\n]|\\\\["\\\\n])*"`;
const SAMPLE = new RegExp(`^(${NAME})(\\{(?:${LABEL}(?:,${LABEL})*)?\\})? (\\S+)$`);
const NUMBER = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/;

/** Takes a text apart; throws if it is not OpenMetrics. */
export function parseOpenMetrics(text: string): Map<string, MetricFamily> {
  const lines = text.split("\n");
  assert.deepEqual(lines.splice(-2), ["# EOF", ""], "it ends with # EOF, and nothing behind");
  const families = new Map<string, MetricFamily>();
  const begun: Record<string, { help?: string; type?: string }> = {};
  let current = "";
  let group = "";
  const groups = new Set<string>();
  for (const line of lines) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind !== undefined) {
      assert.ok(!families.has(name), `${name} stands together: ${line}`);
      const head = begun[name] ??= {};
      assert.equal(head[kind === "HELP" ? "help" : "type"], undefined, line);
      head[kind === "HELP" ? "help" : "type"] = rest;
      current = name;
      continue;
    }
    const [, sample = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    assert.match(value, NUMBER, line);
    const { help = "", type = "" } = begun[current] ?? {};
    assert.ok(help !== "", `${current} has a help`);
    assert.ok(sample.startsWith(current), `${line} belongs to ${current}`);
    assert.ok(SUFFIXES[type]?.includes(sample.slice(current.length)), `${line} fits ${type}`);
    const family = families.get(current) ?? { type, help, values: new Map() };
    families.set(current, family);
    assert.ok(!family.values.has(sample + labels), `${line} is there once`);
    family.values.set(sample + labels, Number(value.replace("Inf", "Infinity")));
    const own = `${current} ${withoutBound(labels)}`;
    if (own !== group) assert.ok(!groups.has(own), `${line} stands with its like`);
    groups.add(group = own);
  }
  for (const [name, family] of families) {
    if (family.type === "histogram") checkHistogram(name, family);
    if (family.type !== "gauge") {
      for (const value of family.values.values()) assert.ok(value >= 0, name);
    }
  }
  return families;
}

function withoutBound(labels: string): string {
  return labels.replace(/,?le="[^"]*"/, "").replace("{}", "");
}

/** Buckets ascend, up to the count. */
function checkHistogram(name: string, { values }: MetricFamily): void {
  const groups = new Set([...values.keys()].map((key) => withoutBound(key.replace(/^[^{]*/, ""))));
  for (const group of groups) {
    const buckets = [...values].filter(([key]) =>
      key.startsWith(`${name}_bucket`) && withoutBound(key.replace(/^[^{]*/, "")) === group
    );
    let [bound, count] = [-Infinity, 0];
    for (const [key, value] of buckets) {
      const le = Number(/le="([^"]*)"/.exec(key)?.[1]?.replace("+Inf", "Infinity"));
      assert.ok(le > bound && value >= count, `${key} follows ${bound}, ${count}`);
      [bound, count] = [le, value];
    }
    assert.equal(bound, Infinity, `${name} has a bucket for all`);
    assert.equal(count, values.get(`${name}_count${group}`), `${name} adds up`);
    assert.ok(values.has(`${name}_sum${group}`), `${name} has a sum`);
  }
}
