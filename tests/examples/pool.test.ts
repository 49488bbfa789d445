/** The example workers, each driven by packets: what they answer is the same, whatever they are written in. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { HEALTH_CHECK } from "../../runtime/processes/packets.ts";
import { runCommand } from "../gate/command.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { RUN, withFolder } from "../support/server_process.ts";
import { requestOf, withWorker, type WorkerProcess } from "../support/worker_process.ts";

const utf8 = (text: string) => Uint8Array.from(Buffer.from(text));

async function checkWorker(name: string, worker: WorkerProcess): Promise<void> {
  const asked = async (method: string, uri: string, body = "") => {
    const answer = await worker.ask(requestOf({ method, uri, body: utf8(body) }));
    assert.equal(answer.status, 200);
    assert.deepEqual(
      answer.headers,
      new Map([
        ["Content-Type", ["text/plain; charset=utf-8"]],
        ["Set-Cookie", ["visited=yes", `worker=${name}`]],
      ]),
    );
    return Buffer.from(answer.body).toString();
  };

  const healthy = await worker.ask(HEALTH_CHECK);
  assert.deepEqual(healthy, { status: 200, headers: new Map(), body: new Uint8Array() });
  assert.equal(await asked("GET", "http://h/a%20b?q=%C3%BC"), "GET http://h/a%20b?q=%C3%BC\n");
  assert.equal(await asked("HEAD", "http://h/"), "HEAD http://h/\n");
  assert.equal(await asked("POST", "http://h/", "Grüße, 名"), "POST http://h/\nGrüße, 名");
  const large = "x".repeat(70_000);
  assert.equal(await asked("PUT", "http://h/", large), `PUT http://h/\n${large}`);

  // Two at once are two answers, in order.
  worker.send(requestOf({ uri: "http://h/1" }));
  worker.send(requestOf({ uri: "http://h/2" }));
  for (const uri of ["http://h/1", "http://h/2"]) {
    assert.equal(Buffer.from((await worker.answer()).body).toString(), `GET ${uri}\n`);
  }

  assert.deepEqual(await worker.close(), { code: 0, signal: null });
  assert.deepEqual([worker.surplus, worker.stdout, worker.stderr], [0, "", ""]);
}

test("example pool: the worker of serveWorker answers what it is asked", async () => {
  await withWorker([...RUN, "examples/pool/worker.ts"], (worker) => checkWorker("alcedo", worker));
});

const testWithPython = needs("python3", isInstalled("python3"));

testWithPython("example pool: the worker in Python answers what it is asked", async () => {
  await withWorker(
    ["python3", "examples/pool/worker.py"],
    (worker) => checkWorker("python", worker),
  );
});

const testWithC = needs("gcc", isInstalled("gcc"));

testWithC("example pool: the worker in C answers what it is asked", async () => {
  await withFolder(async (folder) => {
    const program = join(folder, "worker");
    const flags = ["-Wall", "-Wextra", "-Werror", "-O2"];
    const { ok, output } = await runCommand(
      ["gcc", ...flags, "-o", program, "examples/pool/worker.c"],
    );
    assert.ok(ok, output);
    await withWorker([program], (worker) => checkWorker("c", worker));
  });
});
