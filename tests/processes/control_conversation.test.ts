/**
 * Commands and their answers, without a socket: what is said, in what order, and what becomes of a
 * command that nobody waits for. What another pool has said to the same commands is in
 * `tests/vectors/control`.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  ClientGone,
  type ControlCommand,
  ControlError,
} from "../../runtime/processes/control_command.ts";
import { converse } from "../../runtime/processes/control_conversation.ts";
import { collectdCommand, type Figure, statsCommand } from "../../runtime/processes/figures.ts";
import { watch } from "../support/running.ts";
import { ROOT } from "../support/server_process.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

/** A client that says something, and then listens. */
function talk(text: string, commands: readonly ControlCommand[], { stays = false } = {}) {
  const left = new AbortController();
  const reported: unknown[] = [];
  let answer = "";
  const input = (async function* () {
    yield new TextEncoder().encode(text);
    if (!stays || left.signal.aborted) return;
    await new Promise((resolve) => left.signal.addEventListener("abort", resolve));
  })();
  const over = watch(converse(
    {
      input,
      signal: left.signal,
      write(text) {
        if (left.signal.reason instanceof ClientGone) return Promise.reject(left.signal.reason);
        answer += text;
        return Promise.resolve();
      },
    },
    commands,
    (error) => void reported.push(error),
  ));
  return { over, reported, left, answer: () => answer };
}

const command = (name: string, run: ControlCommand["run"], ...parameters: string[]) => (
  { name, parameters, summary: `Does ${name}.`, run }
);

/** Lets everything happen that needs no time to pass. */
const settle = () => new SimulatedClock().settle();

/** What a transcript says was sent, and answered. */
function transcript(name: string): { sent: string; answered: string } {
  const text = readFileSync(join(ROOT, `tests/vectors/control/ctl-${name}.transcript`), "utf8");
  const of = (who: string) =>
    [...text.matchAll(new RegExp(`^${who}> (.*\n)`, "gm"))].map(([, line]) => line).join("");
  return { sent: of("C"), answered: of("S") };
}

/** The commands of the pool in the transcripts; what they do is none of this test's business. */
function poolCommands(clock: SimulatedClock, figures: readonly Figure[]): ControlCommand[] {
  const timeOfDay = () => 1_795_247_215_000 + clock.now();
  return [
    command("restart-workers", () => {}),
    command("spawn-workers", () => {}, "N"),
    command("remove-workers", () => {}, "N"),
    statsCommand(() => figures),
    collectdCommand(() => figures, { host: "vm", clock, timeOfDay }),
  ];
}

/** The figures that the pool had when it was asked for them. */
function figuresIn(answered: string): Figure[] {
  return [...answered.matchAll(/^([\w-]+)=(\d+)$/gm)].map(([, name = "", value]) => (
    { name, value: Number(value), isTotal: name === "worker-restarts" }
  ));
}

test("commands are answered as the pool did from which they come", async () => {
  for (const name of ["args", "empty", "exit", "remove1", "restart", "spawn2", "stats"]) {
    const { sent, answered } = transcript(name);
    const { over, answer } = talk(sent, poolCommands(new SimulatedClock(), figuresIn(answered)));
    await settle();
    assert.equal(answer(), answered, name);
    assert.equal(over.isSettled, true, name);
  }
});

test("an unknown command is told what there is, as the pool did, and our own besides", async () => {
  const { sent, answered } = transcript("bogus");
  const { answer } = talk(sent, poolCommands(new SimulatedClock(), []));
  await settle();
  assert.equal(answer(), `${answered.trimEnd()}|help|exit\n`);
});

test("figures are printed for collectd until the client leaves, as the pool did", async () => {
  const { sent, answered } = transcript("collectd1");
  const clock = new SimulatedClock();
  const figures = [
    { name: "goroutines", value: 17 },
    { name: "workers", value: 2 },
    { name: "label", value: "text" },
    { name: "worker-restarts", value: 2, isTotal: true },
  ];
  const { over, left, answer } = talk(sent, poolCommands(clock, figures), { stays: true });
  await clock.advance(5500);
  const expected = answered.replaceAll("/poolparty/", "/alcedo/");
  // A counter that begins at 0 again looks to collectd like one that has overflowed.
  assert.equal(answer(), expected.replaceAll("/counter-", "/derive-"));
  left.abort(new ClientGone("It has left"));
  await clock.advance(5000);
  assert.ok(over.error instanceof ClientGone);
});

