/**
 * What a long replay shows on a terminal.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { progressLine } from "../../adapters/cli/progress.ts";

/** A line on a fake terminal, or none, and a clock in hand. */
function lineOn({ isTTY }: { isTTY: boolean }) {
  let text = "";
  let time = 0;
  const out = { isTTY, write: (more: string) => text += more };
  const line = progressLine("db.events", { out, now: () => time });
  const showAt = (ms: number, events: number) => {
    time = ms;
    line.show({ events, bytes: events * 10, bytesTotal: 100_000 });
  };
  return { line, showAt, text: () => text };
}

test("a replay shows nothing in its first second, then how far it is, and clears it", () => {
  const { line, showAt, text } = lineOn({ isTTY: true });
  showAt(999, 2000);
  assert.equal(text(), "");
  showAt(1000, 2500);
  assert.equal(text(), "\r\x1b[KReplaying db.events: 25 %, 2,500 events");
  showAt(1050, 3000); // Too soon to be read.
  showAt(1100, 5000);
  assert.equal(text().split("\r").length, 3);
  assert.match(text(), /50 %, 5,000 events$/);
  line.end();
  assert.ok(text().endsWith("\r\x1b[K"));
});

test("a replay shows nothing where there is no terminal", () => {
  const { line, showAt, text } = lineOn({ isTTY: false });
  showAt(5000, 5000);
  line.end();
  assert.equal(text(), "");
});
