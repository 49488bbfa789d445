/** What a connection is used for: several requests, versions, expectations, halves of a close. */

import assert from "node:assert/strict";
import { valuesOf } from "./raw_client.ts";
import { aborted, type AddCase, deferred, turn } from "./trial.ts";

/** Adds the cases of this file. */
export function connectionCases(test: AddCase): void {
  test("adapter answers several requests on one connection", (trial) =>
    trial.withServer(
      async (request) => new Response(`${new URL(request.url).pathname} ${await request.text()}`),
      async ({ client }) => {
        const connection = client();
        for (const n of [1, 2, 3]) {
          const length = `host: h\r\ncontent-length: 1\r\n`;
          const response = await connection.get(`/${n}`, length, "POST").send(String(n)).response();
          assert.equal(response.body.toString(), `/${n} ${n}`);
          assert.ok(!valuesOf(response, "connection").includes("close"));
        }
      },
    ));

  for (
    const [what, request] of [
      ["a client asks for it", "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"],
      ["the request is HTTP/1.0", "GET / HTTP/1.0\r\nhost: h\r\n\r\n"],
      [
        "a request of HTTP/1.0 has a transfer coding",
        "POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      ],
    ] as const
  ) {
    test(`adapter closes the connection after its answer when ${what}`, (trial) =>
      trial.withServer(() => new Response("text"), async ({ client }) => {
        const connection = client().send(request);
        assert.ok([200, 400].includes((await connection.response()).status));
        await connection.closed;
        assert.equal(connection.pending, "");
      }));
  }

  test("adapter sends a stream to HTTP/1.0 as it is, and ends it with the connection", (trial) =>
    trial.withServer(() => new Response(new Blob(["text"]).stream()), async ({ client }) => {
      const connection = client().send("GET / HTTP/1.0\r\nhost: h\r\n\r\n");
      const response = await connection.response();
      assert.deepEqual(valuesOf(response, "transfer-encoding"), []);
      assert.equal(response.body.toString(), "text");
      await connection.closed;
    }));

  for (const [when, isSlow] of [["", false], [", and waits for the first", true]] as const) {
    test(`adapter answers pipelined requests in their order${when}`, (trial) =>
      trial.withServer(async (request) => {
        const { pathname } = new URL(request.url);
        if (isSlow && pathname === "/1") await tenTurns();
        return new Response(`${pathname} ${await request.text()}`);
      }, async ({ client }) => {
        const connection = client().send(
          "GET /1 HTTP/1.1\r\nhost: h\r\n\r\n" +
            "POST /2 HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody" +
            "GET /3 HTTP/1.1\r\nhost: h\r\n\r\n",
        );
        for (const expected of ["/1 ", "/2 body", "/3 "]) {
          assert.equal((await connection.response()).body.toString(), expected);
        }
      }));
  }

  test("adapter answers what came before a malformed request", (trial) =>
    trial.withServer(async () => {
      await turn();
      return new Response("text");
    }, async ({ client }) => {
      const connection = client().send("GET / HTTP/1.1\r\nhost: h\r\n\r\nhello\r\n\r\n");
      assert.equal((await connection.response()).body.toString(), "text");
      assert.equal((await connection.response()).status, 400);
      await connection.closed;
    }));

  for (const method of ["GET", "HEAD", "DELETE"]) {
    test(`adapter takes the body of a ${method} for a body, not for a request`, (trial) =>
      trial.withServer(({ url }) => new Response(url.slice(-1)), async ({ client }) => {
        const connection = client().send(
          `${method} /1 HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody`,
        );
        await connection.response({ isHead: method === "HEAD" });
        const response = await connection.get("/2").response();
        assert.deepEqual([response.status, response.body.toString()], [200, "2"]);
      }));
  }

  test("adapter takes no body that was not read for a request", (trial) => {
    const targets: string[] = [];
    return trial.withServer(({ url }) => {
      targets.push(new URL(url).pathname);
      return new Response("text");
    }, async ({ client }) => {
      const body = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";
      const connection = client().send(
        `POST /1 HTTP/1.1\r\nhost: h\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      await connection.response();
      // The connection may have been closed instead.
      await connection.get("/2").response().catch(() => {});
      assert.deepEqual(targets.filter((target) => target !== "/2"), ["/1"]);
    });
  });

  test("adapter sends 100 to a client that waits for it, and then the answer", (trial) =>
    trial.withServer(async (request) => new Response(await request.text()), async ({ client }) => {
      const connection = client().get(
        "/",
        "host: h\r\ncontent-length: 4\r\nexpect: 100-continue\r\n",
        "POST",
      );
      await connection.receive("HTTP/1.1 100 Continue\r\n\r\n");
      assert.equal((await connection.response({ isHead: true })).status, 100);
      const response = await connection.send("body").response();
      assert.deepEqual([response.status, response.body.toString()], [200, "body"]);
    }));

  test("adapter sends 100 before its answer, and not within, to a request that waits for another", (trial) =>
    trial.withServer(async (request) => {
      if (request.url.endsWith("/1")) await tenTurns();
      return new Response(new Uint8Array(await request.arrayBuffer()));
    }, async ({ client }) => {
      const last = "host: h\r\nconnection: close\r\ncontent-length: 4\r\nexpect: 100-continue\r\n";
      const connection = client().get("/1").get("/2", last, "POST").send("body");
      await connection.closed;
      const [, , answer = ""] = connection.received.split(
        /(?:HTTP\/1\.1 100 Continue\r\n\r\n)?^HTTP/m,
      );
      assert.match(answer, /^\/1\.1 200 OK\r\n(?:\S+: .*\r\n)+\r\nbody$/);
    }));

  test("adapter sends no 100 to a client of HTTP/1.0", (trial) =>
    trial.withServer(async (request) => new Response(await request.text()), async ({ client }) => {
      const response = await client().send(
        "POST / HTTP/1.0\r\nhost: h\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\nbody",
      ).response();
      assert.deepEqual([response.status, response.body.toString()], [200, "body"]);
    }));

  test("adapter answers a request that expects something else, or refuses it with 417", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const { status } = await client().get("/", "host: h\r\nexpect: more\r\n").response();
      assert.ok(status === 200 || status === 417);
    }));

  test("adapter answers as HTTP/1.1 a client that would rather speak something else", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const fields = "host: h\r\nconnection: upgrade\r\nupgrade: other/1\r\n";
      assert.equal((await client().get("/", fields).response()).body.toString(), "text");
    }));

  test("adapter answers at once a client that has closed its half behind its request", (trial) =>
    trial.withServer(() => new Response("text"), async ({ client }) => {
      const connection = client().get("/").end();
      assert.equal((await connection.response()).body.toString(), "text");
      await connection.closed;
    }));

  test("adapter reads the body of a client that has closed its half behind it", (trial) =>
    trial.withServer(
      async (request) => new Response(await request.text().catch(() => "lost")),
      async ({ client }) => {
        const body = "body".repeat(250);
        const request = `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n${body}`;
        const response = await client().send(request).end().response();
        assert.deepEqual([response.status, response.body.toString()], [200, body]);
      },
    ));

  test("adapter takes a client that has closed its half meanwhile for one that has left", (trial) => {
    const called = deferred();
    return trial.withServer(async (_, info) => {
      called.resolve();
      await aborted(info.signal);
      return new Response("too late");
    }, async ({ client, reports }) => {
      const connection = client().get("/");
      await called.promise;
      await connection.end().closed;
      assert.deepEqual([connection.received, reports], ["", []]);
    });
  });

  test("adapter closes a connection whose client has closed its half within a head", (trial) => {
    let calls = 0;
    const handler = (): Response => new Response(`call ${++calls}`);
    return trial.withServer(handler, async ({ client, reports }) => {
      await client().send("GET / HTTP/1.1\r\nho").end().closed;
      assert.deepEqual([calls, reports], [0, []]);
    });
  });

  test("adapter answers a client that sends byte by byte, and others meanwhile", (trial) =>
    trial.withServer(async (request) => new Response(await request.text()), async ({ client }) => {
      const slow = await client().connected();
      const bytes = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody";
      for (const byte of bytes) {
        slow.send(byte);
        await turn();
        if (byte === "\n") assert.equal((await client().get("/").response()).status, 200);
      }
      assert.equal((await slow.response()).body.toString(), "body");
    }));
}

async function tenTurns(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn();
}
