/**
 * The bank: whatever is asked of it, also at once, no cent is lost and none is made; and what it
 * answers, by itself and over a socket.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import bank, { type BankEvent } from "../../examples/bank/main.ts";
import { checkApp, type Engine, json, memoryLog, openEngine, testApp } from "../../mod.ts";
import { holds } from "../support/property.ts";
import { listening, signal, start, withFolder } from "../support/server_process.ts";

interface Order {
  readonly path: "/accounts" | "/transfers";
  readonly body: Record<string, unknown>;
}

const names = fc.constantFrom("ann", "bob", "cy", "nobody", "not a name", "__proto__");
const cents = fc.oneof(
  { weight: 8, arbitrary: fc.nat(300) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(-1, -0, 0.5, 1e300, 2 ** 53, 2 ** 53 - 1, 2 ** 53 - 200),
  },
  { weight: 1, arbitrary: fc.constantFrom("7", null, true, [5], undefined) },
);
const order: fc.Arbitrary<Order> = fc.oneof(
  fc.record({
    path: fc.constant("/accounts" as const),
    body: fc.record({ account: names, cents }),
  }),
  fc.record({
    path: fc.constant("/transfers" as const),
    body: fc.record({ from: names, to: names, cents }),
  }),
);

/** Asks for something; returns what the bank answered, if it did it. */
async function ask<Model, Event>(
  engine: Engine<Model, Event>,
  { path, body }: Order,
): Promise<Order | undefined> {
  const init = { method: "POST", body: JSON.stringify(body) };
  const response = await engine.fetch(new Request(`http://bank${path}`, init));
  await response.body?.cancel();
  if (response.status === 201) return { path, body };
  assert.ok([409, 422].includes(response.status), `${response.status}: ${JSON.stringify(body)}`);
  return undefined;
}

interface Statement {
  readonly accounts: readonly { readonly account: string; readonly cents: number }[];
  readonly total: number;
}

async function statement<Model, Event>(engine: Engine<Model, Event>): Promise<Statement> {
  return await (await engine.fetch(new Request("http://bank/accounts"))).json();
}

test("bank loses no cent and makes none, whatever is asked of it, also at once", async () => {
  let done = 0;
  await holds(60, fc.array(fc.array(order, { maxLength: 8 }), { maxLength: 8 }), async (turns) => {
    const log = memoryLog();
    const engine = await openEngine(bank, { log });
    const accepted: Order[] = [];
    for (const orders of turns) {
      const answers = await Promise.all(orders.map((order) => ask(engine, order)));
      accepted.push(...answers.filter((order) => order !== undefined));
      const { accounts, total } = await statement(engine);
      assert.equal(accounts.reduce((sum, { cents }) => sum + BigInt(cents), 0n), BigInt(total));
      for (const { cents } of accounts) assert.ok(Number.isSafeInteger(cents) && cents >= 0);
      assert.equal(engine.health().durable, accepted.length, "what is refused saves nothing");
    }
    const paidIn = accepted.filter(({ path }) => path === "/accounts")
      .reduce((sum, { body }) => sum + Number(body["cents"]), 0);
    const before = await statement(engine);
    assert.equal(before.total, paidIn);
    await engine.close();

    const commits = await log.readCommits(0, Infinity);
    const events = commits.flatMap(({ events }) => events.map((bytes) => json.decode(bytes)));
    assert.deepEqual(checkApp(bank, events), []);
    await using restarted = await openEngine(bank, { log });
    assert.deepEqual(await statement(restarted), before);
    done += accepted.filter(({ path }) => path === "/transfers").length;
  });
  assert.ok(done > 0, "some transfers were made");
});

const given: BankEvent[] = [
  { kind: "opened", account: "ann", cents: 1000 },
  { kind: "opened", account: "bob", cents: 5 },
];

