/**
 * `mod.ts pool` as its users meet it: real sockets, real processes, workers with every fault.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RawClient, valuesOf } from "../../adapters/conformance/raw_client.ts";
import { oddWorker, type RunningPool, startPool } from "../support/pool_process.ts";
import { RUNTIME } from "../support/runtime.ts";
import { ROOT, signal, start, withFolder } from "../support/server_process.ts";

/** What the worker for tests says of the request that it got. */
interface Echo {
  peer: string;
  url: string;
  method: string;
  headers: [string, string][];
  body: string;
}

async function withPool(
  options: readonly string[],
  body: (pool: RunningPool, folder: string) => Promise<void>,
  command: readonly string[] = oddWorker(),
): Promise<void> {
  await withFolder(async (folder) => {
    const pool = await startPool(folder, { options, command });
    try {
      await body(pool, folder);
    } catch (error) {
      throw new Error(`the pool printed: ${pool.started.stderr()}`, { cause: error });
    } finally {
      await pool.stop();
    }
  });
}

async function raw(pool: RunningPool, text: string) {
  const client = new RawClient(pool.port);
  client.send(text);
  const response = await client.response();
  client.leave();
  return response;
}

test("pool passes requests and answers on as they are", () =>
  withPool([
    ...["--max-request-body-size", "1KiB", "--request-read-timeout", "300ms"],
    ...["--static-root", join(ROOT, "docs"), "--static-url-prefix", "/docs/"],
  ], async (pool) => {
    const { url } = pool;
    const file = await fetch(`${url}/docs/pool.md`);
    assert.match(await file.text(), /^# The pool\n/);
    const missing = await fetch(`${url}/docs/nothing.md`);
    assert.equal((await missing.json() as Echo).url, `${url}/docs/nothing.md`, "a worker is asked");

    const post = await fetch(`${url}/a%2Fb/../c%20d?q=%41`, {
      method: "POST",
      body: "grüße",
      headers: { "x-lower": "é", "content-type": "text/plain" },
    });
    const echo: Echo = await post.json();
    assert.equal(echo.url, `${url}/c%20d?q=%41`);
    assert.equal(echo.method, "POST");
    assert.match(echo.peer, /^127\.0\.0\.1:\d+$/);
    assert.equal(echo.body, "gr\xc3\xbc\xc3\x9fe");
    const headers = new Map(echo.headers);
    assert.equal(headers.get("Content-Type"), "text/plain");
    assert.equal(headers.get("Content-Length"), "7");
    assert.equal(headers.get("X-Lower"), "é");

    const repeated = await raw(pool, "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n");
    const said: Echo = JSON.parse(repeated.body.toString());
    assert.equal(new Map(said.headers).get("X-A"), "1, 2");
    assert.equal(said.url, "http://h/");

    const odd = await raw(pool, "GET /headers HTTP/1.1\r\nHost: h\r\n\r\n");
    assert.deepEqual(valuesOf(odd, "set-cookie"), ["a=1", "b=2"]);
    assert.equal(valuesOf(odd, "x-two").join(", "), "1, 2");
    assert.deepEqual(valuesOf(odd, "x-text"), [Buffer.from("Grüße").toString("latin1")]);
    assert.deepEqual(valuesOf(odd, "content-length"), ["5"]);
    for (const name of ["x-own", "upgrade", "transfer-encoding"]) {
      assert.deepEqual(valuesOf(odd, name), [], name);
    }
    assert.ok(!valuesOf(odd, "keep-alive").includes("timeout=9"));
    assert.ok(!valuesOf(odd, "connection").includes("close, X-Own"));

    for (const [path, length] of [["/head", "123"], ["/big?n=5000000", "5000000"]] as const) {
      const head = await fetch(`${url}${path}`, { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), length);
      assert.equal(await head.text(), "");
    }
    for (const status of [204, 205, 304, 404, 500, 599]) {
      const answer = await fetch(`${url}/status?n=${status}`);
      assert.equal(answer.status, status);
      const text = await answer.text();
      assert.equal(text === "", status < 400 && status !== 200, String(status));
    }
    const big = await (await fetch(`${url}/big?n=5000000`)).text();
    assert.ok(big.length === 5_000_000 && /^b*$/.test(big));

    // Bun closes such a connection: one of the gaps in `tests/adapters/gaps.ts`.
    if (RUNTIME !== "bun") {
      const client = new RawClient(pool.port);
      const pipelined = [1, 2, 3].map((n) =>
        `GET /slow?n=${30 - 10 * n}&i=${n} HTTP/1.1\r\nHost: h\r\n\r\n`
      );
      client.send(pipelined.join(""));
      for (const n of [1, 2, 3]) {
        const { body } = await client.response();
        assert.match((JSON.parse(body.toString()) as Echo).url, new RegExp(`i=${n}$`));
      }
      client.leave();
    }

    const tooLarge = await fetch(url, { method: "POST", body: "x".repeat(1025) });
    assert.equal(tooLarge.status, 413);
    const chunked = "5\r\nhello\r\n".repeat(300) + "0\r\n\r\n";
    const post413 = `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`;
    assert.equal((await raw(pool, post413)).status, 413);
    const late = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf";
    assert.equal((await raw(pool, late)).status, 408);

    assert.equal((await fetch(`${url}/print`)).status, 200);
    await pool.stop();
    const [pid] = /(?<=^worker )\d+(?=: to standard output$)/m.exec(pool.started.stderr()) ?? [];
    for (const line of ["second half", "to standard error"]) {
      assert.ok(pool.started.stderr().includes(`worker ${pid}: ${line}\n`), line);
    }
  }));

test("pool keeps what is wrong with a worker from clients, and lives on", () =>
  withPool([
    ...["--min-pool-size", "2", "--worker-restart-delay", "10ms"],
    ...["--worker-request-timeout", "1s", "--request-write-timeout", "300ms"],
  ], async (pool, folder) => {
    const { url } = pool;
    for (const path of ["/empty", "/short", "/truncated", "/nonsense", "/bad-header", "/die"]) {
      for (const method of ["GET", "POST"]) {
        const answer = await fetch(`${url}${path}`, { method });
        assert.equal(answer.status, 502, `${method} ${path}`);
        assert.equal(await answer.text(), "502 Bad Gateway\n");
        assert.equal((await fetch(url)).status, 200);
      }
    }
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
      const mark = join(folder, method);
      const answer = await fetch(`${url}/die-once?mark=${mark}`, { method });
      assert.equal(answer.status, 200, method);
      await answer.text();
      assert.ok(existsSync(mark));
    }
    const patch = await fetch(`${url}/die-once?mark=${join(folder, "x")}`, { method: "PATCH" });
    assert.equal(patch.status, 502);

    // Next to each other, so that the one who is next waits for the worker that says too much.
    const texts = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
      const answer = await fetch(`${url}${i === 0 ? "/twice-at-once" : "/other"}?i=${i}`);
      return await answer.text();
    }));
    texts.forEach((text, i) => assert.match((JSON.parse(text) as Echo).url, new RegExp(`i=${i}$`)));
    const surplus = /worker \d+ is killed: it has answered without being asked/g;
    const killed = () => pool.started.stderr().match(surplus)?.length;
    assert.equal(killed(), 1);
    assert.equal((await fetch(`${url}/twice`)).status, 200);
    while (killed() !== 2) await sleep(5);

    const hung = await fetch(`${url}/hang`);
    assert.equal(hung.status, 504);

    // Who does not take a large answer is cut off; others are not held up.
    const slow = connect(pool.port, "127.0.0.1");
    slow.on("error", () => {});
    slow.pause();
    slow.write("GET /big?n=30000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!pool.started.stderr().includes("it was not taken within 300 ms")) {
      assert.equal((await fetch(url)).status, 200);
    }
    let received = 0;
    slow.on("data", (bytes) => received += bytes.length);
    await new Promise((resolve) => slow.on("close", resolve).resume());
    assert.ok(received < 30_000_000);
    assert.equal((await fetch(url)).status, 200);
  }));

