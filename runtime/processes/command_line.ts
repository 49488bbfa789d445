/**
 * Commands as they are written on a control socket: one a line, in words that are quoted as for a
 * shell. A line that ends with a backslash goes on in the next one, with the line break in its place:
 * between words that is a blank, within quotes it is itself.
 */

import { ControlError } from "./control_command.ts";

/**
 * Characters that a command may have: more than any has, and little enough to hold for a client that
 * never ends its line.
 */
export const COMMAND_CHARS_MAX: number = 64 * 1024;

/** What needs no quotes. */
const PLAIN = /^[\w%+,./:=@-]+$/;

/** Writes words as one command, without the end of its line: {@linkcode splitWords} reads them back. */
export function quoteWords(words: readonly string[]): string {
  return words.map((word) =>
    PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`).replaceAll("\n", "\\\n")}'`
  ).join(" ");
}

/**
 * Takes a command apart: blanks separate words; single quotes keep everything; double quotes keep all
 * but `\"` and `\\`; a backslash keeps the next character.
 *
 * @throws {ControlError} if a quote is not closed, or nothing follows a backslash.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined; // None has begun.
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    const next = text.charAt(i + 1);
    if (char === quote) quote = "";
    else if (quote === "'" || quote === '"' && (char !== "\\" || !/["\\]/.test(next))) word += char;
    else if (char === "\\") {
      if (next === "") throw new ControlError("nothing follows the backslash");
      word = (word ?? "") + next;
      i++;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (!/[ \t\r\n]/.test(char)) word = (word ?? "") + char;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== "") throw new ControlError(`a quote is not closed: ${quote}`);
  if (word !== undefined) words.push(word);
  return words;
}

/**
 * Reads commands from what a client sends, as words: none for a line of blanks. What cannot be read
 * is a `ControlError` in its place. Empty lines are passed over; the last line needs no end.
 */
export async function* readCommands(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<string[] | ControlError> {
  const decoder = new TextDecoder();
  const lines = new JoinedLines();
  for await (const bytes of input) {
    for (const command of lines.add(decoder.decode(bytes, { stream: true }))) {
      yield wordsOf(command);
    }
  }
  for (const command of lines.end(decoder.decode())) yield wordsOf(command);
}

function wordsOf(command: string | ControlError): string[] | ControlError {
  if (command instanceof ControlError) return command;
  try {
    return splitWords(command);
  } catch (error) {
    if (error instanceof ControlError) return error;
    throw error;
  }
}

/** Makes whole commands of pieces of text, and holds no more than one may have. */
class JoinedLines {
  /** The lines of a command that goes on. */
  #begun: string | undefined;
  /** A line that has no end yet. */
  #line = "";
  /** Whether what comes, up to the command's end, is passed over. */
  #isPassedOver = false;

  *add(text: string): Generator<string | ControlError> {
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) yield* this.#take(line.replace(/\r$/, ""));
    if (this.#length(this.#line) <= COMMAND_CHARS_MAX) return;
    yield* this.#passOver();
    this.#line = this.#line.slice(-2); // Whether it goes on is told by its last characters.
  }

  *end(text: string): Generator<string | ControlError> {
    yield* this.add(text);
    if (this.#line !== "") yield* this.add("\n");
    if (this.#begun !== undefined) yield new ControlError("the command does not go on");
  }

  *#take(line: string): Generator<string | ControlError> {
    if (this.#length(line) > COMMAND_CHARS_MAX) yield* this.#passOver();
    const goesOn = line.endsWith("\\");
    if (this.#isPassedOver) {
      this.#isPassedOver = goesOn;
      return;
    }
    if (goesOn) {
      this.#begun = `${this.#begun ?? ""}${line.slice(0, -1)}\n`;
      return;
    }
    const command = (this.#begun ?? "") + line;
    this.#begun = undefined;
    if (command !== "") yield command;
  }

  #length(line: string): number {
    return (this.#begun?.length ?? 0) + line.length;
  }

  *#passOver(): Generator<ControlError> {
    if (!this.#isPassedOver) {
      yield new ControlError(`a command may have ${COMMAND_CHARS_MAX} characters`);
    }
    this.#isPassedOver = true;
    this.#begun = undefined;
  }
}
