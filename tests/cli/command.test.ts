/**
 * The command as its user meets it: options from everywhere, what it prints and where, how it
 * ends, and one line for every mistake.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { resolveSettings } from "../../adapters/cli/options.ts";
import { listening, ROOT, signal, start, withFolder } from "../support/server_process.ts";

const APP = "tests/support/diary_app.ts";
const MOD = "mod.ts";

/** Starts and waits for the end: what came out, and the exit code. */
async function run(file: string, args: readonly string[], options = {}) {
  const started = start(file, args, options);
  const { code } = await started.ended;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

/** Asserts that a command ended with one line, no stack, and the code. */
function assertOneLine(
  ended: { code: number | null; stdout: string; stderr: string },
  code: number,
  line: RegExp,
): void {
  assert.match(ended.stderr, line);
  assert.equal(ended.stderr.trimEnd().split("\n").length, 1, ended.stderr);
  assert.equal(ended.stdout, "");
  assert.equal(ended.code, code);
}

/** The first `count` of `promises` to resolve. */
function firstOf<T>(promises: readonly Promise<T>[], count: number): Promise<T[]> {
  return new Promise((resolve, reject) => {
    const values: T[] = [];
    for (const promise of promises) {
      promise.then((value) => values.push(value) === count && resolve(values), reject);
    }
  });
}

/** Serves while `body` runs. */
async function serving<T>(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> },
  body: (url: string) => Promise<T>,
): Promise<T> {
  const server = start(file, args, options);
  try {
    return await body(await listening(server));
  } finally {
    signal(server, "SIGTERM");
    await server.ended;
  }
}

test("mod.ts serves an application, and prints the address as its first line", async () => {
  await withFolder(async (folder) => {
    const server = start(MOD, [join(ROOT, APP), "--addr", "127.0.0.1:0"], { cwd: folder });
    const url = await listening(server);
    assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(await (await fetch(url)).text(), "[]");
    signal(server, "SIGTERM");
    await server.ended;
    assert.equal(server.stdout(), `Listening on ${url}\n`);
    assert.equal(server.stderr(), "");
    assert.ok(existsSync(join(folder, "db.events")), "the default file is db.events");
  });
});

test("mod.ts prints every address as localhost", async () => {
  await withFolder((folder) =>
    serving(MOD, [join(ROOT, APP), "--addr", ":0"], { cwd: folder }, async (url) => {
      assert.match(url, /^http:\/\/localhost:\d+$/);
      assert.equal((await fetch(url.replace("localhost", "127.0.0.1"))).status, 200);
    })
  );
});

test("mod.ts serves an application outside the repository that imports it by name", async () => {
  // By name it is found through Deno's import map, or where npm has installed it.
  const specifier = "Deno" in globalThis ? "alcedo" : join(ROOT, MOD);
  await withFolder(async (folder) => {
    const file = join(folder, "app.ts");
    await writeFile(
      file,
      `import { defineApp } from ${JSON.stringify(specifier)};
       export default defineApp({
         initModel: () => 1,
         updateModel: (n: number, events: readonly number[]) => n + events.length,
         handleRequest: (_request, n) => new Response(String(n)),
       });`,
    );
    await serving(MOD, [file, "--addr", "localhost:0"], { cwd: folder }, async (url) => {
      assert.equal(await (await fetch(url)).text(), "1");
    });
  });
});

test("mod.ts serves a module whose default export is a plain handler", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "plain.ts");
    await writeFile(file, `export default () => new Response("plain");`);
    await serving(MOD, [file, "--addr", "localhost:0"], { cwd: folder }, async (url) => {
      assert.equal(await (await fetch(url)).text(), "plain");
    });
    assert.ok(!existsSync(join(folder, "db.events")), "no model, no log");
  });
});

test("an application takes the same options when it is run by itself", async () => {
  await withFolder(async (folder) => {
    const events = join(folder, "own.events");
    await serving(APP, ["--addr=localhost:0", `--events-file=${events}`], {}, async (url) => {
      assert.equal(await (await fetch(url, { method: "POST", body: "a" })).text(), "1\n");
    });
    assert.ok(existsSync(events));
  });
});