test("collectd-metrics takes an interval and a label, and nothing else for them", async () => {
  const clock = new SimulatedClock();
  const figures = [{ name: "workers", value: 1 }];
  const ask = async (args: string) => {
    const { answer, left } = talk(`collectd-metrics ${args}\n`, poolCommands(clock, figures));
    await clock.advance(10_000);
    left.abort(new ClientGone("It has left"));
    return answer().replaceAll(/ \d+:/g, " T:").split("\n").slice(0, -1);
  };
  const line = "putval vm/alcedo/gauge-workers interval=10 T:1";
  assert.deepEqual(await ask(""), [line, line]);
  assert.deepEqual(await ask("86400 a.b"), [
    "putval vm/alcedo-a.b/gauge-workers interval=86400 T:1",
  ]);
  for (const bad of ["0", "-1", "1.5", "86401", "ten", "''"]) {
    assert.match((await ask(bad)).join(), /^ERROR: the interval is a number of seconds/, bad);
  }
  for (const bad of ["''", "a/b", "'a b'"]) {
    assert.match((await ask(`1 ${bad}`)).join(), /^ERROR: a label has letters/, bad);
  }
});

test("a command gets as many arguments as it has parameters, and what it lacks is said", async () => {
  const take = command("take", (args, { print }) => print(args.join("|")), "A", "[B]");
  const { answer } = talk("take\ntake 'a  b'\ntake a b\ntake a b c\n", [take]);
  await settle();
  assert.deepEqual(answer().split("\n"), [
    "ERROR: missing arguments, want take A [B]",
    "a  b",
    "OK",
    "a|b",
    "OK",
    "ERROR: unexpected arguments",
    "",
  ]);
});

test("what a command throws is its answer in a line; what is a fault is reported too", async () => {
  const fault = new TypeError("a\r\nfault");
  const commands = [
    command("refuse", () => Promise.reject(new ControlError("not\nnow"))),
    command("break", () => {
      throw fault;
    }),
  ];
  const { answer, reported } = talk("refuse\nbreak\n", commands);
  await settle();
  assert.equal(answer(), "ERROR: not now\nERROR: a fault\n");
  assert.deepEqual(reported, [fault]);
});

test("nothing that a command prints can be taken for the end of its answer", async () => {
  const lines = ["OK", "ERROR: no", "a\nOK", "OK\r"];
  const print = command("print", async (_args, output) => {
    for (const line of lines) await output.print(line);
  });
  const { answer } = talk("print\n", [print]);
  await settle();
  assert.equal(answer(), " OK\n ERROR: no\na OK\nOK \nOK\n");
});

test("exit ends it without an answer, and help names every command", async () => {
  const { answer, over } = talk("help\nexit\nhelp\n", [command("a", () => {}, "N", "[M]")]);
  await settle();
  assert.equal(
    answer(),
    "a N [M]  Does a.\nhelp     Prints this.\nexit     Closes this connection.\nOK\n",
  );
  assert.equal(over.isSettled, true);
});

test("a command that nobody waits for goes on, and its fault is still reported", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  const commands = [command("wait", () => promise)];
  const stopped = talk("wait\nhelp\n", commands);
  const gone = talk("wait\nhelp\n", commands);
  await settle();
  stopped.left.abort(new ControlError("the server is stopping"));
  gone.left.abort(new ClientGone("It has left"));
  await settle();
  assert.equal(stopped.answer(), "ERROR: the server is stopping\n", "and no more commands");
  assert.equal(stopped.over.isSettled, true);
  assert.equal(gone.answer(), "");
  assert.ok(gone.over.error instanceof ClientGone);
  reject(new Error("late"));
  await settle();
  assert.deepEqual([stopped.reported.map(String), gone.reported.map(String)], [
    ["Error: late"],
    ["Error: late"],
  ]);
});

test("half a line is not taken for a command when the server stops", async () => {
  let calls = 0;
  const { over, left, answer } = talk("count\ncount", [command("count", () => void calls++)], {
    stays: true,
  });
  await settle();
  assert.equal(over.isSettled, false);
  left.abort(new ControlError("the server is stopping"));
  await settle();
  assert.equal(over.isSettled, true);
  assert.equal(over.error, undefined);
  assert.deepEqual([calls, answer()], [1, "OK\n"]);
});

test("a command that prints to a client who has left is ended by it, and that is no fault", async () => {
  let ended: unknown;
  const count = command("count", async (_args, { print, signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await print("1").catch((error) => ended = error);
    await print("2");
  });
  const { left, reported } = talk("count\n", [count], { stays: true });
  await settle();
  left.abort(new ClientGone("It has left"));
  await settle();
  assert.ok(ended instanceof ClientGone);
  assert.deepEqual(reported, []);
});
