/**
 * Durations, sizes, counts and addresses as they are written on a command line.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatAddress,
  parseAddress,
  parseCount,
  parseDuration,
  parseSize,
} from "../../adapters/cli/units.ts";

function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.throws(() => parse(text), SyntaxError, JSON.stringify(text));
}

test("durations have a unit", () => {
  assert.equal(parseDuration("50ms"), 50);
  assert.equal(parseDuration("60s"), 60_000);
  assert.equal(parseDuration("1.5m"), 90_000);
  assert.equal(parseDuration("2h"), 7_200_000);
  refuses(parseDuration, ["", "5", "0s", "-1s", "s", "1d", "1e3s", "600h", "1s2"]);
});

test("sizes are bytes, or have a unit", () => {
  assert.equal(parseSize("0"), 0);
  assert.equal(parseSize("65536"), 65_536);
  assert.equal(parseSize("512KiB"), 524_288);
  assert.equal(parseSize("1.5MiB"), 1_572_864);
  assert.equal(parseSize("1GB"), 1_000_000_000);
  refuses(parseSize, ["", "4XB", "4mib", "-1", "1.5", "0x10", "constructor", "1constructor"]);
});

test("counts are whole numbers from 1 on", () => {
  assert.equal(parseCount("1"), 1);
  refuses(parseCount, ["", "0", "-1", "1.5", "many", "99999999999999999999"]);
});

test("addresses are [HOST]:PORT, and are written as a URL has them", () => {
  const both = (text: string) => {
    const address = parseAddress(text);
    return [address.hostname, address.port, formatAddress(address)];
  };
  assert.deepEqual(both(":9000"), ["", 9000, "localhost:9000"]);
  assert.deepEqual(both("example.org:80"), ["example.org", 80, "example.org:80"]);
  assert.deepEqual(both("127.0.0.1:0"), ["127.0.0.1", 0, "127.0.0.1:0"]);
  assert.deepEqual(both("[::1]:9000"), ["::1", 9000, "[::1]:9000"]);
  refuses(parseAddress, ["", "9000", "localhost", ":", ":65536", "::1:9000", "a b:1", "[::1]"]);
});
