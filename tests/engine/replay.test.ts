/**
 * From a log to a model: batches equal single events, and what goes wrong names its event.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { App } from "../../runtime/app.ts";
import { bytes, type Codec, json } from "../../runtime/codec.ts";
import { type EventLog, sizeInCommit } from "../../runtime/log/event_log.ts";
import { replay, type ReplayProgress } from "../../runtime/replay.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { openPlainLog } from "../support/test_log.ts";

type Style = "pure" | "in place";
const STYLES: readonly Style[] = ["pure", "in place"];

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A plain log with these events. */
async function logOf(events: readonly Uint8Array[]): Promise<EventLog> {
  const disk = new SimulatedDisk({ clock: new SimulatedClock(), seed: 1 });
  const log = await openPlainLog({ disk });
  for (let i = 0; i < events.length; i += 10_000) {
    const some = events.slice(i, i + 10_000);
    const size = some.reduce((sum, event) => sum + sizeInCommit(event), 0);
    await log.append([{ events: some, bytes: size }]);
  }
  return log;
}

/** A list of numbers. */
function listApp(style: Style, codec: Codec<number> = json): App<number[], number> {
  return {
    initModel: () => [],
    updateModel(model, events) {
      const next = style === "pure" ? [...model] : model;
      for (const event of events) next.push(event);
      return next;
    },
    handleRequest: () => new Response(),
    codec,
  };
}

interface Tally {
  count: number;
  sum: number;
}

/** Counts and adds numbers, and throws when it is done with a batch that `isBad`. */
function tallyApp(style: Style, isBad: (events: readonly number[]) => boolean): App<Tally, number> {
  return {
    initModel: () => ({ count: 0, sum: 0 }),
    updateModel(model, events) {
      const next = style === "pure" ? { ...model } : model;
      for (const event of events) {
        next.count++;
        next.sum += event;
      }
      if (isBad(events)) throw new Error("not this one");
      return next;
    },
    handleRequest: () => new Response(),
  };
}

const numbersTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const encoded = (values: readonly unknown[]): Uint8Array[] =>
  values.map((value) => text(JSON.stringify(value)));

for (const style of STYLES) {
  test(`replay names the event that updateModel throws on, with its offset, ${style}`, async () => {
    const log = await logOf(encoded(numbersTo(100_000)));
    const app = tallyApp(style, (events) => events.includes(77_777));
    await assert.rejects(replay(app, log, log.durable, { warn: assert.fail }), {
      code: "bad_event",
      // 10 events of 1 digit, 90 of 2, 900 of 3, 9,000 of 4, and 67,777 of 5, each with its size.
      message: 'Cannot apply event 77778 of log "db.events" (5 bytes, at offset 455553): ' +
        "not this one; its bytes are 37 37 37 37 37  |77777|; mend updateModel or the codec so " +
        "that it takes this event, or start with --on-bad-event skip, which leaves it out",
    });
  });

  test(`replay goes on after batches that throw, if single events do not, and warns, ${style}`, async () => {
    const log = await logOf(encoded(numbersTo(20_000)));
    const warnings: string[] = [];
    // Each batch of the log throws, the later ones too.
    const app = tallyApp(style, (events) => events.length > 1);
    const { model } = await replay(app, log, log.durable, {
      warn: (message) => void warnings.push(message),
    });
    assert.deepEqual(model, { count: 20_000, sum: 199_990_000 });
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? "",
      /updateModel threw on events \d+ to \d+ of "db.events" as a batch/,
    );
  });
}

test("replay names the event that cannot be decoded", async () => {
  const log = await logOf([text("1"), text("{"), text("3")]);
  await assert.rejects(replay(listApp("pure"), log, 3, { warn: assert.fail }), {
    code: "bad_event",
    message: /^Cannot decode event 2 of log "db\.events" \(1 bytes, at offset 3\)/,
  });
});

test("replay stops at the position that it is told", async () => {
  const log = await logOf(encoded(numbersTo(10)));
  const { model } = await replay(listApp("pure"), log, 4, { warn: assert.fail });
  assert.deepEqual(model, [0, 1, 2, 3]);
});

test("replay of batches equals single events, with the bytes codec and empty events", async () => {
  const events = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 300 });
  await holds(50, events, async (events) => {
    const app: App<Uint8Array[], Uint8Array> = {
      initModel: () => [],
      updateModel: (model, events) => [...model, ...events],
      handleRequest: () => new Response(),
      codec: bytes,
    };
    const log = await logOf(events);
    const { model } = await replay(app, log, log.durable, { warn: assert.fail });
    assert.deepEqual(model, events);
  });
});

test("replay of batches equals single events, with the JSON codec", async () => {
  await holds(100, fc.array(fc.jsonValue(), { maxLength: 100 }), async (values) => {
    const app: App<unknown[], unknown> = {
      initModel: () => [],
      updateModel: (model, events) => [...model, ...events],
      handleRequest: () => new Response(),
      codec: json,
    };
    const log = await logOf(encoded(values));
    const { model } = await replay(app, log, log.durable, { warn: assert.fail });
    assert.deepEqual(model, values.map((value) => JSON.parse(JSON.stringify(value))));
  });
});

test("replay tells apart events that are no JSON from what they make in a batch", async () => {
  for (const events of [["1,2"], ["1", "2,3", ""], ["[1", "2]"], [" "], [""], ["1", "\ufeff"]]) {
    const log = await logOf(events.map(text));
    await assert.rejects(replay(listApp("pure"), log, log.durable, { warn: assert.fail }), {
      code: "bad_event",
      message: /^Cannot decode event/,
    });
  }
});

test("replay takes what only a single decode takes: a byte order mark", async () => {
  const log = await logOf([text("1"), text("\ufeff2"), text("3")]);
  const { model } = await replay(listApp("pure"), log, 3, { warn: assert.fail });
  assert.deepEqual(model, [1, 2, 3]);
});

test("replay decodes old events as the codec says", async () => {
  const codec: Codec<number> = {
    encode: (event) => text(`v2 ${event}`),
    decode(bytes) {
      const [version, value] = new TextDecoder().decode(bytes).split(" ");
      return version === "v2" ? Number(value) : Number(version) * 100;
    },
  };
  const log = await logOf([text("1"), codec.encode(2)]);
  const { model } = await replay(listApp("pure", codec), log, 2, { warn: assert.fail });
  assert.deepEqual(model, [100, 2]);
});

test("replay tells how far it has come", async () => {
  const log = await logOf(encoded(numbersTo(100_000)));
  const seen: ReplayProgress[] = [];
  await replay(listApp("in place"), log, log.durable, {
    warn: assert.fail,
    onProgress: (progress) => void seen.push(progress),
  });
  assert.ok(seen.length > 1);
  assert.deepEqual(seen.at(-1), {
    events: 100_000,
    bytes: log.durableBytes,
    bytesTotal: log.durableBytes,
  });
});

test("replay learns the style from what updateModel returns", async () => {
  const log = await logOf(encoded([1]));
  for (const style of STYLES) {
    const replayed = await replay(listApp(style), log, 1, { warn: assert.fail });
    assert.equal(replayed.style, style);
  }
  const empty = await replay(listApp("pure"), log, 0, { warn: assert.fail });
  assert.equal(empty.style, "unknown");
});
