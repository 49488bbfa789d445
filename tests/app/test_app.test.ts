/**
 * `testApp`: what a test sees of an application, what an application sees of the test's clock and
 * randomness, and that neither leaves anything behind.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type App, defineApp, HttpError, json, testApp } from "../../mod.ts";

interface Note {
  readonly text: string;
}

const add = (notes: readonly string[], events: readonly Note[]) => [
  ...notes,
  ...events.map(({ text }) => text),
];

/** A list of notes, that differs in `parts`. */
function notesApp(parts: Partial<App<readonly string[], Note>> = {}) {
  return defineApp<readonly string[], Note>({
    initModel: () => [],
    updateModel: add,
    handleRequest: async (request, _notes, { saveEvent }) => {
      if (saveEvent === undefined) return Response.json(_notes);
      for (const text of (await request.text()).split(" ")) saveEvent({ text });
      return (notes) => Response.json(notes.length, { status: 201 });
    },
    ...parts,
  });
}

/** An application whose only handler does `handle`. */
function handling(handle: App<readonly string[], Note>["handleRequest"]) {
  return notesApp({ handleRequest: handle });
}

const post = (body = "") => ({ method: "POST", body });

test("testApp answers with what a request saved, and with the model after it", async () => {
  await using notes = await testApp(notesApp(), { given: [{ text: "first" }] });
  assert.deepEqual(notes.model, ["first"]);
  const { response, events, model } = await notes.request("/any?path", post("second third"));
  assert.equal(response.status, 201);
  assert.equal(await response.json(), 3);
  assert.deepEqual(events, [{ text: "second" }, { text: "third" }]);
  assert.deepEqual(model, ["first", "second", "third"]);
  const read = await notes.request("/");
  assert.deepEqual(await read.response.json(), model);
  assert.deepEqual(read.events, []);
  await notes.restart();
  assert.deepEqual(notes.model, model);
});

test("testApp tells the events of requests made at once apart", async () => {
  await using notes = await testApp(notesApp());
  const texts = ["a", "b", "c d", "e"];
  const answers = await Promise.all([
    ...texts.map((text) => notes.request("/", post(text))),
    ...Array.from({ length: 20 }, () => notes.request("/")),
  ]);
  const saved = answers.map(({ events }) => events.map(({ text }) => text).join(" "));
  assert.deepEqual(saved, [...texts, ...Array(20).fill("")]);
  assert.deepEqual(notes.model, ["a", "b", "c", "d", "e"]);
});

test("testApp saves nothing of a write that is refused, and answers as a client sees it", async () => {
  const app = handling((_request, _notes, { saveEvent }) => {
    saveEvent?.({ text: "never" });
    throw new HttpError(409, "no");
  });
  await using notes = await testApp(app);
  const { response, events, model } = await notes.request("/", post());
  assert.deepEqual([response.status, events, model], [409, [], []]);
});

test("testApp holds clock and randomness in hand while a request is handled", async () => {
  const look = () => ({
    now: Date.now(),
    date: new Date().toISOString(),
    text: Date(),
    temporal: Reflect.get(globalThis, "Temporal")?.Now.instant().toString(),
    random: Math.random(),
    uuid: crypto.randomUUID(),
    bytes: [...crypto.getRandomValues(new Uint16Array(3))],
  });
  const app = handling(async (request, _notes, { saveEvent }) => {
    await request.text(); // So that some of it happens in a later turn.
    const seen = [look(), look()];
    return saveEvent ? () => Response.json([...seen, look()]) : Response.json(seen);
  });
  const options = { now: "2026-01-02T03:04:05Z", seed: 7 };
  const run = async (seed: number) => {
    await using notes = await testApp(app, { ...options, seed });
    const first = await (await notes.request("/", post("x"))).response.json();
    await notes.advance(1500);
    const second = await (await notes.request("/")).response.json();
    return [...first, ...second];
  };
  const looks = await run(7);
  assert.deepEqual(looks.map(({ date }) => date), [
    ...Array(3).fill("2026-01-02T03:04:05.000Z"),
    ...Array(2).fill("2026-01-02T03:04:06.500Z"),
  ]);
  for (const { now, date, text, temporal } of looks) {
    assert.equal(new Date(now).toISOString(), date);
    assert.equal(text, new Date(now).toString());
    if (temporal !== undefined) assert.equal(Date.parse(temporal), now);
  }
  for (const { uuid } of looks) assert.match(uuid, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab]/);
  assert.equal(new Set(looks.flatMap(({ random, uuid }) => [random, uuid])).size, 10);
  assert.deepEqual(await run(7), looks);
  assert.notDeepEqual(await run(8), looks);
});

