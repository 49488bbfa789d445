/** The conformance suite finds servers that are not as they should be, and gaps that are none. */

import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import {
  conformance,
  type ConformanceCase,
  type ConformanceOptions,
  type StartServer,
} from "../../adapters/conformance.ts";
import { listen } from "../../adapters/listen.ts";

const URL_CASE = "adapter shows an absolute, normalised URL for dot segments";

/** Answers 200 to whatever comes, and asks no handler. */
const startCareless: StartServer = () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      const stop = async (): Promise<void> => {
        for (const socket of sockets) socket.destroy();
        await new Promise((closed) => server.close(closed));
      };
      resolve({ addr: { hostname: "127.0.0.1", port }, stop });
    })
  );
};

/** Servers as they should be, but for one thing, and the case that must say so. */
const DEFECTS: Record<string, readonly [name: string, start: StartServer]> = {
  "shows another method": [
    "adapter hands on the method PUT",
    (fetch, options) =>
      listen((request, info) => fetch(new Request(request, { method: "POST" }), info), options),
  ],
  "loses a cookie": [
    "adapter hands on header fields both ways, with their bytes and their repetitions",
    (fetch, options) =>
      listen(async (request, info) => {
        const response = await fetch(request, info);
        return new Response(response.body, { headers: Object.fromEntries(response.headers) });
      }, options),
  ],
  "sends 200 for every status": [
    "adapter sends 204 without a body, and the connection goes on",
    (fetch, options) =>
      listen(async (request, info) => {
        const { headers } = await fetch(request, info);
        return new Response("", { headers });
      }, options),
  ],
  "reports nothing": [
    "adapter answers 500 and reports once when the handler throws",
    (fetch, options) => listen(fetch, { ...options, report: () => {} }),
  ],
  "reports twice": [
    "adapter answers 500 and reports once when the handler rejects",
    (fetch, options) =>
      listen(fetch, {
        ...options,
        report: (error) => {
          options.report?.(error);
          options.report?.(error);
        },
      }),
  ],
  "takes any URL": [
    "adapter answers 414 and asks no handler for a URL beyond the limit, and takes less",
    (fetch, { urlBytesMax: _, ...options }) => listen(fetch, options),
  ],
  "waits for a body as long as it takes": [
    "adapter answers 408 to a body that does not arrive in time, read as text",
    (fetch, { bodyTimeoutMs: _, ...options }) => listen(fetch, options),
  ],
  "lets requests queue": [
    "adapter answers 503 at once to a request too many in flight, and others when there is room",
    (fetch, { requestsMax: _, ...options }) => listen(fetch, options),
  ],
  "believes everybody": [
    "adapter believes nobody else the client's address",
    (fetch, options) => listen(fetch, { ...options, trustedProxies: ["loopback"] }),
  ],
  "believes what the client says of itself": [
    "adapter believes a trusted proxy no further than the first that is not trusted",
    (fetch, options) =>
      listen((request, { signal }) => {
        const [remoteAddress] = request.headers.get("x-forwarded-for")?.split(",") ?? [];
        return fetch(request, { remoteAddress, signal });
      }, options),
  ],
  "keeps refusals to itself": [
    "adapter sends the handler's page for an invalid host",
    (fetch, options) => listen((request, info) => fetch(request, info), options),
  ],
};

function caseOf(name: string, start: StartServer, options?: ConformanceOptions): ConformanceCase {
  const found = conformance(start, options).find((found) => found.name === name);
  assert.ok(found, name);
  return found;
}

for (const [what, [name, start]] of Object.entries(DEFECTS)) {
  test(`conformance suite finds a server that ${what}`, async () => {
    await caseOf(name, listen).run();
    await assert.rejects(caseOf(name, start).run(), { code: "ERR_ASSERTION" });
  });
}

test("conformance suite tells an adapter that drops the options of a case what they were", async () => {
  const name = "adapter answers 414 and asks no handler for a URL beyond the limit, and takes less";
  const start: StartServer = (fetch, { hostname = "", port = 0, report = () => {} }) =>
    listen(fetch, { hostname, port, report });
  await assert.rejects(caseOf(name, start).run(), {
    message: /"urlBytesMax":300.*second\s+argument/s,
  });
});

test("conformance suite finds every request that a careless server takes", async () => {
  const refusals = conformance(startCareless).filter(({ name }) =>
    name.includes("asks no handler")
  );
  assert.ok(refusals.length > 80);
  for (const { name, run } of refusals) {
    await assert.rejects(run(), { code: "ERR_ASSERTION" }, name);
  }
});

test("conformance suite finds a gap that has healed", async () => {
  const gaps = [{ name: URL_CASE, why: "planted" }];
  const gap = caseOf(URL_CASE, listen, { gaps, bare: startCareless });
  await assert.rejects(gap.run(), { message: /has healed/ });
});

test("conformance suite finds a gap that is the adapter's own", async () => {
  const gaps = [{ name: URL_CASE, why: "planted" }];
  const gap = caseOf(URL_CASE, startCareless, { gaps, bare: listen });
  await assert.rejects(gap.run(), { message: /is ours/ });
});

test("conformance suite finds a gap in which the adapter sends something else", async () => {
  const gaps = [{ name: URL_CASE, why: "planted" }];
  const start: StartServer = (_, options) => listen(() => new Response("other"), options);
  const gap = caseOf(URL_CASE, start, { gaps, bare: startCareless });
  await assert.rejects(gap.run(), { message: /something else/ });
});

test("conformance suite takes no gap of a case that there is not, and none without a bare server", () => {
  for (const name of ["no such case", URL_CASE]) {
    assert.throws(() => conformance(listen, { gaps: [{ name, why: "planted" }] }), RangeError);
  }
});
