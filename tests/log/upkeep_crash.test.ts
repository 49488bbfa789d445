/**
 * Work on whole logs, stopped at every single step by a loss of power, or failing there: what is
 * found afterwards is the old log or the new one, each whole; or the start is refused, and doing it
 * again mends that.
 */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { backupLog, restoreLog } from "../../runtime/log/backup.ts";
import { convertLog } from "../../runtime/log/convert.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import type { UpkeepOptions } from "../../runtime/log/hold_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import { repairLog } from "../../runtime/log/repair.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import { SURVIVALS } from "../support/simulated_file.ts";
import { LOG_PATH, openTestLog } from "../support/test_log.ts";
import { append, eventsIn, eventsOf, simulatedDisk, upkeep } from "../support/upkeep.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const COMMITS = [[bytes("one")], [bytes("two")], [bytes("three")]];
const COPY = "copy";

/** Work that is stopped, and what may be found then. */
interface Work {
  readonly name: string;
  /** Prepares the disk; returns where the log ends after its second commit. */
  prepare?(disk: SimulatedDisk, options: UpkeepOptions): Promise<void>;
  run(options: UpkeepOptions, cutAt: number): Promise<unknown>;
  /** How many of the events the log holds afterwards, if it is not the old one. */
  readonly kept: number;
}

const WORKS: readonly Work[] = [
  {
    name: "converting to the other format",
    run: (options) => convertLog(LOG_PATH, { ...options, to: "plain" }),
    kept: 3,
  },
  {
    name: "converting to checked",
    run: (options) => convertLog(LOG_PATH, { ...options, to: "checked" }),
    kept: 3,
  },
  {
    name: "cutting",
    run: (options, cutAt) => repairLog(LOG_PATH, { ...options, cutAt }),
    kept: 2,
  },
  {
    name: "cutting, without a mark,",
    prepare: (disk) => Promise.resolve(disk.remove(`${LOG_PATH}.mark`)),
    run: (options, cutAt) => repairLog(LOG_PATH, { ...options, cutAt }),
    kept: 2,
  },
  {
    name: "restoring in place of a log",
    prepare: async (disk, options) => {
      await backupLog(LOG_PATH, COPY, options);
      const log = await openTestLog({ disk });
      await append(log, [[bytes("four")]]);
      await log.close();
    },
    run: (options) => restoreLog(COPY, LOG_PATH, { ...options, isReplacing: true }),
    kept: 3,
  },
];

async function prepare(format: LogFormat, seed: number, work: Work) {
  const disk = simulatedDisk(seed);
  const log = await openTestLog({ disk, format });
  await append(log, COMMITS.slice(0, 2));
  const cutAt = log.durableBytes;
  await append(log, COMMITS.slice(2));
  const { history } = log;
  await log.close();
  disk.put(`${LOG_PATH}.snapshot-3`, bytes("snapshot"));
  await work.prepare?.(disk, upkeep(disk));
  const before = await openTestLog({ disk, readOnly: true });
  return { disk, cutAt, history, events: await eventsOf(before) };
}

/** The log as the next start finds it, or the error with which that is refused. */
async function start(disk: SimulatedDisk): Promise<EventLog | { readonly message: string }> {
  try {
    // Other random bytes than those of which the first history was made.
    return await openTestLog({ disk, random: upkeep(disk, { seed: 3 }).random });
  } catch (error) {
    assert.ok(
      error instanceof Error && "code" in error && error.code === "log_unreadable",
      String(error),
    );
    return error;
  }
}

/**
 * What happens at a step: everything stops, on a disk that keeps changes of names in their order or
 * not, or the operation fails; and what the loss of power leaves that follows.
 */
const ACCIDENTS = [
  { fault: "crashAtStep", areNamesUnordered: true },
  { fault: "crashAtStep", areNamesUnordered: false },
  { fault: "failAtStep", areNamesUnordered: false },
].flatMap((accident) => SURVIVALS.map((survival) => ({ ...accident, survival })));

const ROUNDS = process.env.ALCEDO_LONG ? 10 : 1;

/** Each step, with everything that may happen at it; until one says that there are no more. */
function* everyStep() {
  for (let round = 1; round <= ROUNDS; round++) {
    for (const accident of ACCIDENTS) {
      let isMore = true;
      for (let step = 1; isMore; step++) {
        yield { ...accident, step, seed: 300 * round + step, isOver: () => isMore = false };
      }
    }
  }
}