test("testApp leaves dates what they are", async () => {
  class Birthday extends Date {}
  const app = handling(() => {
    class Later extends Date {}
    const given = new Date(2020, 1, 29);
    return Response.json({
      instance: new Date() instanceof Date && given instanceof Date && new Later() instanceof Later,
      subclass: new Birthday(5).getTime() === 5 && new Birthday(5) instanceof Date,
      constructor: given.constructor === Date && Object.getPrototypeOf(given) === Date.prototype,
      given: given.getMonth() === 1 && new Date("2020-02-29").getTime() === Date.UTC(2020, 1, 29),
      parse: Date.parse("2020-02-29") === Date.UTC(2020, 1, 29),
      shape: Date.length === 7 && Date.name === "Date",
      time: new Later().getTime() === 86_400_000,
    });
  });
  await using notes = await testApp(app, { now: 86_400_000 });
  const seen = await (await notes.request("/")).response.json();
  assert.deepEqual(Object.values(seen), Array(7).fill(true), JSON.stringify(seen));
});

/** What a test must find as it was. */
function globals(): unknown[] {
  const of = (object: object, name: string) => {
    const { value } = Object.getOwnPropertyDescriptor(object, name) ?? {};
    return value;
  };
  const { Now } = Reflect.get(globalThis, "Temporal") ?? {};
  return [
    Date,
    Date.prototype.constructor,
    Math.random,
    of(crypto, "randomUUID"),
    of(crypto, "getRandomValues"),
    crypto.randomUUID,
    Now?.instant,
    Now?.plainDateISO,
  ];
}

test("testApp gives the globals back after each request, also after one that fails", async () => {
  const before = globals();
  const app = handling(() => {
    throw new Error("in the handler");
  });
  const notes = await testApp(app);
  assert.deepEqual(globals(), before);
  const asked = notes.request("/");
  await assert.rejects(asked, /in the handler/);
  assert.deepEqual(globals(), before);
  assert.ok(Math.abs(Date.now() - performance.timeOrigin - performance.now()) < 60_000);
});

test("testApp gives the globals back when it is closed, though requests still wait", async () => {
  const before = globals();
  const isAsked = Promise.withResolvers<void>();
  const app = handling((_request, _notes, { method }) => {
    if (method === "POST") isAsked.resolve();
    return new Promise(() => {});
  });
  const asked: Promise<unknown>[] = [];
  const failed = (async () => {
    await using notes = await testApp(app);
    for (const init of [post(), post(), {}]) {
      asked.push(notes.request("/", init).then(({ response }) => response.status));
    }
    await isAsked.promise;
    assert.notDeepEqual(globals(), before);
    throw new Error("an assertion that fails");
  })();
  await assert.rejects(failed, /an assertion that fails/);
  assert.deepEqual(globals(), before);
  assert.deepEqual(await Promise.all(asked), [504, 503, 504]);
});