test("pool drops who leaves the queue, and the answers that nobody waits for", () =>
  withPool(["--worker-request-timeout", "5s", "--request-backlog", "2"], async (pool) => {
    const { url } = pool;
    const served = fetch(`${url}/slow?n=500&i=served`);
    await sleep(50);
    const leaving = new AbortController();
    const left = fetch(`${url}/slow?n=0&i=left`, { signal: leaving.signal });
    const waiting = fetch(`${url}/pid`);
    await sleep(50);
    const refused = await fetch(url);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get("retry-after"), "1");
    leaving.abort();
    await assert.rejects(left);
    await sleep(120); // A full queue is looked through no sooner.
    const inTheirPlace = fetch(url);
    assert.equal((await served).status, 200);
    const [, count] = (await (await waiting).text()).split(" ");
    assert.equal(count, "2", "the one who left was not served");
    assert.equal((await inTheirPlace).status, 200);

    const gone = new AbortController();
    const abandoned = fetch(`${url}/slow?n=200&i=gone`, { signal: gone.signal });
    await sleep(50);
    gone.abort();
    await assert.rejects(abandoned);
    const next = await fetch(`${url}/pid`);
    assert.equal(
      (await next.text()).split(" ")[1],
      "5",
      "by the same worker, whose answer was taken",
    );
  }));

