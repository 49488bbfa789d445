/**
 * The harness of `promises.test.ts` on logs, disks and runtimes that break one promise on
 * purpose: it must find out each of them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../../runtime/app.ts";
import { HttpError } from "../../runtime/errors.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import {
  withoutCutting,
  withoutFolderSync,
  withoutSync,
  withoutWritingAgain,
} from "../support/broken_disk.ts";
import type { Ledger, LedgerEvent, Style } from "../support/ledger_app.ts";
import { runLives, type Setting } from "../support/lives.ts";
import { type Patch, withPatchedRuntime } from "../support/patched_runtime.ts";
import { scenarios } from "../support/plans.ts";
import { breaks } from "../support/property.ts";
import { plainStorage } from "../support/storages.ts";

/** Most are found within 20 cases. */
const RUNS = 3000;

/** What it says: an answer showed too much, the log has too little, or too much, or is spoiled. */
const UNDONE =
  /shows what a crash could undo|acknowledged and is in the log|was durable|Cannot open|no answer/;
const IN_LOG =
  /nothing else is in the log|shows what was acknowledged|is in the log|Cannot decode|the last write|no answer/;

async function findsMutation(style: Style, mutation: Partial<Setting>, why: RegExp): Promise<void> {
  const setting = { style, storage: plainStorage, ...mutation };
  const found = await breaks(RUNS, scenarios(), async (scenario) => {
    await runLives(scenario, setting);
  });
  assert.match(found ?? "nothing found", why);
}

async function findsPatch(style: Style, patches: readonly Patch[], why: RegExp): Promise<void> {
  const found = await withPatchedRuntime(patches, async (harness) => {
    const setting = { style, storage: harness.plainStorage };
    return await breaks(RUNS, harness.scenarios(), async (scenario) => {
      await harness.runLives(scenario, setting);
    });
  });
  assert.match(found ?? "nothing found", why);
}

/** Makes an answer of an error that a handler throws, and so keeps its events. */
function keepingEvents(app: App<Ledger, LedgerEvent>): App<Ledger, LedgerEvent> {
  return {
    ...app,
    async handleRequest(...given) {
      try {
        return await app.handleRequest(...given);
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        return new Response(null, { status: error.status });
      }
    },
  };
}

/** Says that commits are durable as soon as they are given to it. */
function answeringEarly(inner: EventLog): EventLog {
  let last = Promise.resolve();
  return {
    name: inner.name,
    counts: inner.counts,
    history: inner.history,
    get durable() {
      return inner.durable;
    },
    get durableBytes() {
      return inner.durableBytes;
    },
    read: (until, after) => inner.read(Math.min(until, inner.durable), after),
    readCommits: (after, bytesMax) => inner.readCommits(after, bytesMax),
    append(commits) {
      last = last.then(() => inner.append(commits)).catch(() => {}); // Nobody is told.
      return Promise.resolve();
    },
    close: () => inner.close(),
  };
}

for (const style of ["pure", "in place"] satisfies Style[]) {
  test(`harness finds a log that is never synced, ${style}`, async () => {
    await findsMutation(style, { disk: withoutSync }, UNDONE);
  });

  test(`harness finds answers that leave before the sync, ${style}`, async () => {
    await findsMutation(style, { log: answeringEarly }, UNDONE);
  });

  test(`harness finds a tail that is not written again at the start, ${style}`, async () => {
    await findsMutation(style, { disk: withoutWritingAgain }, UNDONE);
  });

  test(`harness finds a name that is never durable, ${style}`, async () => {
    await findsMutation(style, { disk: withoutFolderSync }, UNDONE);
  });

  test(`harness finds a full log that is not cut back, ${style}`, async () => {
    await findsMutation(style, { disk: withoutCutting }, IN_LOG);
  });

  test(`harness finds events that are kept after a throw, ${style}`, async () => {
    await findsMutation(style, { app: keepingEvents }, IN_LOG);
  });

  test(`harness finds errors that tell what is not durable, ${style}`, async () => {
    await findsPatch(style, [{
      file: "writer.ts",
      from: /(#failed\(write: [^]*?)write\.version\.sequence/,
      to: "$10",
    }], UNDONE);
  });

  test(`harness finds writes without events that do not wait for the disk, ${style}`, async () => {
    await findsPatch(style, [{
      file: "writer.ts",
      from: /const seen = version\.sequence;/,
      to: "const seen = 0;",
    }], UNDONE);
  });
}

const IS_DURABLE = /return version\.lost === undefined && version\.sequence <= [^;]*;/;

test("harness finds a read that shows what is not durable, pure", async () => {
  await findsPatch("pure", [
    { file: "models.ts", from: /return this\.#durable;/, to: "return this.#newest;" },
    { file: "store.ts", from: IS_DURABLE, to: "return true;" },
  ], UNDONE);
});

test("harness finds a read that shows what is not durable, in place", async () => {
  await findsPatch("in place", [
    { file: "store.ts", from: IS_DURABLE, to: "return version.lost === undefined;" },
  ], UNDONE);
});

test("harness finds chunks of a body that do not wait for the disk, in place", async () => {
  await findsPatch("in place", [
    { file: "http/gated_body.ts", from: /await gate\(\);/, to: "" },
  ], UNDONE);
});

test("harness finds a half-applied event that stays in the model, in place", async () => {
  await findsPatch("in place", [
    { file: "models.ts", from: /if \(!isObject\(model\)\) return false;/, to: "return false;" },
  ], /shows what a crash could undo|the model shows what was acknowledged/);
});

test("harness finds writes that do not go on after a full disk, pure", async () => {
  await findsPatch("pure", [
    {
      file: "models.ts",
      from: /this\.#newest = this\.#durable;\s*return true;/,
      to: "return true;",
    },
  ], /the last write/);
});

test("harness finds writes that run side by side, pure", async () => {
  await findsPatch("pure", [
    {
      file: "writer.ts",
      from: /return this\.#active === undefined && !this\.#isAsking && !this\.#parts/,
      to: "return !this.#isAsking && !this.#parts",
    },
  ], IN_LOG);
});
