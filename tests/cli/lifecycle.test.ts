/** The lifecycle of a served application: what its user sees when it starts, and when it stops. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openFileLog } from "../../adapters/file_log.ts";
import { RawClient } from "../../adapters/conformance/raw_client.ts";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

/** An application as a module, with `members` beside what every one has. */
const appWith = (members: string): string => `
import process from "node:process";
export default {
  initModel: () => 0,
  updateModel: (count, events) => count + events.length,
  ${members}
};`;

test("mod.ts says which step could not be started, and why, and starts nothing", () =>
  withFolder(async (folder) => {
    const file = join(folder, "app.mjs");
    await writeFile(
      file,
      appWith(`
        handleRequest: () => new Response(),
        lifecycle: [
          { start: () => console.log("start"), stop: () => console.log("stop") },
          { start: () => { throw new Error("no such folder"); } },
        ],`),
    );
    const started = start("mod.ts", [file, "--addr", "127.0.0.1:0"], { cwd: folder });
    const { code } = await started.ended;
    assert.equal(code, 1);
    assert.equal(started.stdout(), "start\nstop\n");
    assert.match(
      started.stderr(),
      /Cannot start the application: lifecycle\[1\]\.start has failed: no such folder\n/,
    );
    assert.match(started.stderr(), /app\.mjs/, "the stack of what was thrown");
    // It is nobody's any more.
    await (await openFileLog(join(folder, "db.events"))).close();
  }));

test("a server that is told to stop sends what it has begun, finishes it, and stops its steps", () =>
  withFolder(async (folder) => {
    const file = join(folder, "app.mjs");
    await writeFile(
      file,
      appWith(`
        handleRequest: () => new Response(new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("begun"));
            process.once("SIGTERM", () => {
              controller.enqueue(new TextEncoder().encode("ended"));
              controller.close();
            });
          },
        })),
        lifecycle: [{
          start: (app) => app.write((_, { saveEvent }) => saveEvent("started")),
          finish: (_request, { status }, { isComplete }) => console.log("finish", status, isComplete),
          async stop(app) {
            await app.write((_, { saveEvent }) => saveEvent("stopped"));
            console.log("stop", await app.read((count) => count));
          },
        }],`),
    );
    const server = start("mod.ts", [file, "--addr", "127.0.0.1:0"], { cwd: folder });
    const url = await listening(server);
    const client = new RawClient(Number(new URL(url).port)).get("/");
    await client.receive("begun");
    signal(server, "SIGTERM");
    await client.receive("ended");
    const { code } = await server.ended;
    assert.equal(code, 0);
    assert.equal(server.stdout(), `Listening on ${url}\nfinish 200 true\nstop 2\n`);
    assert.equal(server.stderr(), "");
    const log = await openFileLog(join(folder, "db.events"), { readOnly: true });
    await log.close();
    assert.equal(log.durable, 2);
  }));
