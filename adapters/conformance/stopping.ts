/** Where a server listens, and how it stops. */

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { valuesOf } from "./raw_client.ts";
import { type AddCase, deferred } from "./trial.ts";

/** Long enough never to be reached. */
const LONG_MS = 60_000;

const hasIpv6 = Object.values(networkInterfaces()).flat().some((address) =>
  address?.address === "::1"
);

/** Adds the cases of this file. */
export function stoppingCases(test: AddCase): void {
  test("adapter listens on a free port when 0 is asked for, and says which", (trial) =>
    trial.withServer(() => new Response("text"), async ({ server, client }) => {
      assert.equal(server.addr.hostname, "127.0.0.1");
      assert.ok(server.addr.port > 0);
      assert.equal((await client().get("/").response()).body.toString(), "text");
    }));

  test("adapter rejects with EADDRINUSE when the port is taken", (trial) =>
    trial.withServer(() => new Response("text"), async ({ port }) => {
      const again = trial.start(() => new Response("other"), { hostname: "127.0.0.1", port });
      await assert.rejects(again, { code: "EADDRINUSE" });
    }));

  test("adapter listens on every address when none is asked for", async (trial) => {
    const handler = (request: Request, info: { remoteAddress: string | undefined }): Response =>
      new Response(`${request.url} ${info.remoteAddress}`);
    const server = await trial.start(handler, { port: 0 });
    try {
      const { port, hostname } = server.addr;
      assert.ok(hostname === "::" || hostname === "0.0.0.0" && !hasIpv6);
      for (const host of hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
        const client = await trial.connect(port, { host }).connected();
        const response = await client.send("GET / HTTP/1.0\r\n\r\n").response();
        const [url, remote = ""] = response.body.toString().split(" ");
        assert.equal(url, `${trial.scheme}://localhost:${port}/`);
        assert.match(remote, host === "::1" ? /^\[::1\]:\d+$/ : /^127\.0\.0\.1:\d+$/);
        client.leave();
      }
      await assert.rejects(trial.start(handler, { port }), { code: "EADDRINUSE" });
    } finally {
      await server.stop({ graceMs: 0 });
    }
  });

  test("server refuses connections as soon as it stops, and lets a handler finish", async (trial) => {
    const called = deferred();
    const finish = deferred();
    await trial.withServer(async () => {
      called.resolve();
      await finish.promise;
      return new Response("finished");
    }, async ({ server, client, port }) => {
      const inFlight = client().get("/");
      await called.promise;
      const stopped = server.stop({ graceMs: LONG_MS });
      await assert.rejects(trial.connect(port).connected());
      finish.resolve();
      const response = await inFlight.response();
      assert.equal(response.body.toString(), "finished");
      await Promise.all([stopped, inFlight.closed]);
    });
  });

  test("server lets a stream finish when it stops, and closes its connection", async (trial) => {
    const finish = deferred();
    await trial.withServer(() => {
      let chunks = 0;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            if (chunks++ > 0) await finish.promise;
            if (chunks === 3) return controller.close();
            controller.enqueue(new TextEncoder().encode("chunk"));
          },
        }),
      );
    }, async ({ server, client }) => {
      const inFlight = client().get("/");
      await inFlight.receive("chunk");
      const stopped = server.stop({ graceMs: LONG_MS });
      finish.resolve();
      const response = await inFlight.response();
      assert.deepEqual([response.body.toString(), response.isWhole], ["chunkchunk", true]);
      await Promise.all([stopped, inFlight.closed]);
    });
  });

  test("server lets a body arrive, and its answer leave, when it stops", async (trial) => {
    const called = deferred();
    await trial.withServer(async (request) => {
      called.resolve();
      return new Response(await request.text().catch(() => "cut"));
    }, async ({ server, client }) => {
      const inFlight = client().send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 8\r\n\r\nhalf");
      await called.promise;
      const stopped = server.stop({ graceMs: LONG_MS });
      const response = await inFlight.send("half").response();
      assert.equal(response.body.toString(), "halfhalf");
      await Promise.all([stopped, inFlight.closed]);
    });
  });

  test("server closes idle connections when it stops", (trial) =>
    trial.withServer(() => new Response("text"), async ({ server, client }) => {
      const idle = client().get("/");
      await idle.response();
      await server.stop({ graceMs: LONG_MS });
      await idle.closed;
    }));

  test("server answers no connection that was silent when it stopped", (trial) =>
    trial.withServer(() => new Response("text"), async ({ server, client }) => {
      const silent = await client().connected();
      await server.stop({ graceMs: LONG_MS });
      // The kernel may keep a connection for itself until something is sent.
      await assert.rejects(silent.get("/").response());
      await silent.closed;
    }));

  test("server says so where it closes a connection that could be used again", async (trial) => {
    const called = deferred();
    const finish = deferred();
    await trial.withServer(async () => {
      called.resolve();
      await finish.promise;
      return new Response("finished");
    }, async ({ server, client }) => {
      const inFlight = client().get("/");
      await called.promise;
      const stopped = server.stop({ graceMs: LONG_MS });
      finish.resolve();
      const response = await inFlight.response();
      await stopped;
      // Where the platform says nothing it closes the connection right behind the answer.
      assert.ok(!valuesOf(response, "connection").includes("keep-alive"));
    });
  });

  for (
    const [what, request] of [
      ["a handler that never answers", "GET / HTTP/1.1\r\nhost: h\r\n\r\n"],
      ["a stream that never ends", "GET /stream HTTP/1.1\r\nhost: h\r\n\r\n"],
      ["a request that never ends", "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nbody"],
    ] as const
  ) {
    test(`server cuts off ${what} at the deadline`, async (trial) => {
      const called = deferred();
      await trial.withServer(async (request) => {
        called.resolve();
        if (request.url.endsWith("/stream")) return new Response(new ReadableStream());
        await request.text().catch(() => {});
        await new Promise(() => {});
        return new Response("never");
      }, async ({ server, client, reports }) => {
        const hung = client().send(request);
        await called.promise;
        await Promise.all([server.stop({ graceMs: 50 }), hung.closed]);
        assert.deepEqual(reports, []);
      });
    });
  }

  test("server cuts off a head that never ends at the deadline", (trial) =>
    trial.withServer(() => new Response("text"), async ({ server, client }) => {
      const hung = await client().connected();
      hung.send("GET / HTTP/1.1\r\nhost: h\r\nx-");
      await client().get("/").response();
      await Promise.all([server.stop({ graceMs: 50 }), hung.closed]);
    }));

  test("server stops once, however often it is told, and may be told to hurry", async (trial) => {
    const called = deferred();
    await trial.withServer(() => {
      called.resolve();
      return new Promise<Response>(() => {});
    }, async ({ server, client }) => {
      const hung = client().get("/");
      await called.promise;
      const stopped = server.stop({ graceMs: LONG_MS });
      assert.equal(server.stop({ graceMs: LONG_MS }), stopped);
      assert.equal(server.stop({ graceMs: 0 }), stopped);
      await Promise.all([stopped, hung.closed]);
      assert.equal(server.stop(), stopped);
    });
  });
}
