/** Targets, hosts and methods: the URL that a handler sees, and requests that have none. */

import assert from "node:assert/strict";
import { valuesOf } from "./raw_client.ts";
import type { AddCase } from "./trial.ts";

/**
 * Requests that reach the handler, and the URL that it must see. `PORT` is the server's, `DEFAULT`
 * the scheme's, and over TLS all are of HTTPS.
 */
const URLS: readonly (readonly [what: string, head: string, url: string])[] = [
  ["a plain target", "GET /a/b?c=d HTTP/1.1\r\nhost: h.test", "http://h.test/a/b?c=d"],
  ["dot segments", "GET /a/./b/../c/.. HTTP/1.1\r\nhost: h", "http://h/a/"],
  ["escaped dot segments", "GET /a%2Fb/../c/%2e%2E/d HTTP/1.1\r\nhost: h", "http://h/d"],
  ["dots in a query", "GET /a?b=/../c HTTP/1.1\r\nhost: h", "http://h/a?b=/../c"],
  [
    "a file that begins with a dot",
    "GET /.well-known/x HTTP/1.1\r\nhost: h",
    "http://h/.well-known/x",
  ],
  ["escapes", "GET /%20a%2fb?%20 HTTP/1.1\r\nhost: h", "http://h/%20a%2fb?%20"],
  ["an escape that is none", "GET /%zz HTTP/1.1\r\nhost: h", "http://h/%zz"],
  [
    "what is to be escaped",
    'GET /"<>`{}?"<>\' HTTP/1.1\r\nhost: h',
    "http://h/%22%3C%3E%60%7B%7D?%22%3C%3E%27",
  ],
  ["an empty first segment", "GET //other/x HTTP/1.1\r\nhost: h", "http://h//other/x"],
  ["a star that is a file", "GET /* HTTP/1.1\r\nhost: h", "http://h/*"],
  ["a host in upper case", "GET / HTTP/1.1\r\nhost: EXAMPLE.Test", "http://example.test/"],
  ["the default port", "GET / HTTP/1.1\r\nhost: h:DEFAULT", "http://h/"],
  ["another port", "GET / HTTP/1.1\r\nhost: h:65535", "http://h:65535/"],
  ["an IPv6 host", "GET /x HTTP/1.1\r\nhost: [::1]:8080", "http://[::1]:8080/x"],
  ["an absolute target", "GET http://h/x/../y HTTP/1.1\r\nhost: h", "http://h/y"],
  ["an absolute target in upper case", "GET HTTP://H/x HTTP/1.1\r\nhost: h", "http://h/x"],
  ["an absolute target without a path", "GET http://h?x HTTP/1.1\r\nhost: h", "http://h/?x"],
  // RFC 9112, section 3.2.2: the Host field is to be ignored.
  ["an absolute target of another host", "GET http://o:81/x HTTP/1.1\r\nhost: h", "http://o:81/x"],
  // RFC 9112, section 3.3: it has no path.
  ["the target * of OPTIONS", "OPTIONS * HTTP/1.1\r\nhost: h", "http://h/"],
  ["no host, in HTTP/1.0", "GET /x?y HTTP/1.0", "http://localhost:PORT/x?y"],
  ["an empty host", "GET /x HTTP/1.1\r\nhost: ", "http://localhost:PORT/x"],
];

/** Requests that have no URL, or no host (RFC 9112, section 3.2). */
const NO_URLS: readonly (readonly [what: string, head: string])[] = [
  ["no host, in HTTP/1.1", "GET / HTTP/1.1\r\nx-a: b"],
  ["an absolute target and no host", "GET http://h/ HTTP/1.1\r\nx-a: b"],
  ["an absolute target and an invalid host", "GET http://h/ HTTP/1.1\r\nhost: a b"],
  ["two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b"],
  ["the same host twice", "GET / HTTP/1.1\r\nhost: a\r\nHost: a"],
  ["two hosts in one field", "GET / HTTP/1.1\r\nhost: a, b"],
  ["a host with a space", "GET / HTTP/1.1\r\nhost: a b"],
  ["a host with a tab", "GET / HTTP/1.1\r\nhost: a\tb"],
  ["a host with a user", "GET / HTTP/1.1\r\nhost: u@h"],
  ["a host with a path", "GET / HTTP/1.1\r\nhost: a/b"],
  ["a host with a query", "GET / HTTP/1.1\r\nhost: a?b"],
  ["a host with a fragment", "GET / HTTP/1.1\r\nhost: a#b"],
  ["a host with a backslash", "GET / HTTP/1.1\r\nhost: a\\b"],
  ["a host with an escaped slash", "GET / HTTP/1.1\r\nhost: a%2fb"],
  ["a host that is not ASCII", "GET / HTTP/1.1\r\nhost: h\xe9"],
  ["a port that is none", "GET / HTTP/1.1\r\nhost: h:99999"],
  ["a port that is no number", "GET / HTTP/1.1\r\nhost: h:a"],
  ["an IPv4 address that is none", "GET / HTTP/1.1\r\nhost: 256.256.256.256"],
  ["an IPv6 address that is none", "GET / HTTP/1.1\r\nhost: [::zz]"],
  ["a scheme that is not HTTP", "GET ftp://h/x HTTP/1.1\r\nhost: h"],
  ["an absolute target with a user", "GET http://u@h/x HTTP/1.1\r\nhost: h"],
  ["an absolute target without a host", "GET http:///x HTTP/1.1\r\nhost: h"],
  ["the target * of GET", "GET * HTTP/1.1\r\nhost: h"],
  ["a target that is no path", "GET foo HTTP/1.1\r\nhost: h"],
  ["a target that is a query", "GET ?x HTTP/1.1\r\nhost: h"],
  ["a target with a backslash", "GET /a\\b HTTP/1.1\r\nhost: h"],
  ["a target that is not ASCII", "GET /\xc3\xa9 HTTP/1.1\r\nhost: h"],
];

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

