/**
 * Another program that puts its hand on the log of a running server: it is noticed before more is
 * acknowledged, its bytes are left alone, and the operator is told.
 */

import assert from "node:assert/strict";
import { appendFileSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { makeDiary, recoverDiary } from "../support/diary_file.ts";
import { refusedDiary, serveDiary, withDiaries } from "../support/diary_server.ts";

const IS_LONG = Boolean(process.env["ALCEDO_LONG"]);
const FORMATS = ["checked", "plain"] as const;

interface Interference {
  readonly what: string;
  act(file: string, format: LogFormat): void | Promise<void>;
  /** What the operator reads. */
  readonly message: RegExp;
  /** In either format it is the same code that notices: one will do, most days. */
  readonly format: LogFormat;
  /** Milliseconds after which it must be noticed. */
  readonly withinMs: number;
  /** Asserts what the next start makes of it. */
  restart(file: string): Promise<void>;
}

const kept = async (file: string, warning: RegExp | undefined) => {
  const warnings: string[] = [];
  assert.deepEqual(await recoverDiary(file, (warning) => warnings.push(warning)), ["a", "b"]);
  if (warning === undefined) assert.deepEqual(warnings, []);
  else assert.match(warnings.join("\n"), warning);
};

const INTERFERENCES: readonly Interference[] = [
  {
    what: "appends to it",
    format: "plain",
    act: (file) => appendFileSync(file, "x"),
    message: /is longer than it was left: another program has written to it/,
    withinMs: 0,
    restart: (file) => kept(file, /ended inside .*: 1 bytes after (commit|event) 2 were never/),
  },
  {
    what: "shortens it",
    format: "checked",
    act: (file) => truncateSync(file, readFileSync(file).findLastIndex((byte) => byte !== 0)),
    message: /is shorter than it was left: another program has written to it/,
    withinMs: 0,
    async restart(file) {
      const { stderr, code } = await refusedDiary(file);
      assert.equal(code, 1);
      assert.match(stderr, /after (commit|event) 1\b.*(durable once|acknowledged)/);
    },
  },
  {
    what: "removes it",
    format: "plain",
    act: (file) => rmSync(file),
    message: /has been removed/,
    withinMs: 1500,
    async restart(file) {
      const { stderr, code } = await refusedDiary(file);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /it is missing, though ".*\.mark" is there.* begin a new one with --new/,
      );
    },
  },
  {
    what: "moves another log into its place",
    format: "checked",
    async act(file, format) {
      await makeDiary(`${file}-other`, ["a", "b"], { format });
      renameSync(`${file}-other`, file);
    },
    message: /has been replaced by another file/,
    withinMs: 1500,
    restart: (file) => kept(file, file.includes("checked") ? /belongs to another log/ : undefined),
  },
];

for (const { what, format: usual, act, message, withinMs, restart } of INTERFERENCES) {
  const formats = IS_LONG ? FORMATS : [usual];
  test(`a program that ${what} ends the writing of a running server, and is named`, async () => {
    await withDiaries((folder) =>
      Promise.all(formats.map(async (format) => {
        const file = join(folder, `${format}.events`);
        const server = await serveDiary(file, ["--events-format", format]);
        for (const entry of ["a", "b"]) assert.equal(await server.post(entry), 200);
        await act(file, format);
        await setTimeout(withinMs);
        const foreign = what === "removes it" ? undefined : readFileSync(file);

        assert.equal(await server.post("too late"), 503);
        assert.deepEqual(await server.entries(), ["a", "b"]);
        const { state } = await server.health();
        assert.match(
          state,
          /^read-only: The log ".*" (is|has) .*no more is written until a restart/,
        );
        assert.match(state, message);
        assert.equal(await server.stop(), 0);
        assert.match(server.stderr(), message);
        if (foreign !== undefined) assert.deepEqual(readFileSync(file), foreign);
        await restart(file);
      }))
    );
  });
}
