/**
 * A log that the first version of an application has written, read by the second one.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

/** Runs `body` against a version of the example. */
async function withVersion(
  file: "version_1.ts" | "main.ts",
  events: string,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const args = ["--addr", "localhost:0", "--events-file", events];
  const server = start(`examples/renamed_field/${file}`, args);
  try {
    await body(await listening(server));
  } finally {
    signal(server, "SIGTERM");
    await server.ended;
  }
}

async function add(url: string, contact: object): Promise<number> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(contact) });
  await response.body?.cancel();
  return response.status;
}

test("renamed_field reads the events of version 1, and its own", async () => {
  await withFolder(async (folder) => {
    const events = join(folder, "book.events");
    await withVersion("version_1.ts", events, async (url) => {
      assert.equal(await add(url, { name: "Ada", mail: "ada@example.org" }), 200);
    });
    const both = [
      { name: "Ada", email: "ada@example.org" },
      { name: "Grace", email: "grace@example.org" },
    ];
    await withVersion("main.ts", events, async (url) => {
      assert.deepEqual(await (await fetch(url)).json(), both.slice(0, 1));
      assert.equal(await add(url, { name: "Grace", email: "grace@example.org" }), 200);
      assert.equal(await add(url, { name: "Linus", mail: "linus@example.org" }), 400);
    });
    await withVersion("main.ts", events, async (url) => {
      assert.deepEqual(await (await fetch(url)).json(), both);
    });
  });
});