test("options come from the environment, and arguments come before it", async () => {
  await withFolder(async (folder) => {
    const env = {
      ALCEDO_ADDR: "localhost:0",
      ALCEDO_EVENTS_FILE: join(folder, "from_environment.events"),
      ALCEDO_MAX_BODY_BYTES: "1KiB",
    };
    const args = ["--max-body-bytes", "8"];
    await serving(APP, args, { env }, async (url) => {
      const post = async (body: string) => (await fetch(url, { method: "POST", body })).status;
      assert.equal(await post("x".repeat(8)), 200);
      assert.equal(await post("x".repeat(9)), 413);
    });
    assert.ok(existsSync(env.ALCEDO_EVENTS_FILE));
  });
});

test("--request-timeout ends a write handler with 504", async () => {
  await withFolder(async (folder) => {
    const args = ["--addr", "localhost:0", "--request-timeout", "50ms"];
    const until = join(folder, "never");
    await serving(APP, [...args, "--events-file", join(folder, "t.events")], {}, async (url) => {
      const slow = await fetch(`${url}/slow?until=${until}`, { method: "POST", body: "a" });
      assert.equal(slow.status, 504);
      assert.equal((await fetch(url, { method: "POST", body: "b" })).status, 200);
      assert.deepEqual(await (await fetch(url)).json(), ["b"]);
    });
  });
});

test("--write-queue-max bounds the writes that wait", async () => {
  await withFolder(async (folder) => {
    const args = ["--addr", "localhost:0", "--write-queue-max", "1"];
    const until = join(folder, "go");
    await serving(APP, [...args, "--events-file", join(folder, "q.events")], {}, async (url) => {
      // One is in hand and one waits; which of the four these are is the network's choice.
      const posts = ["a", "b", "c", "d"].map((body) =>
        fetch(`${url}/slow?until=${until}`, { method: "POST", body })
      );
      const refused = await firstOf(posts, 2);
      for (const { status, headers } of refused) {
        assert.equal(status, 503);
        assert.equal(headers.get("retry-after"), "1");
      }
      await writeFile(until, "");
      const statuses = (await Promise.all(posts)).map(({ status }) => status);
      assert.deepEqual(statuses.toSorted(), [200, 200, 503, 503]);
    });
  });
});

test("limits of the server, and trusted proxies, come from the command line", async () => {
  await withFolder(async (folder) => {
    const module = join(folder, "handler.ts");
    const text = "export default async (request, { remoteAddress }) => " +
      "new Response(`${request.url} ${remoteAddress} ${await request.text()}`);";
    await writeFile(module, text);
    const args = ["--max-url-bytes", "100", "--max-header-bytes", "2kB", "--body-timeout", "100ms"];
    args.push("--addr", "127.0.0.1:0", "--trusted-proxies", "loopback, 10.0.0.0/8");
    await serving(MOD, [module, ...args], {}, async (url) => {
      assert.equal((await fetch(`${url}/${"a".repeat(100)}`)).status, 414);
      assert.equal((await fetch(url, { headers: { "x-a": "b".repeat(3000) } })).status, 431);
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("a")),
      });
      const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
      assert.equal((await fetch(url, init)).status, 408);
      const headers = {
        "x-forwarded-for": "203.0.113.7, 10.1.1.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "o.test",
      };
      const seen = await (await fetch(url, { headers })).text();
      assert.equal(seen, "https://o.test/ 203.0.113.7 ");
    });
  });
});

test("limits of the server are read with their units, and proxies one by one", () => {
  const settings = resolveSettings(
    {
      "idle-timeout": "2m",
      "header-timeout": "5s",
      "max-connections": "7",
      "max-requests": "8",
      "trusted-proxies": "loopback,::1",
    },
    { ALCEDO_IDLE_TIMEOUT: "1m", ALCEDO_BODY_TIMEOUT: "3s" },
    { urlBytesMax: 9, bodyTimeoutMs: 1 },
  );
  const { idleTimeoutMs, headerTimeoutMs, bodyTimeoutMs, connectionsMax, requestsMax } = settings;
  assert.deepEqual(
    [idleTimeoutMs, headerTimeoutMs, bodyTimeoutMs, connectionsMax, requestsMax],
    [120_000, 5000, 3000, 7, 8],
  );
  assert.deepEqual([settings.urlBytesMax, settings.headerBytesMax], [9, undefined]);
  assert.deepEqual(settings.trustedProxies, ["loopback", "::1"]);
  const wrong = () => resolveSettings({ "trusted-proxies": "loopback,nonsense" }, {}, {});
  assert.throws(wrong, { message: /^--trusted-proxies: .*"nonsense".*range/ });
});

