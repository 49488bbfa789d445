/**
 * The first example, word for word, as a client sees it.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

const EXAMPLE = "examples/hello_world/main.ts";

/** Runs `body` against the example, on events in `folder`. */
async function withExample(folder: string, body: (url: string) => Promise<void>): Promise<void> {
  const events = join(folder, "hello.events");
  const server = start(EXAMPLE, ["--addr", "localhost:0", "--events-file", events]);
  try {
    await body(await listening(server));
  } finally {
    signal(server, "SIGTERM");
    await server.ended;
  }
}

const get = async (url: string) => (await fetch(url)).text();

test("hello_world greets the world, then whoever was posted", async () => {
  await withFolder((folder) =>
    withExample(folder, async (url) => {
      assert.equal(await get(url), "Hello World\n");
      const posted = await fetch(url, { method: "POST", body: "Ada" });
      assert.equal(posted.status, 200);
      assert.equal(await posted.text(), "Ada");
      assert.equal(await get(url), "Hello Ada\n");
    })
  );
});

test("hello_world greets the world again after an empty body", async () => {
  await withFolder((folder) =>
    withExample(folder, async (url) => {
      await fetch(url, { method: "POST", body: "Ada" });
      const posted = await fetch(url, { method: "POST", body: "" });
      assert.equal(await posted.text(), "World");
      assert.equal(await get(url), "Hello World\n");
    })
  );
});

test("hello_world answers 400 and saves nothing when the body is not UTF-8", async () => {
  await withFolder((folder) =>
    withExample(folder, async (url) => {
      await fetch(url, { method: "POST", body: "Ada" });
      const posted = await fetch(url, { method: "POST", body: new Uint8Array([0x41, 0xff]) });
      assert.equal(posted.status, 400);
      assert.equal(await get(url), "Hello Ada\n");
    })
  );
});

test("hello_world answers 405 and says what is allowed to any other method", async () => {
  await withFolder((folder) =>
    withExample(folder, async (url) => {
      for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"]) {
        const response = await fetch(url, { method });
        assert.equal(response.status, 405, method);
        assert.equal(response.headers.get("allow"), "GET, POST");
        await response.body?.cancel();
      }
      assert.equal(await get(url), "Hello World\n");
    })
  );
});

test("hello_world keeps a name as it was sent, a byte order mark included", async () => {
  await withFolder((folder) =>
    withExample(folder, async (url) => {
      const name = new TextEncoder().encode("\uFEFFÅsa 🐦");
      await fetch(url, { method: "POST", body: name });
      const page = new Uint8Array(await (await fetch(url)).arrayBuffer());
      assert.deepEqual(page.subarray(6, 6 + name.length), name);
    })
  );
});

test("hello_world knows the name after a restart", async () => {
  await withFolder(async (folder) => {
    await withExample(folder, async (url) => {
      await fetch(url, { method: "POST", body: "Grace" });
    });
    await withExample(folder, async (url) => {
      assert.equal(await get(url), "Hello Grace\n");
    });
  });
});