test("bank answers a transfer from the model that it has made", async () => {
  await using tested = await testApp(bank, { given, now: "2026-03-04T05:06:07Z" });
  const body = JSON.stringify({ from: "ann", to: "bob", cents: 300 });
  const { response, events } = await tested.request("/transfers", { method: "POST", body });
  assert.equal(response.status, 201);
  const { id, ...balances } = await response.json();
  assert.deepEqual(balances, {
    from: { account: "ann", cents: 700 },
    to: { account: "bob", cents: 305 },
  });
  const at = "2026-03-04T05:06:07.000Z";
  assert.deepEqual(events, [{ kind: "moved", id, at, from: "ann", to: "bob", cents: 300 }]);
  await tested.restart();
});

test("bank refuses what would lose a cent, says why, and saves nothing", async () => {
  await using tested = await testApp(bank, { given });
  const refused: [path: string, body: unknown, status: number, detail: RegExp][] = [
    ["/transfers", { from: "bob", to: "ann", cents: 6 }, 409, /"bob" has 5 cents, not 6/],
    ["/transfers", { from: "bob", to: "zoe", cents: 1 }, 422, /no account "zoe"/],
    ["/transfers", { from: "zoe", to: "bob", cents: 1 }, 422, /no account "zoe"/],
    ["/transfers", { from: "ann", to: "ann", cents: 1 }, 422, /two accounts/],
    ["/transfers", { from: "ann", to: "bob", cents: 0 }, 422, /above zero/],
    ["/transfers", { from: "ann", to: "bob", cents: 0.5 }, 422, /whole number/],
    ["/transfers", { from: "ann", to: "bob", cents: "1" }, 422, /whole number/],
    ["/transfers", null, 422, /whole number/],
    ["/accounts", { account: "ann", cents: 0 }, 409, /there is an account "ann"/],
    ["/accounts", { account: "zoe", cents: 2 ** 53 - 1 }, 409, /cannot hold that much/],
    ["/accounts", { account: "zoe", cents: -1 }, 422, /not negative/],
    ["/accounts", { account: "", cents: 1 }, 422, /a name/],
    ["/elsewhere", {}, 404, /nothing at/],
  ];
  for (const [path, body, status, detail] of refused) {
    const init = { method: "POST", body: JSON.stringify(body) };
    const { response, events } = await tested.request(path, init);
    assert.equal(response.status, status, JSON.stringify(body));
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.match((await response.json()).detail, detail);
    assert.deepEqual(events, []);
  }
  const noJson = await tested.request("/accounts", { method: "POST", body: "{" });
  assert.equal(noJson.response.status, 400);
  const wrongMethod = await tested.request("/transfers", { method: "PUT" });
  assert.equal(wrongMethod.response.status, 405);
  assert.equal(wrongMethod.response.headers.get("allow"), "POST");
});

test("bank has every cent over a socket, and after a restart", async () => {
  await withFolder(async (folder) => {
    const args = ["--addr", "localhost:0", "--events-file", join(folder, "bank.events")];
    const serving = async (body: (url: string) => Promise<void>) => {
      const server = start("examples/bank/main.ts", args);
      try {
        await body(await listening(server));
      } finally {
        signal(server, "SIGTERM");
        await server.ended;
      }
    };
    const post = async (url: string, body: object) => {
      const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
      await response.body?.cancel();
      return response.status;
    };
    await serving(async (url) => {
      assert.equal(await post(`${url}/accounts`, { account: "ann", cents: 100 }), 201);
      assert.equal(await post(`${url}/accounts`, { account: "bob", cents: 0 }), 201);
      const transfer = { from: "ann", to: "bob", cents: 30 };
      const asked = Array.from({ length: 5 }, () => post(`${url}/transfers`, transfer));
      assert.deepEqual((await Promise.all(asked)).sort(), [201, 201, 201, 409, 409]);
    });
    await serving(async (url) => {
      assert.deepEqual(await (await fetch(`${url}/accounts`)).json(), {
        accounts: [{ account: "ann", cents: 10 }, { account: "bob", cents: 90 }],
        total: 100,
      });
    });
  });
});
