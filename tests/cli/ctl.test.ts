/**
 * `mod.ts ctl`, as scripts and people use it: exit codes, commands on standard input, and a terminal,
 * which util-linux's `script` stands in for.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { openControlSocket } from "../../adapters/control/control_socket.ts";
import { type ControlCommand, ControlError } from "../../runtime/processes/control_command.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { ROOT, RUN, start, withFolder } from "../support/server_process.ts";

const testWithScript = needs("script", isInstalled("script"));

const COMMANDS: readonly ControlCommand[] = [
  {
    name: "show",
    parameters: ["A", "[B]", "[--json]"],
    summary: "Shows its arguments.",
    run: (args, { print }) => print(JSON.stringify(args)),
  },
  {
    name: "fail",
    parameters: [],
    summary: "Prints, and fails.",
    async run(_args, { print }) {
      await print("begun");
      throw new ControlError("it did not work");
    },
  },
  {
    name: "tick",
    parameters: [],
    summary: "Goes on.",
    async run(_args, { print, signal }) {
      await print("tick");
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  },
];

/** Calls `body` with the path of a control socket, and what closes it. */
async function withSocket(
  body: (path: string, close: () => Promise<void>) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sock");
    const report = (error: unknown) => assert.fail(String(error));
    const socket = await openControlSocket(path, { commands: COMMANDS, report });
    try {
      await body(path, () => socket.close());
    } finally {
      await socket.close();
    }
  });
}

/** Runs `ctl`; what it has printed, and how it has ended. */
async function ctl(...args: string[]) {
  const started = start("mod.ts", ["ctl", ...args]);
  const { code } = await started.ended;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

/** The same with something on its standard input. */
async function pipe(input: string, path: string) {
  const [program = "", ...args] = RUN;
  const child = spawn(program, [...args, "mod.ts", "ctl", path], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
  });
  let stdout = "", stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
  child.stdin.end(input);
  const [[code]] = await Promise.all([
    once(child, "close"),
    once(child.stdout, "end"),
    once(child.stderr, "end"),
  ]);
  return { code, stdout, stderr };
}

test("ctl prints an answer and ends with 0, or says why not and ends with 1", async () => {
  await withSocket(async (path) => {
    const [shown, failed, unknown, exit] = await Promise.all([
      ctl(path, "show", "a 'b'\\", "c\nd", "--json"),
      ctl(path, "fail"),
      ctl(path, "none"),
      ctl(path, "exit"),
    ]);
    assert.deepEqual(shown, {
      code: 0,
      stdout: `${JSON.stringify(["a 'b'\\", "c\nd", "--json"])}\n`,
      stderr: "",
    });
    assert.deepEqual(failed, { code: 1, stdout: "begun\n", stderr: "alcedo: it did not work\n" });
    assert.equal(unknown.code, 1);
    assert.equal(unknown.stderr, "alcedo: unknown command, want show|fail|tick|help|exit\n");
    assert.deepEqual(exit, { code: 0, stdout: "", stderr: "" });
  });
});

test("ctl takes commands from standard input, up to the first that fails", async () => {
  await withSocket(async (path) => {
    const [all, some, none, broken] = await Promise.all([
      pipe("show 'a\\\nb'\n\n  \nshow b\nexit\nfail\n", path),
      pipe("show a\nfail\nshow b\n", path),
      pipe("", path),
      pipe("show a\nshow 'a\n", path),
    ]);
    assert.deepEqual(all, { code: 0, stdout: '["a\\nb"]\n["b"]\n', stderr: "" });
    assert.deepEqual(some, {
      code: 1,
      stdout: '["a"]\nbegun\n',
      stderr: "alcedo: it did not work\n",
    });
    assert.deepEqual(none, { code: 0, stdout: "", stderr: "" });
    assert.deepEqual([broken.code, broken.stdout], [1, '["a"]\n']);
    assert.match(broken.stderr, /^alcedo: a quote is not closed/);
  });
});

