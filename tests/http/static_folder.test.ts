/**
 * What static files must not show: anything outside of the folder, by whatever path, link or race;
 * names with dots; and what is no file, and would keep whoever opens it waiting.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { mkdir, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { memoryLog, openEngine, serveFiles } from "../../mod.ts";
import { openFolder } from "../../adapters/static_folder.ts";
import { faultOfPrefix } from "../../runtime/http/static_files.ts";
import { turn } from "../../adapters/conformance/trial.ts";
import { type Contents, withSite, writeContents } from "../support/file_site.ts";
import { holds } from "../support/property.ts";
import { withFolder } from "../support/server_process.ts";

const SECRET = "what nobody may see";

/** A folder, secrets around it, and every kind of link that leads to them. */
const SURROUNDED: Contents = {
  "secret.txt": SECRET,
  "shown-not/secret.txt": SECRET,
  "shown/a.txt": "a",
  "shown/sub/a.txt": "a",
  "shown/.env": SECRET,
  "shown/.git/secret.txt": SECRET,
  "shown/sub/.env": SECRET,
  "shown/out.txt -> ../secret.txt": "",
  "shown/out -> ..": "",
  "shown/beside -> ../shown-not": "",
  "shown/further -> out.txt": "",
  "shown/dot.txt -> .env": "",
  "shown/dots -> .git": "",
  "shown/.link.txt -> a.txt": "",
  "shown/br.txt": "a",
  "shown/br.txt.br -> ../secret.txt": "",
  "shown/index -> ../shown-not": "",
  "shown/page/index.html -> ../../secret.txt": "",
  "shown/loop -> loop": "",
  "shown/null -> /dev/zero": "",
  "shown/in.txt -> sub/../a.txt": "",
  "shown/in -> ../shown/sub": "",
};

test("no path leads out of the folder, or to a name with a dot", async () => {
  const segment = fc.constantFrom(
    ...["..", ".", "%2e%2e", "%2E.", "%252e%252e", "..%2f", "%2f", "%2F..%2f", "%5c", "..%5c"],
    ...["..\\", "%00", "secret.txt", "secret.txt%00.txt", "%c0%ae%c0%ae", "..;", "", "%", "%zz"],
    ...["shown", "shown-not", "sub", "a.txt", "br.txt", "page", "~", "*", "a.txt%2f..%2f..", "in"],
    ...["out.txt", "out", "beside", "further", "dot.txt", "dots", ".env", "%2eenv", ".git", "loop"],
    ...["null", "proc", "self", "root", "cwd", "etc", "passwd", "in.txt", "%EF%BC%8E%EF%BC%8E"],
  );
  const segments = fc.oneof(
    fc.array(segment, { maxLength: 2 }),
    fc.array(segment, { maxLength: 7 }),
  );
  const target = segments.map((segments) => `/${segments.join("/")}`);
  const fields = fc.constantFrom({}, { "accept-encoding": "br" });
  await withSite(SURROUNDED, async (site) => {
    await holds(300, fc.record({ target, fields }), async ({ target, fields }) => {
      const got = await site.get(target, fields);
      assert.ok(!got.text.includes(SECRET), target);
      assert.ok(got.status < 500, `${target}: ${got.status}`);
    });
    assert.equal((await site.get("/in/../in/a.txt")).text, "a", "what is there is found");
    assert.deepEqual(site.running.reports, []);
  });
});

test("links within the folder are followed, and no others", async () => {
  await withSite(SURROUNDED, async (site) => {
    const rows = {
      ...{ "/in.txt": "a", "/in/a.txt": "a", "/br.txt": "a" },
      ...{ "/out.txt": "none", "/out/secret.txt": "none", "/beside/secret.txt": "none" },
      ...{ "/further": "none", "/dot.txt": "none", "/dots/secret.txt": "none", "/page/": "none" },
      ...{ "/out/shown/a.txt": "a", "/loop": "none", "/null": "none", "/.env": "none" },
      ...{ "/.link.txt": "none" },
    };
    for (const [target, text] of Object.entries(rows)) {
      const got = await site.get(target, { "accept-encoding": "br" });
      assert.equal(got.text, text, target);
    }
  });
});

test("names with a dot are shown to whoever asks for that", async () => {
  await withSite(SURROUNDED, async (site) => {
    for (const target of ["/.env", "/dot.txt", "/.git/secret.txt", "/dots/secret.txt"]) {
      assert.equal((await site.get(target)).text, SECRET, target);
    }
    assert.equal((await site.get("/out.txt")).text, "none");
  }, { prefix: "/", dotFiles: true });
});

test("pipes, sockets and names that no file can have are no files, and not waited for", async () => {
  await withSite({ "shown/a.txt": "a" }, async (site) => {
    const shown = join(site.folder, "shown");
    execFileSync("mkfifo", [join(shown, "pipe")]);
    symlinkSync("pipe", join(shown, "to_pipe"));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(shown, "socket"), resolve));
    for (const target of ["/pipe", "/to_pipe", "/socket", `/${"a".repeat(300)}`, "/a.txt/b"]) {
      assert.equal((await site.get(target)).text, "none", target);
    }
    await new Promise((resolve) => server.close(resolve));
    assert.deepEqual(site.running.reports, []);
  });
});

