/**
 * The default codec of models: it takes what `structuredClone` takes, and keeps which parts are
 * the same object; what would be lost is refused, and named.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { modelCodec } from "../../runtime/model_codec.ts";
import { assertSame, models } from "../support/model_values.ts";
import { holds } from "../support/property.ts";

function roundTrip(model: unknown): unknown {
  return modelCodec.decode(modelCodec.encode(model));
}

function refusal(model: unknown): string {
  try {
    modelCodec.encode(model);
  } catch (error) {
    assert.ok(error instanceof TypeError);
    return error.message;
  }
  throw new Error("It was not refused");
}

test("modelCodec gives back what structuredClone does, and leaves the model as it is", async () => {
  await holds(300, models, (model) => {
    const before = structuredClone(model);
    const decoded = roundTrip(model);
    assertSame(decoded, model);
    assertSame(decoded, before);
    assertSame(model, before);
  });
});

test("modelCodec encodes equal models to equal bytes", async () => {
  await holds(100, models, (model) => {
    assert.deepEqual(modelCodec.encode(model), modelCodec.encode(structuredClone(model)));
  });
});

test("modelCodec keeps what structuredClone would change", () => {
  const shared = { name: "shared" };
  const regexp = /a/g;
  regexp.lastIndex = 3;
  const bare = Object.assign(Object.create(null), { toString: 1 });
  const error = new TypeError("not that", { cause: shared });
  const model = [regexp, bare, error, shared, new Float16Array([1.5])];
  assertSame(roundTrip(model), model);
});

test("modelCodec keeps models that are larger than its parts", () => {
  const users = new Map(
    Array.from(
      { length: 3000 },
      (_, i) => [`user ${i}`, { id: i, tags: ["a", `${i}`], at: i / 7 }],
    ),
  );
  const byKey = Object.fromEntries(users);
  const model = {
    users,
    byKey,
    list: [...users.values()],
    manyShapes: Array.from({ length: 5000 }, (_, i) => ({ [`key ${i}`]: i, [`other ${i}`]: "" })),
    long: ["x".repeat(1_000_000), "\udc00".repeat(300_000), new Uint8Array(1_000_000)],
  };
  assertSame(roundTrip(model), model);
});

test("modelCodec makes plain objects of instances that have fields alone, as structuredClone does", () => {
  class Point {
    x = 1;
    y = 2;
  }
  class Place extends Point {
    name = "here";
  }
  assertSame(roundTrip([new Point(), new Place()]), [
    { x: 1, y: 2 },
    { x: 1, y: 2, name: "here" },
  ]);
});

test("modelCodec refuses a cycle and names where it closes", () => {
  interface User {
    friend?: User;
    tags: Set<unknown>;
  }
  const ann: User = { tags: new Set() };
  ann.friend = ann;
  assert.equal(
    refusal({ users: new Map([["ann", ann]]) }),
    'Cannot encode model: model.users.get("ann").friend leads back to model.users.get("ann"): a ' +
      "cycle cannot be kept; refer to it by its key instead",
  );
  const bob: User = { tags: new Set(["x"]) };
  bob.tags.add([bob]);
  assert.match(
    refusal(bob),
    /^Cannot encode model: \[\.\.\.model\.tags\]\[1\]\[0\] leads back to model:/,
  );
});

test("modelCodec refuses what it could not give back, and names the way to it", () => {
  class Account {
    balance = 0;
    deposit(sum: number) {
      this.balance += sum;
    }
  }
  const refused: readonly [unknown, string][] = [
    [{ update: () => 1 }, "model.update is a function, which cannot be kept"],
    [[[Symbol("it")]], "model[0][0] is a symbol, which cannot be kept"],
    [
      { "a b": new Account() },
      'model["a b"] is an instance of Account, and would lose what that class gives it',
    ],
    [
      new Map([[5, new WeakMap()]]),
      "model.get(5) is an instance of WeakMap, and would lose what that class gives it",
    ],
    [
      new Map([[{ at: Promise.resolve() }, 1]]),
      "[...model.keys()][0].at is an instance of Promise, and would lose what that class gives it",
    ],
    [{ [Symbol("it")]: 1 }, "model has a property named Symbol(it)"],
    [
      { all: Object.assign(new Map(), { extra: 1 }) },
      'model.all has a property "extra", which is no part of what it is',
    ],
    [
      Object.assign(new Error("x"), { code: "E" }),
      'model has a property "code", which is no part of what it is',
    ],
    [[new Uint8Array(new ArrayBuffer(1, { maxByteLength: 2 }))], "model[0].buffer can be resized"],
    [
      [new SharedArrayBuffer(1)],
      "model[0] is an instance of SharedArrayBuffer, and would lose what that class gives it",
    ],
  ];
  for (const [model, why] of refused) assert.equal(refusal(model), `Cannot encode model: ${why}`);
});

test("modelCodec takes a thousand levels, and refuses more with a way that can be read", () => {
  const nested = (levels: number) => {
    let model: unknown = 1;
    for (let i = 0; i < levels; i++) model = i % 2 === 0 ? { next: model } : [model];
    return model;
  };
  assertSame(roundTrip(nested(1000)), nested(1000));
  const why = refusal(nested(100_000));
  assert.match(
    why,
    /^Cannot encode model: model\[0\]\.next.* … .* is nested more than 1000 levels deep$/,
  );
  assert.ok(why.length < 500);
});

test("modelCodec throws on bytes that are no model, however they are cut", async () => {
  await holds(50, models, (model) => {
    const bytes = modelCodec.encode(model);
    for (let size = 0; size < bytes.length; size++) {
      assert.throws(() => modelCodec.decode(bytes.slice(0, size)));
    }
    assert.throws(() => modelCodec.decode(new Uint8Array([...bytes, 0xc0])), TypeError);
  });
});

test("modelCodec refuses a layout that it does not know", () => {
  const bytes = modelCodec.encode(null);
  bytes[1] = 2;
  assert.throws(() => modelCodec.decode(bytes), {
    name: "TypeError",
    message: 'Cannot decode model: it has layout "2", and only 1 is known',
  });
});
