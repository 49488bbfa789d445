/**
 * Control sockets in the file system and over real connections: whose a path is, and that no client
 * can stop the server, or keep it from stopping.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { type ControlSocket, openControlSocket } from "../../adapters/control/control_socket.ts";
import type { ControlCommand } from "../../runtime/processes/control_command.ts";
import { withFolder } from "../support/server_process.ts";

/** What the commands of these tests have done. */
interface Done {
  calls: number;
  printed: number;
}

function commandsOf(done: Done): ControlCommand[] {
  const command = (name: string, run: ControlCommand["run"]): ControlCommand => (
    { name, parameters: [], summary: `Does ${name}.`, run }
  );
  return [
    command("count", (_args, { print }) => print(String(++done.calls))),
    command("wait", () => new Promise(() => {})),
    command("flood", async (_args, { print }) => {
      for (;;) {
        await print("x".repeat(1023));
        done.printed += 1024;
      }
    }),
  ];
}

/** Calls `body` with an open control socket, in a folder of its own. */
async function withSocket(
  body: (path: string, socket: ControlSocket, done: Done) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    const done = { calls: 0, printed: 0 };
    const reported: unknown[] = [];
    const report = (error: unknown) => void reported.push(error);
    const socket = await openControlSocket(path, { commands: commandsOf(done), report });
    try {
      await body(path, socket, done);
    } finally {
      await socket.close();
    }
    assert.deepEqual(reported, [], "nothing that a client does is a fault");
  });
}

function open(path: string): Promise<ControlSocket> {
  return openControlSocket(path, { commands: [], report: () => {} });
}

/** A client, and all that it has got so far. */
async function client(path: string, text: string | Uint8Array = "") {
  const socket = connect({ path, allowHalfOpen: true });
  let got = "", error: unknown;
  socket.setEncoding("utf8").on("data", (text: string) => got += text);
  socket.on("error", (thrown) => error = thrown); // Its close follows.
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(got)));
  socket.on("end", () => socket.end());
  await once(socket, "connect");
  socket.write(text);
  return { socket, closed, got: () => got, error: () => error };
}

/** Waits until a client has got an answer that ends so. */
async function answered({ socket, got }: { socket: Socket; got: () => string }, end: string) {
  while (!got().endsWith(end)) await once(socket, "data");
}

/** Says all, closes its half as `echo … | nc -U` does, and resolves with all answers. */
async function ask(path: string, text: string | Uint8Array): Promise<string> {
  const { socket, closed } = await client(path, text);
  socket.end();
  return await closed;
}

