/**
 * Lines to standard output: written together, in order, bounded when the reader is slow, and never
 * waited for.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { LineOutput } from "../../adapters/line_output.ts";
import { ROOT, RUN } from "../support/server_process.ts";

/** An output whose writes end when the test says so. */
function slowOutput(waitingCharsMax: number) {
  const writes: { text: string; end: (error?: Error) => void }[] = [];
  const warnings: string[] = [];
  let wake = (): void => {};
  const output = new LineOutput((text) =>
    new Promise((resolve, reject) => {
      writes.push({ text, end: (error) => error === undefined ? resolve() : reject(error) });
      wake();
    }), { waitingCharsMax, warn: (message) => void warnings.push(message) });
  /** Resolves when there have been so many writes. */
  const written = async (count: number): Promise<void> => {
    while (writes.length < count) await new Promise<void>((resolve) => wake = resolve);
  };
  return { output, writes, warnings, written };
}

test("line output writes what comes together in one piece, and one piece at a time", async () => {
  const { output, writes, warnings, written } = slowOutput(100);
  output.line("a\n");
  output.line("b\n");
  await written(1);
  output.line("c\n");
  output.line("d\n");
  writes[0]?.end();
  await written(2);
  writes[1]?.end();
  await output.flush();
  output.line("e\n");
  await written(3);
  writes[2]?.end();
  await output.flush();
  assert.deepEqual(writes.map(({ text }) => text), ["a\nb\n", "c\nd\n", "e\n"]);
  assert.equal(output.dropped, 0);
  assert.deepEqual(warnings, []);
});

test("line output leaves lines out when too much waits, counts them, and says so twice", async () => {
  const { output, writes, warnings, written } = slowOutput(6);
  output.line("1234\n");
  await written(1);
  for (let i = 0; i < 3; i++) output.line("567\n");
  assert.equal(output.dropped, 3);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /too slow; lines are left out/);
  writes[0]?.end();
  await output.flush();
  assert.deepEqual(warnings.slice(1), ["access log: 3 lines were left out"]);
  output.line("567\n");
  await written(2);
  writes[1]?.end();
  await output.flush();
  assert.equal(writes[1]?.text, "567\n");
  assert.equal(warnings.length, 2);
});

test("line output ends with a warning when nobody reads any more", async () => {
  const { output, writes, warnings, written } = slowOutput(100);
  output.line("a\n");
  await written(1);
  output.line("b\n");
  writes[0]?.end(new Error("broken pipe"));
  await output.flush();
  output.line("c\n");
  await output.flush();
  assert.equal(writes.length, 1);
  assert.equal(output.dropped, 2, "what waited, and what came later");
  assert.deepEqual(warnings, [
    "access log: it cannot be written, and ends here (Error: broken pipe)",
  ]);
});

test("line output does not hold up a process whose standard output nobody reads", async () => {
  const [program = "", ...args] = [...RUN, join(ROOT, "tests/support/much_output.ts")];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  const [said] = await once(child.stderr.setEncoding("utf8"), "data");
  assert.equal(said, "it turns\n");
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => text += part);
  await closed;
  const lines = text.trimEnd().split("\n").map(Number);
  assert.deepEqual(lines, Array.from({ length: 4000 }, (_, i) => i));
});