test("--static serves files before the application is asked", async () => {
  await withFolder(async (folder) => {
    await writeFile(join(folder, "a.txt"), "file");
    const args = ["--addr", "localhost:0", "--static", folder, "--static-prefix", "/files/"];
    await serving(APP, [...args, "--events-file", join(folder, "s.events")], {}, async (url) => {
      const text = async (path: string) => await (await fetch(url + path)).text();
      assert.equal(await text("/files/a.txt"), "file");
      for (const path of ["/", "/files/none", "/a.txt"]) assert.equal(await text(path), "[]", path);
    });
    const none = join(folder, "none");
    assertOneLine(await run(APP, ["--static", none]), 1, /cannot serve .*none": .* no such folder/);
    assert.throws(
      () => resolveSettings({ "static-prefix": "/static" }, {}, {}),
      /--static-prefix: "\/static" is no path with a slash at its beginning and end/,
    );
  });
});

test("--help and --version print to standard output and exit with 0", async () => {
  for (const [file, args] of [[MOD, ["--help"]], [APP, ["--help"]], [APP, ["-h"]]] as const) {
    const { code, stdout, stderr } = await run(file, args);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const option of ["addr", "events-file", "max-body-bytes", "request-timeout"]) {
      assert.match(stdout, new RegExp(`--${option} `));
    }
    assert.match(stdout, /--write-queue-max COUNT/);
  }
  const version = await run(MOD, ["--version"]);
  assert.match(version.stdout, /^alcedo \d+\.\d+\.\d+\n$/);
  assert.equal(version.code, 0);
});

test("wrong usage is said in one line, with exit code 2", async () => {
  const app = join(ROOT, APP);
  assertOneLine(await run(MOD, []), 2, /which application/);
  assertOneLine(await run(MOD, [app, "--adr", ":0"]), 2, /unknown option --adr; see --help/);
  assertOneLine(await run(MOD, [app, "surplus"]), 2, /unknown argument "surplus"/);
  assertOneLine(await run(APP, ["--addr"]), 2, /--addr needs a value/);
  assertOneLine(await run(APP, ["--addr", "nine"]), 2, /--addr: "nine" is not an address; write/);
  assertOneLine(await run(APP, ["--request-timeout", "5"]), 2, /"5" is not a duration; write/);
  assertOneLine(await run(APP, ["--max-body-bytes", "4XB"]), 2, /"4XB" is not a size; write/);
  assertOneLine(
    await run(APP, [], { env: { ALCEDO_WRITE_QUEUE_MAX: "none" } }),
    2,
    /ALCEDO_WRITE_QUEUE_MAX: "none" is not a number/,
  );
});

test("a module that cannot be served is named in one line, with exit code 1", async () => {
  await withFolder(async (folder) => {
    const write = async (name: string, text: string) => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    const missing = join(folder, "missing.ts");
    assertOneLine(await run(MOD, [missing]), 1, /missing\.ts": there is no such file/);
    const nothing = await write("nothing.ts", "export const app = 1;");
    assertOneLine(await run(MOD, [nothing]), 1, /no default export; write "export default app"/);
    const half = await write("half.ts", "export default { initModel: () => 1 };");
    assertOneLine(await run(MOD, [half]), 1, /updateModel is not a function/);
  });
});

test("a port in use is said in one line, with exit code 1", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  assert.ok(typeof address === "object" && address !== null);
  await withFolder(async (folder) => {
    const args = ["--addr", `127.0.0.1:${address.port}`, "--events-file", join(folder, "p.events")];
    assertOneLine(await run(APP, args), 1, /cannot listen on .*: the port is in use/);
  });
  other.close();
  await once(other, "close");
});

test("a log in use is said in one line that names its process, with exit code 1", async () => {
  await withFolder(async (folder) => {
    const events = join(folder, "shared.events");
    const args = ["--addr", "localhost:0", "--events-file", events];
    const first = start(APP, args);
    await listening(first);
    assertOneLine(await run(APP, args), 1, new RegExp(`in use \\(pid ${first.child.pid}, started`));
    signal(first, "SIGTERM");
    assert.deepEqual(await first.ended, { code: 0, signal: null });
  });
});

