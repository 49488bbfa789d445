/**
 * Files of any size, to the disk and back, in little memory; and what becomes of those that do not
 * arrive.
 */

import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { openFileLog } from "../../adapters/file_log.ts";
import { turn, until } from "../../adapters/conformance/trial.ts";
import { fileHash, memoryOf, sendFile, takeFile } from "../support/file_client.ts";
import { listening, signal, start, type Started, withFolder } from "../support/server_process.ts";

const MEGABYTE = 1024 * 1024;

const FILE_BYTES = (process.env["ALCEDO_LONG"] ? 1024 : 64) * MEGABYTE;

/** What the server may take above what it has when it is started. */
const MEMORY_BYTES = 64 * MEGABYTE;

interface Server {
  readonly process: Started;
  readonly url: string;
  /** What is in its folder. */
  files(): Promise<string[]>;
}

/** Runs `body` against the example, with its log and its files in `folder`, and kills it. */
async function withExample(
  folder: string,
  bytesMax: number,
  body: (server: Server) => Promise<void>,
): Promise<void> {
  const uploads = join(folder, "uploads");
  const args = ["--addr", "127.0.0.1:0", "--events-file", join(folder, "db.events")];
  const env = {
    UPLOAD_FOLDER: uploads,
    UPLOAD_BYTES_MAX: `${bytesMax}`,
    // As its README has it; the other runtimes do not look there.
    NODE_OPTIONS: "--max-semi-space-size=2",
  };
  const server = start("examples/upload/main.ts", args, { env });
  try {
    await body({ process: server, url: await listening(server), files: () => readdir(uploads) });
  } finally {
    signal(server, "SIGKILL");
    await server.ended;
  }
}

/** How often `finish` was called for an answer. */
function finishes({ process }: Server, what: string): number {
  return process.stdout().split("\n").filter((line) => line.startsWith(what)).length;
}

/** Resolves when `finish` was called for an answer. */
const finished = (server: Server, what: string) => until(() => finishes(server, what) > 0);

async function eventsIn(folder: string): Promise<number> {
  const log = await openFileLog(join(folder, "db.events"), { readOnly: true });
  await log.close();
  return log.durable;
}

test("upload takes a large file to disk and sends it back, in 64 MB of memory and one event", () =>
  withFolder(async (folder) => {
    await withExample(folder, FILE_BYTES, async (server) => {
      const { pid } = server.process.child;
      const { now } = memoryOf(pid);
      const file = `${server.url}/files/large%20one`;

      const answer = await sendFile(file, FILE_BYTES);
      const [head = "", json = ""] = answer.split("\r\n\r\n");
      assert.match(head, /^HTTP\/1.1 201 /);
      const { id, at, ...uploaded } = JSON.parse(json);
      const sha256 = fileHash(0, FILE_BYTES);
      assert.deepEqual(uploaded, { name: "large one", size: FILE_BYTES, sha256 });
      assert.deepEqual(await server.files(), [id]);
      const listed = await (await fetch(server.url)).json();
      assert.deepEqual(listed, [{ id, at, ...uploaded }]);

      const taken = await takeFile(file);
      assert.deepEqual([taken.status, taken.size, taken.sha256], [200, FILE_BYTES, sha256]);

      const [from, to] = [3 * MEGABYTE - 7, FILE_BYTES - 2 * MEGABYTE + 5];
      const range = { range: `bytes=${from}-${to - 1}` };
      const part = await takeFile(file, range);
      assert.equal(part.status, 206);
      assert.equal(part.headers.get("content-range"), `bytes ${from}-${to - 1}/${FILE_BYTES}`);
      assert.deepEqual([part.size, part.sha256], [to - from, fileHash(from, to)]);

      const above = memoryOf(pid).most - now;
      assert.ok(above <= MEMORY_BYTES, `${Math.round(above / MEGABYTE)} MB above its start`);

      await finished(server, "GET /files/large%20one 206");
      assert.equal(finishes(server, "PUT /files/large%20one 201"), 1);
      assert.equal(finishes(server, "GET /files/large%20one 200"), 1);
      assert.equal(server.process.stderr(), "");
    });
    assert.equal(await eventsIn(folder), 1);
  }));

