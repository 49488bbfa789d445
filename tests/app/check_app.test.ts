/**
 * `checkApp` finds each thing that an application must not do, and nothing in one that does
 * not do it.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type App, checkApp, type Codec, defineApp, json } from "../../mod.ts";

interface Model {
  total: number;
  names: string[];
}
interface Event {
  name: string;
  amount: number;
}
const EVENTS: readonly Event[] = [
  { name: "a", amount: 1 },
  { name: "b", amount: 2 },
  { name: "a", amount: 3 },
  { name: "c", amount: 4 },
];

/** An application that differs from a good one in `parts`. */
function app(parts: Partial<App<Model, Event>>): App<Model, Event> {
  return defineApp<Model, Event>({
    initModel: () => ({ total: 0, names: [] }),
    updateModel: (model, events) => ({
      total: events.reduce((sum, { amount }) => sum + amount, model.total),
      names: [...model.names, ...events.map(({ name }) => name)],
    }),
    handleRequest: () => new Response(),
    ...parts,
  });
}

const codes = (app: App<Model, Event>, events = EVENTS) =>
  checkApp(app, events).map(({ code }) => code);

const inPlace = (model: Model, events: readonly Event[]) => {
  for (const { name, amount } of events) {
    model.total += amount;
    model.names.push(name);
  }
  return model;
};

test("checkApp finds nothing in a pure application", () => {
  assert.deepEqual(checkApp(app({}), EVENTS), []);
});

test("checkApp finds nothing in an application that changes its model in place", () => {
  assert.deepEqual(checkApp(app({ updateModel: inPlace }), EVENTS), []);
});

test("checkApp finds an old model that changed behind a new one", () => {
  const updateModel = (model: Model, events: readonly Event[]) => ({ ...inPlace(model, events) });
  const [problem] = checkApp(app({ updateModel }), EVENTS);
  assert.equal(problem?.code, "old model changed");
  assert.match(problem?.message ?? "", /model before event 0 changed/);
});

test("checkApp finds batches that differ from single events", () => {
  const updateModel = (model: Model, events: readonly Event[]) => ({
    ...model,
    total: model.total + (events[0]?.amount ?? 0),
  });
  assert.deepEqual(codes(app({ updateModel })), ["batch differs"]);
});

test("checkApp finds an event that does not survive its codec, and names it", () => {
  const problems = checkApp(app({}), [...EVENTS, { name: "d", amount: NaN }]);
  assert.equal(problems[0]?.code, "codec");
  assert.equal(problems[0]?.event, 4);
});

test("checkApp finds a codec that forgets", () => {
  const codec: Codec<Event> = { ...json, decode: () => ({ name: "", amount: 0 }) };
  assert.ok(codes(app({ codec })).includes("codec"));
});

test("checkApp finds a decodeBatch that goes past decode", () => {
  // As one writes it who forgets that `json` has one.
  const codec: Codec<Event> = {
    ...json,
    encode: ({ name, amount }) => json.encode({ title: name, amount }),
    decode: (bytes) => {
      const { title: name, amount }: { title: string; amount: number } = json.decode(bytes);
      return { name, amount };
    },
  };
  assert.deepEqual(codes(app({ codec })), ["codec"]);
});

test("checkApp finds an event on which updateModel throws, and names it", () => {
  const updateModel = (model: Model, events: readonly Event[]) => {
    if (events.some(({ name }) => name === "c")) throw new RangeError("no c");
    return inPlace(model, events);
  };
  const [problem] = checkApp(app({ updateModel }), EVENTS);
  assert.equal(problem?.code, "throws");
  assert.equal(problem?.event, 3);
  assert.match(problem?.message ?? "", /no c/);
});

test("checkApp finds an updateModel that is not deterministic", () => {
  let calls = 0;
  const updateModel = (model: Model) => ({ ...model, total: calls++ });
  const problems = checkApp(app({ updateModel }), EVENTS);
  const { message = "" } = problems.find(({ code }) => code === "not deterministic") ?? {};
  assert.match(
    message,
    /: model\.total is 3 after the one, and 7 after the other; updateModel must/,
  );
});

test("checkApp finds a first model that is shared and changed", () => {
  const first: Model = { total: 0, names: [] };
  const found = codes(app({ initModel: () => first, updateModel: inPlace }));
  assert.equal(found[0], "shared first model");
});

test("checkApp finds an updateModel that returns nothing", () => {
  // As written in JavaScript, where no type says that a model must be returned.
  const updateModel = (() => undefined) as unknown as App<Model, Event>["updateModel"];
  assert.deepEqual(codes(app({ updateModel })), ["throws"]);
});

test("defineApp refuses what is no application, and says why", () => {
  const define = defineApp as (definition: object) => unknown;
  const good = app({});
  assert.throws(() => define({ ...good, initModel: 1 }), /initModel is not a function/);
  assert.throws(() => define({ ...good, codec: {} }), /codec has no encode and decode/);
  assert.throws(() => define({ ...good, errors: { 200: () => {} } }), /errors has "200"; write/);
  assert.throws(() => define({ ...good, errors: { 404: "page" } }), /errors\[404\] is not/);
});