/** Registered methods that not every parser knows. */
const RARE_METHODS: readonly string[] = (
  "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR " +
  "MKCOL MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPFIND PROPPATCH REBIND REPORT SEARCH " +
  "UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL"
).split(" ");

/** Methods that nobody registered, and those that a web `Request` cannot have. */
const REFUSED_METHODS: readonly (readonly [what: string, head: string])[] = [
  ["FOO", "FOO / HTTP/1.1\r\nhost: h"],
  ["get in lower case", "get / HTTP/1.1\r\nhost: h"],
  ["PURGE, which is not registered", "PURGE / HTTP/1.1\r\nhost: h"],
  ["TRACE", "TRACE / HTTP/1.1\r\nhost: h"],
  ["CONNECT", "CONNECT h:1 HTTP/1.1\r\nhost: h:1"],
];

/** Adds the cases of this file. */
export function targetCases(test: AddCase): void {
  for (const [what, head, url] of URLS) {
    test(`adapter shows an absolute, normalised URL for ${what}`, (trial) =>
      trial.withServer((request) => new Response(request.url), async ({ client, port }) => {
        const { scheme } = trial;
        const sent = head.replace(/(?<=GET )http(?=:)/i, scheme)
          .replace("DEFAULT", scheme === "http" ? "80" : "443");
        const response = await client().send(`${sent}\r\n\r\n`).response();
        const expected = url.replace("http", scheme).replace("PORT", String(port));
        assert.equal(response.body.toString(), expected);
      }));
  }

  const refuse = (name: string, head: string, status: number): void =>
    test(name, (trial) => {
      let calls = 0;
      const handler = (): Response => new Response(`call ${++calls}`);
      return trial.withServer(handler, async ({ client, reports }) => {
        const response = await client().send(`${head}\r\n\r\n`).response();
        assert.equal(response.status, status);
        assert.deepEqual([calls, reports], [0, []]);
      });
    });

  for (const [what, head] of NO_URLS) {
    refuse(`adapter answers 400 and asks no handler for ${what}`, head, 400);
  }
  for (const [what, head] of REFUSED_METHODS) {
    refuse(`adapter answers 501 and asks no handler for the method ${what}`, head, 501);
  }

  for (const method of METHODS) {
    test(`adapter hands on the method ${method}`, (trial) =>
      trial.withServer(
        (request) => new Response(null, { headers: { "x-method": request.method } }),
        async ({ client }) => {
          const connection = client().get("/", "host: h\r\n", method);
          const response = await connection.response({ isHead: method === "HEAD" });
          assert.deepEqual(valuesOf(response, "x-method"), [method]);
        },
      ));
  }

  test("adapter hands on every other registered method, or answers 501", (trial) =>
    trial.withServer((request) => new Response(request.method), async ({ client }) => {
      for (const method of RARE_METHODS) {
        const { status, body } = await client().get("/", "host: h\r\n", method).response();
        assert.ok(status === 501 || body.toString() === method, method);
      }
    }));

  test("adapter hands on the body and the fields of a request whose URL was not normal", (trial) =>
    trial.withServer(
      async (request) =>
        new Response(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`),
      async ({ client }) => {
        const response = await client()
          .send("POST /a/../b HTTP/1.1\r\nhost: h\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody")
          .response();
        assert.equal(response.body.toString(), "POST 1 body");
      },
    ));
}