test("upload leaves no file and no event of what is cut off, too large, replaced or removed", () =>
  withFolder(async (folder) => {
    const bytesMax = 4 * MEGABYTE;
    let hanging: Promise<unknown> | undefined;
    let keptId = "";
    await withExample(folder, bytesMax, async (server) => {
      const { url } = server;
      const put = async (name: string, body: string | Uint8Array<ArrayBuffer> | ReadableStream) => {
        // `duplex` is for streams (Fetch standard), and missing in some types.
        const init: RequestInit & { duplex: "half" } = { method: "PUT", body, duplex: "half" };
        const response = await fetch(`${url}/files/${name}`, init);
        return [response.status, await response.text()] as const;
      };
      await sendFile(`${url}/files/cut`, bytesMax, 2 * MEGABYTE);
      await finished(server, "PUT /files/cut 400");
      assert.deepEqual(await server.files(), []);

      await sendFile(`${url}/files/said`, bytesMax + 1, 0);
      await finished(server, "PUT /files/said 413");
      const chunked = new Blob([new Uint8Array(bytesMax + 1)]).stream();
      await put("silent", chunked).catch(() => {}); // It may be cut off while it is sent.
      await finished(server, "PUT /files/silent 413");
      assert.equal((await put("a/b", "no name"))[0], 404);
      assert.deepEqual(await server.files(), []);

      assert.equal((await put("kept", "first"))[0], 201);
      const [status, json] = await put("kept", "second");
      assert.equal(status, 200);
      await finished(server, "PUT /files/kept 200");
      keptId = JSON.parse(json).id;
      assert.deepEqual(await server.files(), [keptId]);

      assert.equal((await put("gone", "gone"))[0], 201);
      assert.equal((await fetch(`${url}/files/gone`, { method: "DELETE" })).status, 204);
      await finished(server, "DELETE /files/gone 204");
      assert.deepEqual(await server.files(), [keptId]);
      assert.equal((await takeFile(`${url}/files/gone`)).status, 404);
      for (
        const what of ["cut 400", "said 413", "silent 413", "kept 201", "kept 200", "gone 201"]
      ) {
        assert.equal(finishes(server, `PUT /files/${what}`), 1, what);
      }

      // What a crash leaves: a part of a file, and a file without its event.
      const endless = new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(1000)),
      });
      hanging = put("crash", endless).catch(() => {});
      while (!(await server.files()).some((name) => name.endsWith(".part"))) await turn();
      await writeFile(join(folder, "uploads", crypto.randomUUID()), "without its event");
      await writeFile(join(folder, "uploads", "README"), "somebody else's");
    });
    await hanging;
    assert.equal(await eventsIn(folder), 4);

    await withExample(folder, bytesMax, async (server) => {
      const kept = `${server.url}/files/kept`;
      assert.deepEqual((await server.files()).sort(), [keptId, "README"].sort());
      const text = async (headers: Record<string, string>) => {
        const response = await fetch(kept, { headers });
        return [response.status, await response.text()];
      };
      const etag = (await takeFile(kept)).headers.get("etag") ?? "";
      assert.deepEqual(await text({ range: "bytes=-2" }), [206, "nd"]);
      assert.deepEqual(await text({ range: "bytes=4-" }), [206, "nd"]);
      assert.deepEqual(await text({ range: "bytes=0-99" }), [206, "second"]);
      assert.deepEqual(await text({ range: "bytes=1-1", "if-range": etag }), [206, "e"]);
      assert.deepEqual(await text({ range: "bytes=1-1", "if-range": '"other"' }), [200, "second"]);
      assert.deepEqual(await text({ range: "bytes=0-0,2-2" }), [200, "second"]);
      assert.deepEqual(await text({ range: "bytes=6-" }), [416, "416 Range Not Satisfiable\n"]);
      const head = await fetch(kept, { method: "HEAD" });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
    });
  }));