test("ctl says in a line that it was called in a wrong way, or that there is no server", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const [nothing, option, missing, noSocket, help] = await Promise.all([
      ctl(),
      ctl("--json", "stats"),
      ctl(join(folder, "a.sock"), "stats"),
      ctl(file, "stats"),
      ctl("--help"),
    ]);
    assert.deepEqual([nothing.code, option.code], [2, 2]);
    assert.equal(nothing.stderr, "alcedo: which socket? write ctl SOCKET; see ctl --help\n");
    assert.deepEqual(missing, {
      code: 1,
      stdout: "",
      stderr:
        `alcedo: cannot connect to "${folder}/a.sock": there is no such socket; is the server ` +
        "running, with --ctl-socket?\n",
    });
    assert.equal(noSocket.stderr, `alcedo: cannot connect to "${file}": it is no socket\n`);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /^Usage: mod\.ts ctl SOCKET/);
  });
});

test("ctl that waits for an answer is told when the server stops", async () => {
  await withSocket(async (path, close) => {
    const started = start("mod.ts", ["ctl", path, "tick"]);
    while (!started.stdout().includes("tick\n")) {
      await once(started.child.stdout ?? started.child, "data");
    }
    await close();
    assert.equal((await started.ended).code, 1);
    assert.equal(started.stderr(), "alcedo: the server is stopping\n");
  });
});

/** A terminal in which `ctl` runs. */
class Terminal {
  readonly #child;
  readonly ended: Promise<number | null>;
  #seen = "";

  constructor(path: string) {
    const command = [...RUN, "mod.ts", "ctl", path].map((word) => `'${word}'`).join(" ");
    this.#child = spawn("script", ["-qefc", command, "/dev/null"], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => this.#seen += text);
    this.ended = once(this.#child, "exit").then(([code]) => code);
  }

  /** Waits until `text` is to be seen, behind what was waited for before. */
  async sees(text: string): Promise<void> {
    const isOver = this.ended.then(() => true);
    for (let at; (at = this.#seen.indexOf(text)) < 0 || !this.#passes(at + text.length);) {
      const ended = await Promise.race([
        once(this.#child.stdout, "data").then(() => false),
        isOver,
      ]);
      assert.ok(!ended || this.#seen.includes(text), `"${text}" is not in ${this.#seen}`);
    }
  }

  #passes(at: number): true {
    this.#seen = this.#seen.slice(at);
    return true;
  }

  /** Presses keys, one after the other, and waits until `text` is to be seen. */
  async types(keys: string, text: string): Promise<void> {
    this.#child.stdin.write(keys);
    await this.sees(text);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Calls `body` with a terminal in which `ctl` runs; none outlives it. */
async function withTerminal(path: string, body: (terminal: Terminal) => Promise<void>) {
  const terminal = new Terminal(path);
  try {
    await body(terminal);
  } finally {
    terminal.kill();
  }
}

testWithScript("ctl at a terminal completes, remembers, and leaves what goes on", async () => {
  await withSocket(async (path) => {
    await withTerminal(path, async (terminal) => {
      await terminal.sees("> ");
      await terminal.types("sh", "sh");
      await terminal.types("\t", "ow "); // The name, as the server's help has it.
      await terminal.types("a --", "--");
      await terminal.types("\t", "json ");
      await terminal.types("\r", '["a","--json"]\r\nOK\r\n');
      await terminal.sees("> ");
      await terminal.types("fail\r", "begun\r\nERROR: it did not work\r\n");
      await terminal.sees("> ");
      await terminal.types("tick\r", "\ntick\r\n");
      await terminal.types("\x03", "> "); // Ctrl-C
      await terminal.types("show 'a\\\r", "  ");
      await terminal.types("b'\r", '["a\\nb"]\r\nOK\r\n');
      await terminal.sees("> ");
      await terminal.types("show 'never\\\r", "  ");
      await terminal.types("nonsense", "nonsense");
      await terminal.types("\x03", "> "); // It leaves both lines.
      await terminal.types("\x1b[A", "show 'never\\"); // Up, into the history.
      await terminal.types("\x1b[A", "b'");
      await terminal.types("\x1b[A", "show 'a\\");
      await terminal.types("\x1b[A", "tick");
      await terminal.types("\x1b[A", "fail");
      await terminal.types("\r", "ERROR: it did not work\r\n");
      await terminal.sees("> ");
      await terminal.types("\x04", "\n"); // Ctrl-D
      assert.equal(await terminal.ended, 0);
    });
  });
});

testWithScript("ctl at a terminal ends when the server does", async () => {
  await withSocket(async (path, close) => {
    await withTerminal(path, async (terminal) => {
      await terminal.sees("> ");
      await close();
      await terminal.sees("\r\nalcedo: the server closed the connection\r\n");
      assert.equal(await terminal.ended, 1);
    });
  });
});
