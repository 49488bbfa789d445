/**
 * `mod.ts events` as its user meets it: on real files, beside a server, in processes of its own.
 * What the work itself does is tested on the simulated disk, in tests/log.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bytesAsJson, bytesAsText, commitAsText } from "../../adapters/cli/events/event_text.ts";
import { runEvents } from "../../adapters/cli/events/main.ts";
import { UsageError } from "../../adapters/cli/options.ts";
import { makeDiary, recoverDiary } from "../support/diary_file.ts";
import {
  listening,
  ROOT,
  signal,
  start,
  type Started,
  withFolder,
} from "../support/server_process.ts";

const APP = "tests/support/diary_app.ts";

function startEvents(args: readonly string[]): Started {
  return start("mod.ts", ["events", ...args]);
}

/** Runs a command to its end. */
async function events(...args: readonly string[]) {
  const started = startEvents(args);
  const { code } = await started.ended;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

/** Runs a command that must succeed without a word on standard error; returns what it prints. */
async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await events(...args);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

/** The events that `show --json` or `tail --json` have printed. */
function eventsIn(lines: string): unknown[] {
  return lines.trimEnd().split("\n").flatMap((line) =>
    JSON.parse(line).events.map(({ json }: { json: unknown }) => json)
  );
}

/** Resolves when the process has printed that many lines. */
async function lines(started: Started, count: number): Promise<string[]> {
  for (;;) {
    const found = started.stdout().split("\n").slice(0, -1);
    if (found.length >= count) return found;
    const { stdout } = started.child;
    const more = stdout === null ? Promise.reject(new Error("no pipe")) : once(stdout, "data");
    await Promise.race([
      more,
      started.ended.then(() => assert.fail(`it ended early: ${started.stderr()}`)),
    ]);
  }
}

test("events commands look into a log, follow it and copy it while a server writes it", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "db.events");
    const copy = join(folder, "copy");
    const server = start("mod.ts", [APP, "--addr", "localhost:0", "--events-file", file]);
    const url = await listening(server);
    const post = async (entry: string) => {
      assert.equal((await fetch(url, { method: "POST", body: entry })).status, 200);
    };
    for (const entry of ["one", "two", "three"]) await post(entry);
    const follower = startEvents(["tail", "-f", "-n", "1", "--json", file]);
    assert.deepEqual(eventsIn((await lines(follower, 1)).join("\n")), ["three"]);
    const [shown, verified] = await Promise.all([
      printed("show", file, "--from", "2", "--limit", "1"),
      printed("verify", "--json", file),
      printed("backup", file, copy),
    ]);
    assert.match(shown, /^2 {2}\d{4}-\d\d-\d\dT\S+Z {2}"two"\n$/);
    const { ok, sequence } = JSON.parse(verified);
    assert.deepEqual({ ok, sequence }, { ok: true, sequence: 3 });
    await post("four");
    assert.deepEqual(eventsIn((await lines(follower, 2)).join("\n")), ["three", "four"]);
    signal(follower, "SIGINT");
    assert.equal((await follower.ended).code, 0);
    const { code, stderr } = await events("convert", "--to", "plain", file);
    assert.equal(code, 1);
    assert.match(stderr, /^alcedo: Cannot open log ".*db\.events": it is in use \(pid \d+.*\n$/);
    signal(server, "SIGKILL");
    await server.ended;
    assert.deepEqual(await recoverDiary(copy, assert.fail), ["one", "two", "three"]);
  });
});

test("events commands convert, restore and squash a log, and keep what was there", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "db.events");
    const copy = join(folder, "copy");
    const app = join(folder, "app.ts");
    writeFileSync(
      app,
      `import app from ${JSON.stringify(join(ROOT, APP))};
       export default { ...app, modelVersion: "1", eventsFrom: (entries) => entries };`,
    );
    const entries = ["one", "two"];
    await makeDiary(file, entries, { format: "checked" });
    await makeDiary(copy, ["other"], { format: "checked" });
    assert.match(await printed("snapshot", file, "--app", app), /after sequence 2 /);
    const verified = JSON.parse(await printed("verify", file, "--app", app, "--json"));
    assert.deepEqual(verified.problems, []);
    assert.equal(verified.snapshot, 2);
    assert.match(await printed("convert", file, "--to=plain"), /is plain: 2 events/);
    assert.match(await printed("squash", file, "--app", app), /2 events .* as its 2 events/);
    const restored = JSON.parse(await printed("restore", copy, file, "--replace", "--json"));
    assert.equal(restored.sequence, 1);
    assert.deepEqual(await recoverDiary(file, assert.fail), ["other"]);
    const old = readdirSync(folder).filter((name) => /\.old-\d+$/.test(name)).sort();
    assert.equal(old.length, 3);
    assert.equal(join(folder, old.at(-1) ?? ""), restored.old);
    for (const name of old) {
      assert.deepEqual(await recoverDiary(join(folder, name), assert.fail), entries);
    }
  });
});