test("pool takes commands, and replaces workers without a failure", () =>
  withPool([
    ...["--min-pool-size", "2", "--max-pool-size", "3"],
  ], async (pool, folder) => {
    const { url } = pool;
    assert.equal(statSync(join(folder, "ctl.sock")).mode & 0o777, 0o600);
    const before = await pool.pids();
    assert.equal(before.length, 2);
    assert.deepEqual(await pool.command("spawn-workers 5"), ["OK"]);
    assert.equal((await pool.pids()).length, 3);
    assert.ok((await pool.command("stats")).includes("workers=3"));
    assert.deepEqual(await pool.command("remove-workers 5"), ["OK"]);
    assert.ok((await pool.command("stats")).includes("workers=2"));
    let isOver = false;
    let answers = 0;
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const answer = await fetch(url, { method: "POST", body: "x" });
        assert.equal(answer.status, 200);
        await answer.text();
        answers++;
      }
    });
    assert.deepEqual(await pool.command("restart-workers"), ["OK"]);
    isOver = true;
    await Promise.all(clients);
    assert.ok(answers > 0);
    const after = await pool.pids();
    assert.equal(after.filter((pid) => before.includes(pid)).length, 0);
    assert.match((await pool.command("health")).at(-1) ?? "", /^OK$/);
    assert.match((await pool.command("spawn-workers x"))[0] ?? "", /^ERROR: "x" is not a number/);
  }));

test("pool that cannot start one more worker goes on with those that it has", () =>
  withFolder(async (folder) => {
    const pool = await startPool(folder, {
      options: ["--max-pool-size", "60"],
      command: ["/bin/sh", "-c", "read -r _"],
      descriptorsMax: 64,
    });
    try {
      assert.deepEqual(await pool.command("spawn-workers 59"), ["OK"]);
      while (!pool.started.stderr().includes("not started: EMFILE")) await sleep(5);
      assert.ok((await pool.pids()).length > 1);
    } finally {
      assert.deepEqual(await pool.stop(), { code: 0, signal: null });
    }
  }));

/** What `/proc` says of a process; `undefined` if there is none. */
function stateOf(pid: number): string | undefined {
  try {
    return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined; // It has ended, and was waited for.
  }
}