/** Does `work` over and over while `body` runs. */
async function meanwhile(work: (round: number) => Promise<void>, body: () => Promise<void>) {
  let isOver = false;
  const working = (async () => {
    for (let round = 0; !isOver; round++) await work(round);
  })();
  try {
    await body();
  } finally {
    isOver = true;
    await working;
  }
}

test("a folder that is swapped for a link at every moment shows nothing of where that leads", async () => {
  await withFolder(async (top) => {
    writeContents(top, { "secret/a.txt": SECRET, "shown/sub/a.txt": "a" });
    const [folder, kept, link] = ["sub", "kept", "link"].map((name) =>
      join(top, "shown", name)
    ) as [string, string, string]; // As many as before.
    await symlink("../secret", link);
    const shown = openFolder(join(top, "shown"));
    const seen = new Map<string, number>();
    const look = async () => {
      const found = await shown.open(["sub", "a.txt"]);
      let text = "none";
      if (found !== undefined && found !== "folder") {
        const bytes = new Uint8Array(99);
        text = new TextDecoder().decode(bytes.subarray(0, await found.read(bytes, 0)));
        await found.close();
      }
      seen.set(text, (seen.get(text) ?? 0) + 1);
    };
    const swap = async (round: number) => {
      await rename(folder, kept);
      await rename(link, folder);
      if (round % 5 === 0) await turn(); // Or both would go in step.
      await rename(folder, link);
      await rename(kept, folder);
      if (round % 3 === 0) await turn();
    };
    await meanwhile(swap, async () => {
      for (let i = 0; i < 300; i++) await Promise.all([look(), look(), look()]);
    });
    assert.deepEqual([...seen.keys()].toSorted(), ["a", "none"]);
  });
});

test("a file that is replaced at every moment is always there, old or new", async () => {
  await withSite({ "shown/a.txt": "0" }, async (site) => {
    const path = join(site.folder, "shown/a.txt");
    const replace = async (round: number) => {
      await writeFile(`${path}.new`, String(round));
      await rename(`${path}.new`, path);
    };
    await meanwhile(replace, async () => {
      for (let i = 0; i < 150; i++) assert.match((await site.get("/a.txt")).text, /^\d+$/);
    });
  });
});

test("a folder that is a link can be set to another one", async () => {
  await withSite({ "one/a.txt": "one", "two/a.txt": "two" }, async (site) => {
    const shown = join(site.folder, "shown");
    await rm(shown, { recursive: true });
    await symlink("one", shown);
    assert.equal((await site.get("/a.txt")).text, "one");
    await unlink(shown);
    await symlink("two", shown);
    assert.equal((await site.get("/a.txt")).text, "two");
    await unlink(shown);
    assert.equal((await site.get("/a.txt")).text, "none");
    await mkdir(shown);
  });
});

test("openFolder refuses what is no folder", async () => {
  await withFolder((folder) => {
    writeContents(folder, { "a.txt": "a" });
    assert.throws(() => openFolder(join(folder, "none")), { code: "ENOENT" });
    assert.throws(() => openFolder(join(folder, "a.txt")), { code: "ENOTDIR" });
    return Promise.resolve();
  });
});

test("a prefix is a normal path with a slash at its beginning and end", () => {
  for (const prefix of ["/", "/static/", "/a/b-1/", "/%C3%84/"]) {
    assert.equal(faultOfPrefix(prefix), undefined, prefix);
  }
  for (
    const prefix of [
      "",
      "static",
      "/static",
      "static/",
      "//",
      "/a//b/",
      "/../",
      "/a?/",
      "/Ä/",
      "/a#/",
    ]
  ) assert.match(faultOfPrefix(prefix) ?? "", /write \/static\/$/, prefix);
  assert.throws(() => serveFiles(".", { prefix: "static" }), TypeError);
});

test("serveFiles answers within an application, whichever style its model has", async () => {
  await withFolder(async (folder) => {
    const large = "a".repeat(200_000);
    writeContents(folder, { "a.txt": "text", "large.txt": large });
    const files = serveFiles(pathToFileURL(`${folder}/`));
    for (const style of ["pure", "in place"]) {
      await using engine = await openEngine({
        initModel: (): string[] => [],
        updateModel: (model, events: readonly string[]) => {
          if (style === "pure") return [...model, ...events];
          model.push(...events);
          return model;
        },
        handleRequest: async (request, model, { saveEvent }) => {
          saveEvent?.("event");
          return await files(request) ?? Response.json(model);
        },
      }, { log: memoryLog() });
      const get = async (path: string, method = "GET") =>
        await engine.fetch(new Request(`http://host${path}`, { method }));
      assert.equal(await (await get("/", "POST")).text(), "[]");
      assert.equal(await (await get("/")).text(), '["event"]');
      assert.equal(await (await get("/static/a.txt")).text(), "text");
      assert.equal(await (await get("/static/large.txt")).text(), large);
      assert.equal(await (await get("/static/none")).text(), '["event"]');
      assert.equal((await get("/static/a.txt", "POST")).status, 405);
    }
  });
});
