/** Forwarded fields: what a handler sees behind proxies that are trusted, and in front of others. */

import assert from "node:assert/strict";
import type { AddCase } from "./trial.ts";

/** The tests connect from loopback: a trusted proxy, as are those in 10.0.0.0/8. */
const TRUSTED = ["loopback", "10.0.0.0/8"];

/**
 * What comes from a trusted proxy, and what the handler has to see: URL, and client. `http:` is the
 * server's own scheme.
 */
const FORWARDED: readonly (readonly [what: string, fields: string, seen: string])[] = [
  ["the client's address", "x-forwarded-for: 203.0.113.7", "http://h/a?b 203.0.113.7"],
  ["an address with a port", "x-forwarded-for: 203.0.113.7:99", "http://h/a?b 203.0.113.7:99"],
  ["an IPv6 address", "x-forwarded-for: 2001:db8::7", "http://h/a?b [2001:db8::7]"],
  [
    "an IPv6 address with a port",
    "x-forwarded-for: [2001:db8::7]:99",
    "http://h/a?b [2001:db8::7]:99",
  ],
  [
    "the scheme",
    "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https",
    "https://h/a?b 203.0.113.7",
  ],
  [
    "the host",
    "x-forwarded-for: 203.0.113.7\r\nx-forwarded-host: o.test:81",
    "http://o.test:81/a?b 203.0.113.7",
  ],
  [
    "no further than the first that is not trusted",
    "x-forwarded-for: 198.51.100.1, 203.0.113.7, 10.1.2.3\r\nx-forwarded-proto: ftp, https, http",
    "https://h/a?b 203.0.113.7",
  ],
  [
    "several fields in their order",
    "x-forwarded-for: 198.51.100.1\r\nx-forwarded-for: 203.0.113.7, 10.1.2.3\r\nx-forwarded-proto: https",
    "https://h/a?b 203.0.113.7",
  ],
  [
    "the farthest of those that are all trusted",
    "x-forwarded-for: 10.0.0.1, 127.0.0.9",
    "http://h/a?b 10.0.0.1",
  ],
  ["an unknown client", "x-forwarded-for: 198.51.100.1, unknown", "http://h/a?b undefined"],
  [
    "no other scheme",
    "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: ws",
    "http://h/a?b 203.0.113.7",
  ],
  [
    "RFC 7239",
    'forwarded: for=198.51.100.1;proto=http, For="[2001:db8::7]:99";host=o.test;proto=https, for=10.1.2.3',
    "https://o.test/a?b [2001:db8::7]:99",
  ],
  ["an identifier of RFC 7239", "forwarded: for=_hidden;proto=https", "https://h/a?b undefined"],
  [
    "the field that most proxies write, if there are both",
    "forwarded: for=198.51.100.1;proto=https\r\nx-forwarded-for: 203.0.113.7",
    "http://h/a?b 203.0.113.7",
  ],
];

/** Adds the cases of this file. */
export function proxyCases(test: AddCase): void {
  const see = (
    name: string,
    fields: string,
    seen: string | undefined,
    trustedProxies: readonly string[],
  ): void =>
    test(name, (trial) =>
      trial.withServer(
        async (request, { remoteAddress }) =>
          new Response(`${request.url} ${remoteAddress} ${await request.text()}`),
        async ({ client }) => {
          for (const method of ["GET", "POST"]) {
            const body = method === "POST" ? "body" : "";
            const length = body === "" ? "" : `content-length: ${body.length}\r\n`;
            const connection = await client().connected();
            const { body: text } = await connection
              .get("/a?b", `host: h\r\n${fields}\r\n${length}`, method).send(body).response();
            const expected = (seen ?? `http://h/a?b ${connection.localAddress}`)
              .replace(/^http:/, `${trial.scheme}:`);
            assert.equal(text.toString(), `${expected} ${body}`);
          }
        },
        { trustedProxies },
      ));

  for (const [what, fields, seen] of FORWARDED) {
    see(`adapter believes a trusted proxy ${what}`, fields, seen, TRUSTED);
    see(`adapter believes nobody else ${what}`, fields, undefined, ["10.0.0.0/8"]);
  }
  see(
    "adapter believes no field that cannot be read",
    "forwarded: for=203.0.113.7 proto",
    undefined,
    TRUSTED,
  );

  test("adapter answers 400 and asks no handler for a forwarded host that is none", (trial) => {
    let calls = 0;
    return trial.withServer(() => new Response(`call ${++calls}`), async ({ client, reports }) => {
      for (const host of ["a b", "a/b", "u@h", "h:99999"]) {
        const fields = `host: h\r\nx-forwarded-for: 203.0.113.7\r\nx-forwarded-host: ${host}\r\n`;
        assert.equal((await client().get("/", fields).response()).status, 400, host);
      }
      assert.deepEqual([calls, reports], [0, []]);
    }, { trustedProxies: TRUSTED });
  });
}