/** Resolves when none of them runs; if `areWaitedFor`, when none of them is a zombie either. */
async function gone(pids: readonly number[], areWaitedFor = false): Promise<void> {
  const isThere = (pid: number) => {
    const state = stateOf(pid);
    return state !== undefined && (areWaitedFor || state !== "Z");
  };
  for (const until = Date.now() + 5000; pids.some(isThere);) {
    assert.ok(Date.now() < until, `still there: ${pids.map((pid) => `${pid} ${stateOf(pid)}`)}`);
    await sleep(10);
  }
}

test("pool leaves no worker behind, however it ends", () =>
  withFolder(async (folder) => {
    // Without `setpriv` in the path a guard is all there is; a shell finds what it needs all the same.
    const [runtime = "", ...rest] = oddWorker("ignores the end");
    for (const PATH of [process.env.PATH ?? "", "/nowhere"]) {
      const wrapped = ["/bin/sh", "-c", '"$@"; true', "sh", runtime, ...rest];
      const options = ["--min-pool-size", "2", "--worker-restart-delay", "10ms"];
      const pool = await startPool(folder, { options, command: wrapped, env: { PATH } });
      const answer = await (await fetch(`${pool.url}/pid`)).text();
      const inner = Number(answer.split(" ")[0]);
      const shells = await pool.pids();
      assert.ok(!shells.includes(inner), "the worker is a child of the shell that was started");
      const killed = shells[0] ?? 0;
      process.kill(killed, "SIGKILL");
      await gone([killed], true);
      const pids = [...new Set([...shells.slice(1), ...await pool.pids(), inner])]
        .filter((pid) => stateOf(pid) !== undefined);
      signal(pool.started, "SIGKILL");
      await pool.started.ended;
      await gone(pids);
      assert.ok(existsSync(join(folder, "ctl.sock")), "the socket was left behind");
    }
    const pool = await startPool(folder, { command: oddWorker("ignores the end") });
    const pids = await pool.pids();
    const stopped = pool.stop();
    while (!(await pool.command("workers")).some((row) => row.includes("leaving"))) await sleep(5);
    assert.deepEqual(await stopped, { code: 0, signal: null });
    await gone(pids, true);
    assert.ok(!existsSync(join(folder, "ctl.sock")));
  }));

test("pool ends though nobody reads what its workers print", () =>
  withFolder(async (folder) => {
    const command = ["/bin/sh", "-c", "yes & exec cat >/dev/null"];
    const pool = await startPool(folder, { command });
    pool.started.child.stderr?.pause();
    await sleep(200); // More than any pipe holds is waiting by then.
    const ended = once(pool.started.child, "exit");
    signal(pool.started, "SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    pool.started.child.stderr?.resume();
    await pool.started.ended;
  }));

test("pool ends with a message if its command cannot be run", () =>
  withFolder(async (folder) => {
    const cases: [command: string[], message: RegExp, code: number][] = [
      [[join(folder, "nothing")], /^alcedo: cannot run ".*nothing": there is no such program/, 1],
      [["/bin/sh", "-c", "exec /nothing"], /the command cannot be run: exit code 127/, 1],
      [
        ["/bin/sh", "-c", "echo oh; exit 7"],
        /worker \d+: oh\n[^]*5 workers in a row .* exit code 7/,
        1,
      ],
      [[], /^alcedo: which command\? write it after --/, 2],
    ];
    const runs = cases.map(async ([command, message, code], i) => {
      const socket = join(folder, `ctl${i}.sock`);
      const options = ["--addr", "127.0.0.1:0", "--ctl-socket", socket];
      const started = start("mod.ts", [
        "pool",
        ...options,
        ...["--worker-restart-delay", "1ms", "--"],
        ...command,
      ]);
      const ended = await started.ended;
      assert.match(started.stderr(), message);
      assert.deepEqual(ended, { code, signal: null });
      assert.ok(!existsSync(socket));
    });
    await Promise.all(runs);
  }));
