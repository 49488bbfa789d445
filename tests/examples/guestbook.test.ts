/**
 * The guestbook, as programs see it, and as people do: in a browser.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import guestbook from "../../examples/guestbook/main.ts";
import { memoryLog, openEngine } from "../../mod.ts";
import { installed, runCommand } from "../gate/command.ts";
import { needs } from "../support/needs.ts";
import { listening, signal, start, withFolder } from "../support/server_process.ts";
import type { Visit } from "./guestbook_browser.ts";

const testWithChromium = needs("chromium", existsSync("/usr/bin/chromium"));

/** Runs `body` against the guestbook, on events in `folder`. */
async function withGuestbook(folder: string, body: (url: string) => Promise<void>): Promise<void> {
  const events = join(folder, "guestbook.events");
  const args = ["--addr", "localhost:0", "--events-file", events];
  const server = start("examples/guestbook/main.ts", args);
  try {
    await body(await listening(server));
  } finally {
    signal(server, "SIGTERM");
    await server.ended;
  }
}

interface Page {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

async function ask(url: string, init?: RequestInit): Promise<Page> {
  const response = await fetch(url, { redirect: "manual", ...init });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

function sign(url: string, name: string, message: string): Promise<Page> {
  return ask(url, { method: "POST", body: new URLSearchParams({ name, message }) });
}

test("guestbook shows entries, the newest first, as text, also after a restart", async () => {
  await withFolder(async (folder) => {
    let page = "";
    await withGuestbook(folder, async (url) => {
      assert.match((await ask(url)).text, /Nobody has signed yet/);
      const { status, headers } = await sign(url, " Ada\n Lovelace ", "Hello,\r\nbirds ");
      assert.deepEqual([status, headers.get("location")], [303, "/#entry-1"]);
      assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src/);
      await sign(url, `"><i>Bob`, "<script>&amp;</script>");
      page = (await ask(url)).text;
      const texts = [...page.matchAll(/<(?:h3|p) dir="auto">([^<]*)</g)].map(([, text]) => text);
      const escaped = ["&quot;&gt;&lt;i&gt;Bob", "&lt;script&gt;&amp;amp;&lt;/script&gt;"];
      assert.deepEqual(texts, [...escaped, "Ada Lovelace", "Hello,\nbirds"]);
    });
    await withGuestbook(folder, async (url) => assert.equal((await ask(url)).text, page));
  });
});

test("guestbook refuses what it cannot take, and keeps what was typed", async () => {
  await withFolder((folder) =>
    withGuestbook(folder, async (url) => {
      const long = await sign(url, "Ada", "\n<" + "x".repeat(1000));
      assert.equal(long.status, 422);
      assert.match(long.text, /These are 1001 characters; 1000 fit\./);
      assert.match(long.text, /value="Ada"/);
      assert.match(long.text, /<textarea [^>]*aria-invalid="true"[^>]*>&lt;x{1000}<\/textarea>/);
      const empty = await ask(url, { method: "POST", body: new Uint8Array([0xff, 0x25]) });
      assert.equal(empty.status, 422);
      assert.match(empty.text, /Please write your name\..*Please write a message\./s);
      const tooLong = await sign(url, "Ada", "x".repeat(5_000_000));
      assert.equal(tooLong.status, 413);
      assert.match(tooLong.text, /That was too much/);
      const missing = await ask(`${url}/nothing`);
      assert.equal(missing.status, 404);
      assert.match(missing.text, /There is no such page/);
      assert.match(missing.headers.get("content-type") ?? "", /^text\/html/);
      assert.match((await ask(url)).text, /Nobody has signed yet/);
    })
  );
});

test("guestbook has a link to entries that do not fit on a page", async () => {
  await using engine = await openEngine(guestbook, { log: memoryLog() });
  await engine.write((_entries, { saveEvent }) => {
    for (let i = 1; i <= 51; i++) {
      saveEvent({ type: "signed", name: `${i}`, message: "again", at: "2026-11-21T12:00:00.000Z" });
    }
  });
  const page = async (path: string) =>
    await (await engine.fetch(new Request(`http://test${path}`))).text();
  const names = (page: string) => [...page.matchAll(/<h3[^>]*>(\d+)</g)].map(([, name]) => name);
  const newest = await page("/");
  const shown = names(newest);
  assert.deepEqual([shown.length, shown.at(0), shown.at(-1)], [50, "51", "2"]);
  const older = /href="(\/\?before=[^"]*)"/.exec(newest)?.[1] ?? "";
  assert.deepEqual(names(await page(older)), ["1"]);
  for (const nonsense of ["?before=", "?before=52", "?before=1", "?before=-1", "?before=x"]) {
    assert.deepEqual(names(await page(`/${nonsense}`)), shown, nonsense);
  }
});

const NAME = `"><b>Ada`;
const MESSAGE = `<script>document.title = "a script ran"</script>
<img src="x" onerror="document.title = 'an image ran'"> ${"wide".repeat(50)}`;

testWithChromium("guestbook works in a browser, without JavaScript and against it", async () => {
  await withFolder((folder) =>
    withGuestbook(folder, async (url) => {
      const { ok, output } = await runCommand([
        installed("node"),
        "tests/examples/guestbook_browser.ts",
        ...[url, NAME, MESSAGE],
      ]);
      assert.ok(ok, output);
      const expected: Visit = {
        refused: { status: 422, problem: "Please write a message.", name: NAME },
        signed: { status: 303, name: NAME, message: MESSAGE },
        isStyled: true,
        fits: true,
        titles: ["Guestbook", "Guestbook"],
        titlesWithoutPolicy: ["Guestbook", "it ran"],
      };
      assert.deepEqual(JSON.parse(output), expected);
    })
  );
});