test("testApp gives the globals back when it is closed, though a body has not arrived", async () => {
  const before = globals();
  const notes = await testApp(notesApp());
  const isRead = Promise.withResolvers<void>();
  const body = new ReadableStream({ pull: () => isRead.resolve() }, { highWaterMark: 0 });
  // `duplex` is for streams (Fetch standard), and missing in some types.
  const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
  notes.request("/", init);
  await isRead.promise;
  assert.notDeepEqual(globals(), before);
  await notes.close();
  assert.deepEqual(globals(), before);
});

test("testApp's clock moves the deadlines of requests that wait", async () => {
  await using notes = await testApp(handling(() => new Promise(() => {})));
  const asked = [notes.request("/"), notes.request("/", post("x")), notes.request("/", post("y"))];
  await notes.advance(120_000);
  const statuses = (await Promise.all(asked)).map(({ response }) => response.status);
  assert.deepEqual(statuses, [504, 504, 504]);
});

test("testApp rejects with what a handler threw, unless it is to be reported", async () => {
  const error = new TypeError("undefined is not a function");
  const app = handling(() => {
    throw error;
  });
  await using strict = await testApp(app);
  await assert.rejects(strict.request("/"), error);
  const reported: unknown[] = [];
  await using lenient = await testApp(app, { report: (error) => reported.push(error) });
  assert.equal((await lenient.request("/", post())).response.status, 500);
  assert.deepEqual(reported, [error]);
});

test("testApp rejects at the end with what failed behind an answer", async () => {
  const app = handling((_request, _notes, { waitUntil }) => {
    waitUntil(new Promise((_resolve, reject) => setTimeout(() => reject(new Error("late")))));
    return new Response();
  });
  const notes = await testApp(app);
  await notes.request("/");
  await assert.rejects(notes.close(), /late/);
  await assert.rejects(notes.request("/"), { code: "engine_closed" });
});

/** What testApp says of an application that is given an event, or saves one. */
async function complaints<Model>(app: App<Model, Note>): Promise<(string | undefined)[]> {
  const said = async (run: () => Promise<unknown>) => {
    try {
      await run();
    } catch (error) {
      assert.equal(Reflect.get(Object(error), "code"), "bad_application", String(error));
      return String(error);
    }
    return undefined;
  };
  return [
    await said(async () => {
      await using _ = await testApp(app, { given: [{ text: "a" }, { text: "b" }] });
    }),
    await said(async () => {
      await using notes = await testApp(app);
      await notes.request("/", post("a b"));
    }),
  ];
}

test("testApp finds an updateModel that looks at the clock or at random numbers", async () => {
  let calls = 0;
  const looks = [
    () => Date.now(),
    () => new Date().toISOString(),
    () => Math.random(),
    () => crypto.randomUUID(),
    () => calls++,
  ];
  for (const look of looks) {
    const updateModel: typeof add = (notes, events) => [...add(notes, events), String(look())];
    for (const said of await complaints(notesApp({ updateModel }))) {
      assert.match(said ?? "nothing", /another model|batches of/);
    }
  }
});

test("testApp says which part of the model is not deterministic", async () => {
  const app = defineApp({
    initModel: () => ({ byText: new Map<string, { at: number }>() }),
    updateModel: ({ byText }, events: readonly Note[]) => {
      for (const { text } of events) byText.set(text, { at: Date.now() });
      return { byText };
    },
    handleRequest: (_request, _model, { saveEvent }) => {
      saveEvent?.({ text: "a" });
      return new Response();
    },
  });
  // A model that checkApp cannot copy, so that nothing else finds it.
  const unlike = { ...app, initModel: () => ({ ...app.initModel(), look: () => {} }) };
  await using notes = await testApp(unlike, { now: 1000 });
  await assert.rejects(
    notes.request("/", post()),
    /model\.byText\.get\("a"\)\.at was 1000, and is/,
  );
});

