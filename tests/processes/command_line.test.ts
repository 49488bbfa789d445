/**
 * Commands as text: what was quoted is read back, whatever it was; and whatever bytes come, in
 * whatever pieces, commands or errors are made of them, and little is held.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  COMMAND_CHARS_MAX,
  quoteWords,
  readCommands,
  splitWords,
} from "../../runtime/processes/command_line.ts";
import { ControlError } from "../../runtime/processes/control_command.ts";
import { holds } from "../support/property.ts";

const encoder = new TextEncoder();

/** What is read of these pieces: words, or the message of an error. */
async function read(pieces: Iterable<Uint8Array>): Promise<(string[] | string)[]> {
  const commands: (string[] | string)[] = [];
  const input = (async function* () {
    yield* pieces;
  })();
  for await (const command of readCommands(input)) {
    commands.push(command instanceof ControlError ? command.message : command);
  }
  return commands;
}

/** What is read of a text, in one piece. */
function readText(text: string): Promise<(string[] | string)[]> {
  return read([encoder.encode(text)]);
}

/** Cuts bytes into pieces of the given sizes, over and over. */
function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

/** Words that are hard to quote. */
const word = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom("a", " ", "'", '"', "\\", "\n", "\r", "\t", "$", "#", "é", "\0"),
  }),
);

test("what was quoted is read back, word by word and command by command", async () => {
  const commands = fc.array(fc.array(word, { minLength: 1, maxLength: 4 }), { maxLength: 4 });
  await holds(300, fc.tuple(commands, sizes), async ([commands, sizes]) => {
    const text = commands.map((words) => `${quoteWords(words)}\n`).join("");
    assert.deepEqual(await read(cut(encoder.encode(text), sizes)), commands);
  });
});

test("any bytes are commands or errors, the same ones in whatever pieces they come", async () => {
  const byte = fc.oneof(
    fc.constantFrom(...encoder.encode("ab '\"\\\\\n\n\r")),
    fc.integer({ min: 0, max: 255 }),
  );
  const bytes = fc.array(byte, { maxLength: 60 }).map((bytes) => Uint8Array.from(bytes));
  await holds(300, fc.tuple(bytes, sizes), async ([bytes, sizes]) => {
    assert.deepEqual(await read(cut(bytes, sizes)), await read([bytes]));
  });
});

test("words are split as a shell would", () => {
  const cases: [string, string[]][] = [
    ["", []],
    [" \t ", []],
    [" a  b\tc ", ["a", "b", "c"]],
    [`'a b' "c d" e\\ f`, ["a b", "c d", "e f"]],
    [`a'b'"c"\\d`, ["abcd"]],
    [`'' ""`, ["", ""]],
    [`'\\"$' "\\"\\\\\\a'"`, [`\\"$`, `"\\\\a'`]],
    ["a\n\r\nb 'c\nd'", ["a", "b", "c\nd"]],
  ];
  for (const [text, words] of cases) assert.deepEqual(splitWords(text), words, text);
  for (const text of ["'a", `"a'`, `a "\\"`]) {
    assert.throws(() => splitWords(text), { name: "ControlError", message: /quote is not closed/ });
  }
  assert.throws(() => splitWords("a \\"), { name: "ControlError", message: /follows/ });
});

test("a command goes on behind a backslash, and may lack the end of its line", async () => {
  assert.deepEqual(await readText("a\\\nb\nc"), [["a", "b"], ["c"]], "the line break is a blank");
  assert.deepEqual(await readText("'a\\\nb' \\\r\n\\\n\nc\r\n"), [["a\nb"], ["c"]]);
  assert.deepEqual(await readText("\n\r\n \n\na\n"), [[], ["a"]], "only a line of blanks is one");
  assert.deepEqual(await readText("a\nb\\\n"), [["a"], "the command does not go on"]);
  assert.deepEqual(await readText("a\nb\\"), [["a"], "the command does not go on"]);
  assert.deepEqual(await readText("'a\nb\n"), ["a quote is not closed: '", ["b"]]);
});

test("a command without end is refused once, and what follows it is read", async () => {
  const tooLong = `a command may have ${COMMAND_CHARS_MAX} characters`;
  const long = "x".repeat(COMMAND_CHARS_MAX);
  assert.deepEqual(await readText(`${long}\na\n`), [[long], ["a"]]);
  for (const end of ["", "\n", "\\\n", "\\\n more\n", `\\\n${long}\\\n${long}${long}\n`]) {
    const text = `a\n${long}x${end}`;
    const rest = end.endsWith("\n") && !end.endsWith("\\\n") ? [["b"]] : [];
    assert.deepEqual(await readText(`${text}${rest.length > 0 ? "b\n" : ""}`), [
      ["a"],
      tooLong,
      ...rest,
    ], JSON.stringify(end.slice(0, 9)));
  }
  const lines = "a\\\n".repeat(COMMAND_CHARS_MAX); // Each is short.
  const pieces = cut(encoder.encode(`${lines}\nb\n`), [1000]);
  assert.deepEqual(await read(pieces), [tooLong, ["b"]]);
});