/** Leaves a socket at `path` as a process does that is killed. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer();
  server.listen(`${path}.1`);
  await once(server, "listening");
  fs.linkSync(`${path}.1`, path);
  server.close();
  await once(server, "close");
}

test("a control socket is its owner's alone, and nothing but it is left in the folder", async () => {
  await withSocket(async (path, socket) => {
    const { mode } = fs.statSync(path);
    assert.equal(mode & 0o777, 0o600);
    assert.deepEqual(fs.readdirSync(join(path, "..")), ["a.sock"]);
    await socket.close();
    assert.deepEqual(fs.readdirSync(join(path, "..")), []);
  });
});

test("a client that has said all gets all answers", async () => {
  await withSocket(async (path) => {
    const answer = await ask(path, "count\n\ncount now\ncount");
    assert.equal(answer, "1\nOK\nERROR: unexpected arguments\n2\nOK\n");
    assert.equal(await ask(path, "exit\ncount\n"), "");
    assert.equal(await ask(path, ""), "");
  });
});

test("a client that still sends when it has said exit is heard out, and not cut off", async () => {
  await withSocket(async (path) => {
    const { socket, closed, error } = await client(path, "count\nexit\n");
    socket.end(new Uint8Array(1_000_000)); // More than the system keeps for who does not read.
    assert.equal(await closed, "1\nOK\n");
    assert.equal(error(), undefined);
  });
});

test("a socket that was left is replaced, and one that lives is not, and names its server", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    await leaveSocket(path);
    assert.ok(fs.statSync(path).isSocket());
    const first = await open(path);
    const refusal =
      `cannot listen on the control socket "${path}": it is in use (pid ${process.pid}, `;
    await assert.rejects(open(path), (error: Error) => error.message.startsWith(refusal));
    assert.equal(await ask(path, "exit"), "", "the first one still answers");
    await first.close();
    await (await open(path)).close();

    const foreign = createServer((socket) => socket.destroy()).listen(path);
    await once(foreign, "listening");
    await assert.rejects(open(path), /in use \(another program listens there\)/);
    assert.ok(fs.statSync(path).isSocket());
    foreign.close();
    await once(foreign, "close");
  });
});

test("of servers that start at once exactly one gets the path, a leftover there or not", async () => {
  await withFolder(async (folder) => {
    for (const name of ["a.sock", "b.sock"]) {
      const path = join(folder, name);
      if (name === "b.sock") await leaveSocket(path);
      const settled = await Promise.allSettled(Array.from({ length: 8 }, () => open(path)));
      const winners = settled.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
      assert.equal(winners.length, 1);
      assert.equal(await ask(path, "exit"), "");
      await winners[0]?.close();
    }
    assert.deepEqual(fs.readdirSync(folder), [], "none of them has left anything");
  });
});

test("what is no socket is never touched", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    fs.writeFileSync(file, "precious");
    fs.symlinkSync(file, join(folder, "link"));
    fs.mkdirSync(join(folder, "folder"));
    for (const name of ["file", "link", "folder"]) {
      const why = /something else already, which is no socket; it was left alone$/;
      await assert.rejects(open(join(folder, name)), { name: "StartError", message: why });
    }
    assert.deepEqual(fs.readdirSync(folder).sort(), ["file", "folder", "link"]);
    assert.equal(fs.readFileSync(file, "utf8"), "precious");
  });
});

test("a path that cannot be a control socket is refused with the reason", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    fs.writeFileSync(file, "");
    const cases: [string, RegExp][] = [
      [join(folder, "x".repeat(108)), /the path is \d+ bytes too long for a socket; choose/],
      [join(folder, "é".repeat(50)), /bytes too long/],
      [join(folder, "none/a.sock"), /the folder does not exist; create it/],
      [join(file, "a.sock"), /part of the path is not a folder/],
    ];
    if (process.platform === "linux") {
      cases.push(["/sys/a.sock", /permission denied|the file system is read-only/]);
    }
    for (const [path, why] of cases) {
      await assert.rejects(open(path), (error: Error) => {
        assert.equal(error.name, "StartError");
        assert.ok(error.message.startsWith(`cannot listen on the control socket "${path}": `));
        assert.match(error.message, why);
        return true;
      });
    }
    assert.deepEqual(fs.readdirSync(folder), ["file"]);
  });
});

test("a path may be as long as a socket's address has room for", async () => {
  await withFolder(async (folder) => {
    const room = (process.platform === "linux" ? 107 : 103) - folder.length - 1;
    const path = join(folder, "x".repeat(room));
    const socket = await open(path);
    assert.equal(await ask(path, "exit"), "");
    await socket.close();
    await assert.rejects(open(`${path}x`), /the path is 1 bytes too long/);
  });
});

test("what took the socket's place is not removed with it", async () => {
  await withSocket(async (path, socket) => {
    fs.rmSync(path);
    fs.writeFileSync(path, "another's");
    await socket.close();
    assert.equal(fs.readFileSync(path, "utf8"), "another's");
  });
});

test("closing waits neither for half a line nor for a command, and tells who can be told", async () => {
  await withSocket(async (path, socket, done) => {
    const half = await client(path, "count\ncount");
    const waiting = await client(path, "count\nwait\n");
    const silent = await client(path);
    await Promise.all([answered(half, "OK\n"), answered(waiting, "OK\n")]);
    const start = performance.now();
    await Promise.all([socket.close(), socket.close()]);
    assert.ok(performance.now() - start < 5000);
    assert.match(await half.closed, /^\d\nOK\n$/);
    assert.match(await waiting.closed, /^\d\nOK\nERROR: the server is stopping\n$/);
    assert.equal(await silent.closed, "");
    assert.equal(done.calls, 2, "half a line is no command");
    assert.equal(fs.existsSync(path), false);
  });
});

test("a client that never reads is not written ahead of, and does not hold up closing", async () => {
  await withSocket(async (path, socket, done) => {
    const deaf = connect(path).on("error", () => {});
    await once(deaf, "connect");
    deaf.pause();
    deaf.write("flood\n");
    // Others are answered, and it gets no more when its share of buffers is full.
    for (let printed = -1; printed < done.printed || printed === 0;) {
      printed = done.printed;
      for (let i = 0; i < 20; i++) assert.match(await ask(path, "count\n"), /^\d+\nOK\n$/);
    }
    assert.ok(done.printed < 4 * 1024 * 1024, `${done.printed}`);
    await socket.close();
    deaf.destroy();
  });
});

test("a flood of bytes, and of clients that leave, is survived", async () => {
  await withSocket(async (path) => {
    const garbage = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251);
    for (const line of (await ask(path, garbage)).trimEnd().split("\n")) {
      assert.match(line, /^(?:OK|ERROR: .*)$/);
    }
    const endless = await client(path, new Uint8Array(1_000_000).fill(120));
    await answered(endless, "ERROR: a command may have 65536 characters\n");
    endless.socket.write("\ncount\n");
    await answered(endless, "1\nOK\n");
    endless.socket.destroy();
    for (let i = 0; i < 50; i++) {
      const { socket } = await client(path, "count\nflood\ncount\n");
      socket.destroy();
    }
    assert.match(await ask(path, "count\n"), /^\d+\nOK\n$/);
  });
});

test("more clients than there is room for are told so, and have room when others leave", async () => {
  await withSocket(async (path) => {
    const clients = await Promise.all(Array.from({ length: 64 }, () => client(path, "count\n")));
    await Promise.all(clients.map((client) => answered(client, "OK\n")));
    assert.equal(await ask(path, "count\n"), "ERROR: too many clients\n");
    const [first] = clients;
    first?.socket.write("exit\n");
    await first?.closed;
    assert.match(await ask(path, "count\n"), /^\d+\nOK\n$/);
    for (const { socket } of clients) socket.destroy();
  });
});
