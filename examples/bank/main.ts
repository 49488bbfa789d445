/**
 * A bank: accounts, and transfers between them that never lose a cent. What must not be is refused
 * by the handler, before it is an event; what is an event has happened.
 *
 * Run it with `node`, `bun run` or `deno run -A`; README.md shows what to ask it.
 */

import { defineApp, HttpError, serve } from "alcedo";

/** Money is counted in whole cents: in floating point, 0.1 + 0.2 is not 0.3. */
export type BankEvent =
  | { kind: "opened"; account: string; cents: number }
  | { kind: "moved"; id: string; at: string; from: string; to: string; cents: number };

/** What the events have made. */
export interface Bank {
  readonly balances: ReadonlyMap<string, number>;
  /** What was paid in, and so the sum of all balances: no more than a number can hold exactly. */
  readonly total: number;
}

function updateModel(bank: Bank, events: readonly BankEvent[]): Bank {
  const balances = new Map(bank.balances);
  const add = (account: string, cents: number) =>
    balances.set(account, (balances.get(account) ?? 0) + cents);
  let { total } = bank;
  for (const event of events) {
    switch (event.kind) {
      case "opened":
        add(event.account, event.cents);
        total += event.cents;
        break;
      case "moved":
        add(event.from, -event.cents);
        add(event.to, event.cents);
        break;
    }
  }
  return { balances, total };
}

/** What can be asked of each path. */
const ALLOWED: Record<string, string> = { "/accounts": "GET, POST", "/transfers": "POST" };

const app = defineApp<Bank, BankEvent>({
  initModel: () => ({ balances: new Map(), total: 0 }),
  updateModel,
  async handleRequest(request, bank, { method, saveEvent }) {
    const { pathname } = new URL(request.url);
    if (method === "GET" && pathname === "/accounts") {
      const accounts = [...bank.balances.keys()].map((account) => stateOf(account, bank));
      return Response.json({ accounts, total: bank.total });
    }
    if (method === "POST" && pathname === "/accounts") {
      const opening = openingOf(await bodyOf(request), bank);
      saveEvent({ kind: "opened", ...opening });
      return (bank) => Response.json(stateOf(opening.account, bank), { status: 201 });
    }
    if (method === "POST" && pathname === "/transfers") {
      const { from, to, cents } = transferOf(await bodyOf(request), bank);
      const id = crypto.randomUUID();
      saveEvent({ kind: "moved", id, at: new Date().toISOString(), from, to, cents });
      // From the model that the write has made: no sum is done twice.
      return (bank) => {
        const receipt = { id, from: stateOf(from, bank), to: stateOf(to, bank) };
        return Response.json(receipt, { status: 201 });
      };
    }
    const allow = ALLOWED[pathname];
    if (allow === undefined) throw new HttpError(404, `there is nothing at ${pathname}`);
    throw new HttpError(405, `only ${allow}`, { headers: { allow } });
  },
  errors: {
    default: ({ status, message: detail }) =>
      Response.json({ status, detail }, {
        headers: { "content-type": "application/problem+json" },
      }),
  },
  modelVersion: "1",
});
export default app;

function stateOf(account: string, { balances }: Bank): { account: string; cents: number } {
  return { account, cents: balances.get(account) ?? 0 };
}

/** The members of a JSON body; what they are is not known yet. */
async function bodyOf(request: Request): Promise<Record<string, unknown>> {
  const body: unknown = await request.json().catch((cause) => {
    throw new HttpError(400, "the body is not JSON", { cause });
  });
  return { ...Object(body) };
}

/** @throws {HttpError} if this account cannot be opened. */
function openingOf(body: Record<string, unknown>, bank: Bank): { account: string; cents: number } {
  const { account, cents } = body;
  if (typeof account !== "string" || !/^[\w-]{1,40}$/.test(account)) {
    throw new HttpError(422, "an account has a name of 1 to 40 letters, digits, _ and -");
  }
  if (!isCents(cents)) throw new HttpError(422, "cents must be a whole number, not negative");
  if (bank.balances.has(account)) throw new HttpError(409, `there is an account "${account}"`);
  if (!isCents(bank.total + cents)) throw new HttpError(409, "the bank cannot hold that much");
  return { account, cents };
}

/** @throws {HttpError} if this transfer cannot be made. */
function transferOf(
  body: Record<string, unknown>,
  bank: Bank,
): { from: string; to: string; cents: number } {
  const { from, to, cents } = body;
  if (!isCents(cents) || cents === 0) {
    throw new HttpError(422, "cents must be a whole number above zero");
  }
  if (from === to) throw new HttpError(422, "a transfer is between two accounts");
  const [source, target] = [accountOf(from, bank), accountOf(to, bank)];
  if (source.cents < cents) {
    throw new HttpError(409, `"${source.account}" has ${source.cents} cents, not ${cents}`);
  }
  return { from: source.account, to: target.account, cents };
}

/** @throws {HttpError} 422 if there is no such account. */
function accountOf(name: unknown, bank: Bank): { account: string; cents: number } {
  if (typeof name === "string" && bank.balances.has(name)) return stateOf(name, bank);
  throw new HttpError(422, `there is no account ${JSON.stringify(name)}`);
}

/** Whether `value` is an amount that a number holds exactly. */
function isCents(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

if (import.meta.main) await serve(app, { module: import.meta.url });
