/**
 * What a child prints, as lines, however they come: for a log in which many of them write.
 */

import type { Readable } from "node:stream";

/** Characters of a line; what is longer is broken up. */
const LINE_CHARS_MAX = 16 * 1024;

/** Calls `print` with each line that `stream` gives, without its end, and with an unfinished last one. */
export function readLines(stream: Readable, print: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) print(line.endsWith("\r") ? line.slice(0, -1) : line);
    while (rest.length >= LINE_CHARS_MAX) {
      print(rest.slice(0, LINE_CHARS_MAX));
      rest = rest.slice(LINE_CHARS_MAX);
    }
  });
  stream.on("end", () => {
    if (rest !== "") print(rest);
    rest = "";
  });
  stream.on("error", () => {}); // There is nothing more to read, then.
}