test("a file that is no log is said in one line and left as it is, with exit code 1", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "photo.events");
    await writeFile(file, "\xff\xd8 this is no log");
    assertOneLine(await run(APP, ["--events-file", file]), 1, /not a log/);
    const nowhere = join(folder, "no", "such", "folder.events");
    assertOneLine(await run(APP, ["--events-file", nowhere]), 1, /folder does not exist/);
    assertOneLine(await run(APP, ["--events-file", folder]), 1, /it is a folder/);
  });
});

test("an event that can no longer be applied stops the start, and is named", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "old.events");
    await copyFile(join(ROOT, "tests/vectors/plain_log/db.events"), file);
    const { code, stderr } = await run(APP, ["--addr", "localhost:0", "--events-file", file]);
    assert.match(stderr, /Cannot decode event 1 of log .* \(0 bytes, at offset 1\)/);
    assert.equal(code, 1);
  });
});

test("--on-bad-event skip goes on without the event, and says so in one line", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "bad.events");
    await writeFile(file, '\x03"a"\x01{\x03"b"');
    const args = ["--addr", "localhost:0", "--events-file", file];
    const stopped = await run(APP, args);
    assert.equal(stopped.code, 1);
    assert.match(stopped.stderr, /Cannot decode event 2 of log .* \(1 bytes, at offset 5\): /);
    assert.match(stopped.stderr, /; its bytes are 7b {2}\|\{\|; .* --on-bad-event skip/);
    const server = start(APP, [...args, "--on-bad-event", "skip"]);
    const url = await listening(server);
    assert.deepEqual(await (await fetch(url)).json(), ["a", "b"]);
    assert.equal((await (await fetch(`${url}/health`)).json()).badEvents, 1);
    signal(server, "SIGTERM");
    await server.ended;
    assert.match(
      server.stderr(),
      /^.*1 event of log .* was left out .* event 2 \(at offset 5: .*\n$/,
    );
    assertOneLine(await run(APP, ["--on-bad-event", "ask"]), 2, /"ask" is none of: stop, skip/);
  });
});

test("what a handler throws is on standard error once, with its stack, and nowhere else", async () => {
  await withFolder(async (folder) => {
    const server = start(APP, ["--addr", "localhost:0", "--events-file", join(folder, "e.events")]);
    const url = await listening(server);
    const response = await fetch(`${url}/boom`);
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "500 Internal Server Error\n");
    assert.equal((await fetch(url, { method: "POST", body: "" })).status, 422);
    signal(server, "SIGTERM");
    await server.ended;
    assert.equal(server.stderr().match(/error: a secret of the server/gi)?.length, 1);
    assert.equal(server.stderr().match(/diary_app\.ts:\d+/g)?.length, 1, server.stderr());
    assert.equal(server.stdout(), `Listening on ${url}\n`);
  });
});

for (const name of ["SIGTERM", "SIGINT"] as const) {
  test(`${name} lets what is in flight finish, and exits with 0`, async () => {
    await withFolder(async (folder) => {
      const args = ["--addr", "localhost:0", "--events-file", join(folder, "s.events")];
      const server = start(APP, args);
      const url = await listening(server);
      const until = join(folder, "go");
      const first = fetch(`${url}/slow?until=${until}`, { method: "POST", body: "kept" });
      await fetch(url); // The server has seen what was sent before.
      signal(server, name);
      await writeFile(until, "");
      assert.equal((await first).status, 200);
      assert.deepEqual(await server.ended, { code: 0, signal: null });
      await serving(APP, args, {}, async (url) => {
        assert.deepEqual(await (await fetch(url)).json(), ["kept"]);
      });
    });
  });
}

test("a second signal ends the process at once", async () => {
  await withFolder(async (folder) => {
    const server = start(APP, ["--addr", "localhost:0", "--events-file", join(folder, "x.events")]);
    const url = await listening(server);
    const never = join(folder, "never");
    const hanging = fetch(`${url}/slow?until=${never}`).catch(() => "cut off");
    await fetch(url);
    signal(server, "SIGTERM");
    // It does not accept any more: the first signal has been handled.
    while (await fetch(url).then(() => true, () => false));
    signal(server, "SIGTERM");
    assert.equal((await server.ended).code, 1);
    assert.equal(await hanging, "cut off");
  });
});