/** Does work with an accident at a step; whether it was done, and whether it came that far. */
async function withAccident(
  disk: SimulatedDisk,
  { fault, areNamesUnordered, step }: Pick<StepOf, "fault" | "areNamesUnordered" | "step">,
  run: (options: UpkeepOptions) => Promise<unknown>,
): Promise<{ isDone: boolean; isBehind: boolean }> {
  const at = disk.steps + step;
  Object.assign(disk.faults, { [fault]: at, areNamesUnordered });
  let isDone = false;
  await run(upkeep(disk, { warn: () => {} })).then(() => isDone = true, (error) => {
    assert.ok(disk.steps >= at, `${error.stack}`);
  });
  return { isDone, isBehind: disk.steps < at };
}

type StepOf = ReturnType<typeof everyStep> extends Generator<infer Step> ? Step : never;

for (const work of WORKS) {
  for (const format of ["plain", "checked"] as const) {
    const isCutting = work.name.startsWith("cutting");
    const isConverting = work.name.startsWith("converting");
    if (isConverting && (format === "plain") !== work.name.endsWith("checked")) continue;
    test(`${work.name} a ${format} log loses nothing, at whatever step it is stopped`, async () => {
      let refusals = 0;
      for (const step of everyStep()) {
        const { disk, cutAt, history, events } = await prepare(format, step.seed, work);
        const expected = events.slice(0, work.kept);
        const run = (options: UpkeepOptions) => work.run(options, cutAt);
        const { isDone, isBehind } = await withAccident(disk, step, run);
        if (isBehind) step.isOver();
        let after = disk.crash(step.survival);
        let found = await start(after);
        if ("message" in found) {
          refusals++;
          // Nothing is lost: doing it again, as the message says, mends it.
          const place = Number(/--cut-at (\d+)/.exec(found.message)?.[1]);
          assert.ok(isCutting && place >= cutAt, found.message);
          await repairLog(LOG_PATH, { ...upkeep(after), cutAt: place });
          found = await start(after);
          assert.ok("history" in found);
        }
        const left = await eventsOf(found);
        const isOld = isConverting
          ? found.counts === (format === "plain" ? "events" : "commits")
          : left.length === events.length;
        // A plain log has its history in its mark, which may be gone already.
        if (isOld && format === "checked") assert.equal(found.history, history);
        if (!isOld) assert.notEqual(found.history, history);
        if (isConverting) assert.deepEqual(left, events);
        assert.ok(left.length >= expected.length);
        assert.deepEqual(left, events.slice(0, left.length));
        if (isDone) assert.deepEqual({ isOld, left }, { isOld: false, left: expected });
        // What was cut off or replaced is beside it.
        if (!isOld) {
          const names = after.paths.join(" ");
          assert.match(names, isCutting ? /\.cut-/ : /\.old-\d+( |$)/);
        }
        await append(found, [[bytes("more")]]);
        await found.close();
        after = after.crash("nothing");
        const again = await openTestLog({ disk: after });
        assert.deepEqual(await eventsOf(again), [...left, ...eventsIn([[bytes("more")]])]);
        assert.equal(again.history, found.history);
      }
      assert.ok(refusals === 0 || isCutting);
    });
  }
}

test("a backup that is stopped leaves no half copy under its name, and the log as it was", async () => {
  for (const step of everyStep()) {
    const work = { name: "", run: () => Promise.resolve(), kept: 3 };
    const { disk, events } = await prepare("checked", step.seed, work);
    const before = disk.contentOf(LOG_PATH);
    const run = (options: UpkeepOptions) => backupLog(LOG_PATH, COPY, options);
    const { isDone, isBehind } = await withAccident(disk, step, run);
    if (isBehind) step.isOver();
    const after = disk.crash(step.survival);
    assert.deepEqual(after.contentOf(LOG_PATH), before);
    if (!isDone && !after.paths.includes(COPY)) continue;
    const copy = await openTestLog({ disk: after, readOnly: true, warn: assert.fail }, COPY);
    assert.deepEqual(await eventsOf(copy), events);
  }
});