test("testApp finds what checkApp finds", async () => {
  const faults: Partial<App<string[], Note>>[] = [
    { updateModel: (notes, events) => [...add(notes, events.slice(0, 1))] },
    {
      updateModel: (notes, events) => {
        notes.push(...add([], events));
        return [...notes];
      },
    },
    { codec: { encode: json.encode, decode: () => ({ text: "" }) } },
    { initModel: () => shared },
    { initModel: () => [String(Date.now())] },
  ];
  const shared: string[] = [];
  const inPlace = (notes: string[], events: readonly Note[]) => {
    notes.push(...add([], events));
    return notes;
  };
  const expected = [/batches of/, /model before event/, /codec/, /initModel/, /initModel/];
  for (const [i, fault] of faults.entries()) {
    const { handleRequest } = notesApp();
    const app = { initModel: () => [], updateModel: inPlace, handleRequest, ...fault };
    for (const said of await complaints<string[]>(app as App<string[], Note>)) {
      assert.match(said ?? "nothing", expected[i] ?? /never/);
    }
  }
});

test("testApp finds a model that a restart or a snapshot does not give back", async () => {
  let starts = 0;
  const app = notesApp({ initModel: () => Array(starts).fill("x") });
  const notes = await testApp(app);
  starts++;
  await assert.rejects(notes.restart(), /a restart made another model/);
  const modelCodec = { encode: () => new Uint8Array(), decode: () => ["?"] };
  await using kept = await testApp(notesApp({ modelVersion: "1", modelCodec }));
  await assert.rejects(kept.restart(), /a snapshot made another model/);
});

test("testApp names the given event that cannot be applied", async () => {
  const updateModel: typeof add = (notes, events) => {
    for (const { text } of events) if (text === "poison") throw new Error("no such note");
    return add(notes, events);
  };
  const given = [{ text: "a" }, { text: "poison" }];
  const opened = testApp(notesApp({ updateModel }), { given });
  await assert.rejects(opened, /updateModel threw on event 1: no such note/);
});

test("testApp keeps the clocks of two applications apart, also when they are asked at once", async () => {
  const app = handling(async () => {
    const times = [Date.now()];
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve));
      times.push(Date.now());
    }
    return Response.json(times);
  });
  await using one = await testApp(app, { now: 1 });
  await using two = await testApp(app, { now: 2 });
  const asked = [one, two, one, two].map((notes) => notes.request("/"));
  const answers = await Promise.all(asked);
  const times = await Promise.all(answers.map(({ response }) => response.json()));
  assert.deepEqual(times, [1, 2, 1, 2].map((now) => Array(4).fill(now)));
});

test("testApp sees what is written past its requests, also at once", async () => {
  const inPlace = (notes: readonly string[], events: readonly Note[]) => {
    (notes as string[]).push(...add([], events)); // Nobody holds on to a model of before.
    return notes;
  };
  for (const updateModel of [add, inPlace]) {
    await using notes = await testApp(notesApp({ updateModel }));
    const asked = Array.from({ length: 30 }, async (_, i) => {
      for (let turns = i % 7; turns > 0; turns--) await undefined;
      if (i % 3 === 0) await notes.request("/", post("asked"));
      else if (i % 3 === 1) await notes.request("/");
      else await notes.engine.write((_model, { saveEvent }) => saveEvent({ text: "by a timer" }));
    });
    await Promise.all(asked);
    const { model } = await notes.request("/");
    assert.equal(model.filter((text) => text === "asked").length, 10);
    assert.equal(model.filter((text) => text === "by a timer").length, 10);
  }
});

test("testApp refuses what is no application, no time and no duration", async () => {
  // A mistake that only JavaScript lets one make.
  const nothing = {} as App<unknown, unknown>;
  await assert.rejects(testApp(nothing), /initModel is not a function/);
  await assert.rejects(testApp(notesApp(), { now: "yesterday" }), /"yesterday" is no time/);
  await using notes = await testApp(notesApp());
  for (const ms of [-1, NaN, Infinity]) {
    await assert.rejects(notes.advance(ms), {
      name: "RangeError",
      message: new RegExp(`${ms} ms`),
    });
  }
});
