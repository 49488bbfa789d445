/**
 * The notes, without a server and without a file. What no type can check (that the same events
 * always make the same model, one by one or together) is looked at with each request.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { testApp } from "alcedo";
import app from "./main.ts";

test("a note that is added gets the next number", async () => {
  await using notes = await testApp(app, { given: [{ kind: "added", text: "buy milk" }] });
  const body = " feed the cat ";
  const { response, events, model } = await notes.request("/", { method: "POST", body });
  assert.equal(response.status, 201);
  assert.deepEqual(await response.json(), { id: 2, text: "feed the cat" });
  assert.deepEqual(events, [{ kind: "added", text: "feed the cat" }]);
  assert.equal(model.texts.get(2), "feed the cat");
});

test("a note that is removed is shown no more", async () => {
  await using notes = await testApp(app, { given: [{ kind: "added", text: "buy milk" }] });
  assert.equal((await notes.request("/1", { method: "DELETE" })).response.status, 204);
  assert.deepEqual(await (await notes.request("/")).response.json(), []);
});

test("what is no note is refused, and nothing is saved", async () => {
  await using notes = await testApp(app);
  const added = await notes.request("/", { method: "POST", body: " " });
  assert.equal(added.response.status, 400);
  const removed = await notes.request("/1", { method: "DELETE" });
  assert.equal(removed.response.status, 404);
  assert.deepEqual([...added.events, ...removed.events], []);
});