test("events verify --app names what an application must not do, and ends with 1", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "db.events");
    const app = join(folder, "app.ts");
    writeFileSync(
      app,
      `export default {
         initModel: () => [],
         updateModel: (model, events) => [...model, ...events, performance.now()],
         handleRequest: () => new Response(),
       };`,
    );
    await makeDiary(file, ["one", "two"], { format: "plain" });
    const { code, stdout, stderr } = await events("verify", file, `--app=${app}`, "--json");
    assert.equal(code, 1);
    const { ok, problems } = JSON.parse(stdout);
    assert.equal(ok, false);
    assert.deepEqual(problems.map((it: { code: string }) => it.code), ["not deterministic"]);
    assert.match(stderr, /a second replay gave another model/);
  });
});

test("events verify names a damage, and events repair cuts where it says", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "db.events");
    await makeDiary(file, ["one", "two", "three"], { format: "checked" });
    const bytes = readFileSync(file);
    const at = bytes.indexOf('"two"');
    bytes[at] = 0;
    writeFileSync(file, bytes);
    const verified = await events("verify", file);
    assert.equal(verified.code, 1);
    assert.equal(verified.stdout, "");
    const [, offset = ""] =
      /damaged at offset (\d+), after commit 1: .* give up 2 commits \(2 to 3\)/
        .exec(verified.stderr) ?? [];
    const unasked = await events("repair", file, "--cut-at", offset);
    assert.equal(unasked.code, 2);
    assert.match(unasked.stderr, /2 commits \(2 to 3\) would be given up.* say --yes\n$/);
    const json = JSON.parse(await printed("repair", file, `--cut-at=${offset}`, "-y", "--json"));
    assert.equal(json.lost, 2);
    assert.deepEqual(readFileSync(json.keptAs), bytes.subarray(Number(offset)));
    assert.deepEqual(await recoverDiary(file, assert.fail), ["one"]);
  });
});

test("events show ends quietly when nobody reads on", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "db.events");
    await makeDiary(file, Array(30).fill("x".repeat(100_000)), { format: "checked" });
    const started = startEvents(["show", file]);
    const { stdout } = started.child;
    assert.ok(stdout !== null);
    await once(stdout, "data");
    stdout.destroy();
    const [code] = await once(started.child, "exit");
    assert.equal(code, 0);
    assert.equal(started.stderr(), "");
    started.ended.catch(() => {}); // Its output has no end.
  });
});

test("events says in one line what is wrong with how it was called, and ends with 2", async () => {
  const { code, stdout, stderr } = await events("show");
  assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
  assert.equal(stderr, "alcedo: which FILE? write events show FILE [options]\n");
  const calls: [string, RegExp][] = [
    ["", /^which command\? show, tail, /],
    ["shw", /^unknown command "shw"/],
    ["show a b", /^unknown argument "b"; see events show --help$/],
    ["show a --form 3", /^unknown option --form; see events show --help$/],
    ["show a --from", /^--from needs a value/],
    ["show a --from 0", /^--from: "0" is not a number from 1 on$/],
    ["tail a --from 1 -n 2", /choose one$/],
    ["backup a", /^which DEST\? write events backup FILE DEST/],
    ["convert a", /^--to is needed/],
    ["convert a --to xml", /^--to: "xml" is none of: checked, plain$/],
    ["repair a", /^--cut-at is needed/],
    ["repair a --cut-at x", /^--cut-at: "x" is not a number from 0 on$/],
    ["squash a", /^--app is needed/],
  ];
  for (const [call, message] of calls) {
    await assert.rejects(runEvents(call.split(" ").filter((word) => word !== "")), (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

test("events are printed as text or JSON where they are any, and else as bytes", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const cases: [Uint8Array, string, string][] = [
    [bytes('{"n":1.0,\n"big":9007199254740993}'), '{"n":1.0, "big":9007199254740993}', ""],
    [bytes("Ada"), "Ada", '{"text":"Ada"}'],
    [bytes("naïve ✓"), "naïve ✓", '{"text":"naïve ✓"}'],
    [bytes("a\nb"), "hex 610a62", '{"text":"a\\nb"}'],
    [Uint8Array.of(0xff, 0), "hex ff00", '{"base64url":"_wA"}'],
    [bytes(""), "(empty)", '{"text":""}'],
  ];
  for (const [event, text, json] of cases) {
    assert.equal(bytesAsText(event), text);
    assert.equal(bytesAsJson(event), json || `{"json":${text}}`);
  }
  const commit = { sequence: 7, time: 0, meta: new Uint8Array(0), events: [] };
  assert.equal(commitAsText(commit), "7  1970-01-01T00:00:00.000Z  (no events)");
  assert.equal(
    commitAsText({ ...commit, time: undefined, meta: bytes("{}"), events: [bytes("1")] }),
    "7  (noted: {})\n7  1",
  );
});
