/**
 * The harness of `promises.test.ts` on disks and logs that leave out one thing on purpose: it must
 * find out each of them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  withoutCutting,
  withoutFolderSync,
  withoutMark,
  withoutSync,
  withoutWritingAgain,
} from "../support/broken_disk.ts";
import { HARMS } from "../support/log_harm.ts";
import { type BreakDisk, runLogLives } from "../support/log_lives.ts";
import { type LogPlanOptions, logScenarios } from "../support/log_plans.ts";
import { type Patch, withPatchedRuntime } from "../support/patched_runtime.ts";
import { breaks } from "../support/property.ts";

/** Most are found within 50 cases. */
const RUNS = 5000;

/**
 * Something acknowledged is gone, or something else is there; a start is refused after no more
 * than a crash, or not refused where it must be; or the log does not go on where it could.
 */
const FOUND =
  /acknowledged and|only what was|is another|Cannot open|another reader|Missing expected rejection|no fault explains it|log_full|another program/;

async function findsDisk(broken: BreakDisk, options: LogPlanOptions): Promise<void> {
  const found = await breaks(RUNS, logScenarios(options), async (scenario) => {
    await runLogLives(scenario, broken);
  });
  assert.match(found ?? "nothing found", FOUND);
}

async function findsPatch(patch: Patch, options: LogPlanOptions = {}): Promise<void> {
  const found = await withPatchedRuntime([patch], async (harness) => {
    return await breaks(RUNS, harness.logScenarios(options), async (scenario) => {
      await harness.runLogLives(scenario);
    });
  });
  assert.match(found ?? "nothing found", FOUND);
}

for (const format of ["checked", "plain"] as const) {
  test(`harness finds a ${format} log that is never synced`, async () => {
    await findsDisk(withoutSync, { format });
  });

  test(`harness finds a ${format} log whose name is never durable`, async () => {
    await findsDisk(withoutFolderSync, { format });
  });

  test(`harness finds a full ${format} log that is not cut back`, async () => {
    await findsDisk(withoutCutting, { format });
  });

  test(`harness finds a ${format} log whose tail is not written again at the start`, async () => {
    await findsDisk(withoutWritingAgain, { format });
  });
}

test("harness finds a log without a mark", async () => {
  await findsDisk(withoutMark, { harms: HARMS });
});

test("harness finds a log whose frames are not a chain", async () => {
  const patch = {
    file: "log/frame_reader.ts",
    from: /this\.crc !== undefined && head\.before !== this\.crc/,
    to: "false",
  };
  await findsPatch(patch, { harms: HARMS });
});

test("harness finds a log whose frames may stand anywhere", async () => {
  const patch = {
    file: "log/frame_reader.ts",
    from: /return this\.#stop\("misplaced", misplaced\)/,
    to: 'return this.#stop("broken", misplaced)',
  };
  await findsPatch(patch, { harms: HARMS });
});

test("harness finds a log that does not look behind a damaged place", async () => {
  const patch = {
    file: "log/recovery.ts",
    from: /Math\.max\(marked\?\.durable \?\? 0, behind\.durable\)/,
    to: "marked?.durable ?? 0",
  };
  await findsPatch(patch, { harms: HARMS });
});

test("harness finds a log that goes on after a failed sync", async () => {
  await findsPatch({
    file: "log/file_log.ts",
    from: /return this\.#failed;/,
    to: "const failed = this.#failed; this.#failed = undefined; return failed;",
  });
});

test("harness finds a mark that is written before the sync", async () => {
  const patch = {
    file: "log/file_log.ts",
    from: /(if \(isSynced\)) (await this\.#sync\(commits\.length\));/,
    to: "$1 { this.#noteSynced(offset + bytes.length, framer.sequence); $2 }",
  };
  await findsPatch(patch, { durability: "always" });
});

test("harness finds a history that is carried on though commits of it are lost", async () => {
  const patch = {
    file: "log/open_log.ts",
    from: /found\.history !== undefined && \(found\.isClean \|\| found\.alwaysDurable\);/,
    to: "found.history !== undefined;",
  };
  await findsPatch(patch);
});
