/**
 * The notes, without a server and without a file.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkApp, memoryLog, openEngine } from "alcedo";
import app from "./main.ts";

test("notes are added, shown and removed", async () => {
  await using engine = await openEngine(app, { log: memoryLog() });
  const send = (method: string, path: string, body?: string) =>
    engine.fetch(new Request(`http://localhost${path}`, { method, body: body ?? null }));
  const shown = async () => await (await send("GET", "/")).json();

  assert.deepEqual(await (await send("POST", "/", "buy milk")).json(), { id: 1, text: "buy milk" });
  await send("POST", "/", "feed the cat");
  assert.equal((await send("DELETE", "/1")).status, 204);
  assert.deepEqual(await shown(), [{ id: 2, text: "feed the cat" }]);

  assert.equal((await send("DELETE", "/1")).status, 404);
  assert.equal((await send("POST", "/", " ")).status, 400);
  assert.deepEqual(await shown(), [{ id: 2, text: "feed the cat" }]);
});

test("the application keeps the rules that no type can check", () => {
  const problems = checkApp(app, [
    { kind: "added", text: "buy milk" },
    { kind: "removed", id: 1 },
    { kind: "added", text: "feed the cat" },
  ]);
  assert.deepEqual(problems, []);
});
