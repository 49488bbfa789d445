/** Children: their lines, their ends, and what is left of them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, type ChildEnd, ChildStarter } from "../../adapters/processes/child_starter.ts";
import { readLines } from "../../adapters/processes/output_lines.ts";

/** Starts a shell with a script; resolves with its end, its lines, and what came through its channel. */
function run(script: string): {
  starter: ChildStarter;
  lines: string[];
  ended: Promise<ChildEnd & { said: string }>;
  child: Child;
} {
  const lines: string[] = [];
  let said = "";
  const starter = new ChildStarter({
    command: ["/bin/sh", "-c", script],
    print: (line) => void lines.push(line),
  });
  const { promise: ended, resolve } = Promise.withResolvers<ChildEnd & { said: string }>();
  const child = starter.start({ ended: (end) => resolve({ ...end, said }) });
  assert.ok(child !== undefined);
  child.channel.on("data", (bytes: Uint8Array) => said += new TextDecoder().decode(bytes));
  return { starter, lines, ended, child };
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false; // It has been waited for.
  }
}

test("child gets what is written, and is read to its end", async () => {
  const { starter, ended, child } = run("cat >&3; exit 3");
  child.write(new TextEncoder().encode("first, "));
  child.write(new TextEncoder().encode("second"));
  child.stop();
  assert.deepEqual(await ended, { code: 3, signal: null, error: undefined, said: "first, second" });
  starter.close();
});

test("child that does not end is asked by SIGTERM, and its group is killed with it", async () => {
  const { starter, lines, ended, child } = run(
    "trap 'echo asked; exit 4' TERM; sleep 1000 & echo $!; while :; do sleep 0.1; done",
  );
  while (lines.length === 0) await sleep(5);
  child.stop();
  const { code } = await ended;
  assert.equal(code, 4);
  assert.ok(lines.includes("asked"), lines.join());
  while (isRunning(Number(lines[0]))) await sleep(5);
  starter.close();
});

test("child is killed when its starter closes, with all that it has started", async () => {
  const { starter, lines, ended } = run("sleep 1000 & echo $!; wait");
  while (lines.length === 0) await sleep(5);
  starter.close();
  assert.equal((await ended).signal, "SIGKILL");
  while (isRunning(Number(lines[0]))) await sleep(5);
});

test("lines are read whole, however they come, and long ones in parts", async () => {
  const lines: string[] = [];
  const long = "x".repeat(20_000);
  const chunks = ["a\nb", "c\r\n\n", "gr\u00fc", "\u00dfe\n", long, "\nlast"];
  const stream = Readable.from(chunks.map((text) => new TextEncoder().encode(text)), {
    objectMode: false,
  });
  readLines(stream, (line) => lines.push(line));
  await new Promise((resolve) => stream.on("end", resolve));
  assert.deepEqual(lines.slice(0, 4), ["a", "bc", "", "gr\u00fc\u00dfe"]);
  assert.equal(lines.slice(4, -1).join(""), long);
  assert.equal(lines.at(-1), "last");
});
