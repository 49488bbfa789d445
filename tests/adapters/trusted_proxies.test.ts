/** Which addresses are those of trusted proxies; what is believed then, the conformance suite says. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { TrustedProxies } from "../../adapters/_trusted_proxies.ts";

const CLIENT = "203.0.113.7";

/** Whether a peer at `remoteAddress` is believed. */
function isTrusted(proxies: readonly string[], remoteAddress: string): boolean {
  const request = new Request("http://h/", { headers: { "x-forwarded-for": CLIENT } });
  const info = { remoteAddress, signal: request.signal };
  return new TrustedProxies(proxies).clientOf(request, info)?.info.remoteAddress === CLIENT;
}

const TRUSTED: readonly (readonly [proxy: string, inside: string[], outside: string[]])[] = [
  ["192.0.2.1", ["192.0.2.1:5", "[::ffff:192.0.2.1]:5"], ["192.0.2.2:5", "[::1]:5"]],
  ["192.0.2.128/25", ["192.0.2.128:5", "192.0.2.255:5"], ["192.0.2.127:5", "192.0.3.128:5"]],
  ["0.0.0.0/0", ["192.0.2.1:5"], ["[2001:db8::1]:5"]],
  ["2001:db8::1", ["[2001:db8::1]:5", "[2001:DB8:0:0::1]:5"], ["[2001:db8::2]:5", "192.0.2.1:5"]],
  ["2001:db8::/32", ["[2001:db8:ffff::1]:5"], ["[2001:db9::1]:5"]],
  ["loopback", ["127.0.0.1:5", "127.9.9.9:5", "[::1]:5"], ["10.0.0.1:5", "[::2]:5"]],
  [
    "private",
    ["10.1.2.3:5", "172.31.0.1:5", "192.168.0.1:5", "[fd00::1]:5"],
    ["172.32.0.1:5", "127.0.0.1:5", "8.8.8.8:5", "[2001:db8::1]:5"],
  ],
];

for (const [proxy, inside, outside] of TRUSTED) {
  test(`trusted proxies are, with "${proxy}", the addresses that it names`, () => {
    for (const address of inside) assert.equal(isTrusted([proxy], address), true, address);
    for (const address of outside) assert.equal(isTrusted([proxy], address), false, address);
  });
}

test("trusted proxies are those of all that is named, and nobody without an address", () => {
  assert.equal(isTrusted(["192.0.2.1", "private"], "10.0.0.1:5"), true);
  const request = new Request("http://h/", { headers: { "x-forwarded-for": CLIENT } });
  const info = { remoteAddress: undefined, signal: request.signal };
  assert.deepEqual(new TrustedProxies(["loopback"]).clientOf(request, info), { request, info });
});

test("trusted proxies are refused where they are no addresses", () => {
  for (
    const proxy of [
      "",
      "localhost",
      "10.0.0.0/33",
      "10.0.0.0/",
      "10.0.0/8",
      "::/129",
      "1.2.3.4/8/8",
      "10.0.0.0/-1",
    ]
  ) {
    assert.throws(() => new TrustedProxies(["loopback", proxy]), TypeError, proxy);
  }
});
