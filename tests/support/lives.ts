/**
 * Runs an engine through several lives on one storage, with requests and faults as planned, and
 * checks after each answer and each life what DESIGN promises: no answer shows what a crash could
 * undo; what was answered with success is in the log and in the model; what failed is in neither;
 * a replay gives the same model. The plans come from `plans.ts`.
 */

import assert from "node:assert/strict";
import type { App } from "../../runtime/app.ts";
import { type Engine, openEngine } from "../../runtime/engine.ts";
import { HttpError } from "../../runtime/errors.ts";
import { RETRY_AFTER_S } from "../../runtime/limits.ts";
import {
  handleDirectly,
  type Ledger,
  ledgerApp,
  type LedgerEvent,
  type Plan,
  type Style,
  type Trace,
} from "./ledger_app.ts";
import { CrashError } from "./simulated_disk.ts";
import { SimulatedClock } from "./simulated_clock.ts";
import type { Fault, LifeEnd, Mutation, Storage } from "./storages.ts";

/** One process: what is asked of it, what happens to it, how it ends. */
export interface Life {
  readonly plans: readonly Plan[];
  readonly faults: readonly Fault[];
  readonly end: LifeEnd;
  readonly hasPages: boolean;
  readonly queueMax: number;
}

export interface Scenario {
  readonly seed: number;
  readonly lives: readonly Life[];
}

export interface Setting extends Mutation {
  readonly style: Style;
  readonly storage: (clock: SimulatedClock, seed: number, mutation: Mutation) => Storage;
  /** Breaks the application on purpose. */
  readonly app?: (app: App<Ledger, LedgerEvent>) => App<Ledger, LedgerEvent>;
}

/** Milliseconds that a handler may take in these runs. */
export const TIMEOUT_MS = 100;

/** What became of a request, as its client saw it. */
interface Outcome {
  readonly isSuccess: boolean;
  readonly status: number;
  /** What an error says, where it can be told. */
  readonly message: string | undefined;
}

interface Exchange {
  readonly trace: Trace;
  /** Events of writes that were acknowledged before this request came. */
  readonly before: ReadonlySet<string>;
  outcome: Outcome | undefined;
}

/** Runs all lives; returns how many commits were acknowledged, and how many requests failed. */
export async function runLives(
  scenario: Scenario,
  setting: Setting,
): Promise<{ acknowledged: number; failed: number }> {
  const clock = new SimulatedClock();
  const storage = setting.storage(clock, scenario.seed, setting);
  let acknowledged = 0;
  let failed = 0;
  let history: Exchange[] = [];
  let base: string[] = [];
  for (const [index, life] of scenario.lives.entries()) {
    const runner = new Runner(life, index, { clock, storage, setting });
    const found = await runner.open();
    // A crash while opening leaves what the next life finds to the next life.
    if (found !== undefined) {
      checkFound(base, history, found, storage);
      base = found;
      history = await runner.run(found);
    }
    storage.end(life.end);
    acknowledged += history.filter(isAcknowledged).length;
    failed += history.filter(({ outcome }) => outcome?.isSuccess === false).length;
  }
  const last = new Runner(LAST_LIFE, scenario.lives.length, { clock, storage, setting });
  const found = await last.open();
  assert.ok(found !== undefined, "the log opens when nothing fails");
  checkFound(base, history, found, storage);
  await last.run(found);
  return { acknowledged, failed };
}

const LAST_LIFE: Life = {
  plans: [],
  faults: [],
  end: { kind: "close", atStep: Infinity },
  hasPages: false,
  queueMax: 1,
};

interface World {
  readonly clock: SimulatedClock;
  readonly storage: Storage;
  readonly setting: Setting;
}

/** One life. */
class Runner {
  readonly #life: Life;
  readonly #world: World;
  readonly #exchanges: Exchange[];
  readonly #traces: ReadonlyMap<string, Trace>;
  readonly #reported: unknown[] = [];
  readonly #acknowledged = new Set<string>();
  /** The first check that did not hold. */
  #failure: { error: unknown } | undefined;
  #engine: Engine<Ledger, LedgerEvent> | undefined;

  constructor(life: Life, index: number, world: World) {
    this.#life = life;
    this.#world = world;
    this.#exchanges = life.plans.map((plan) =>
      exchangeOf({ ...plan, key: `${index}-${plan.key}` })
    );
    this.#traces = new Map(this.#exchanges.map(({ trace }) => [trace.plan.key, trace]));
  }

  /** Opens the engine on what there is; returns what its model shows, or nothing after a crash. */
  async open(): Promise<string[] | undefined> {
    const { clock, storage, setting } = this.#world;
    storage.begin(this.#life.end);
    try {
      const log = await storage.open();
      const { hasPages, queueMax } = this.#life;
      const app = ledgerApp({ style: setting.style, hasPages, clock, traces: this.#traces });
      const engine = await openEngine(setting.app?.(app) ?? app, {
        log,
        clock,
        report: (error) => void this.#reported.push(error),
        warn: () => {},
        requestTimeoutMs: TIMEOUT_MS,
        writeQueueMax: queueMax,
      });
      this.#engine = engine;
      const reading = engine.read((model) => [...model.ids]);
      const found = await reading;
      await this.#checkDurable("what is found at the start", found);
      return found;
    } catch (error) {
      if (error instanceof CrashError && storage.hasCrashed) return undefined;
      throw error;
    }
  }

  /** Lives this life; returns its exchanges. */
  async run(base: readonly string[]): Promise<Exchange[]> {
    const { clock, storage } = this.#world;
    const engine = this.#engine;
    assert.ok(engine !== undefined);
    for (const fault of this.#life.faults) clock.after(fault.at, () => storage.set(fault));
    for (const exchange of this.#exchanges) {
      clock.after(exchange.trace.plan.at, () => this.#ask(engine, exchange));
    }
    const isOver = () =>
      storage.hasCrashed || this.#failure !== undefined ||
      this.#exchanges.every(({ outcome }) => outcome !== undefined);
    const ended = await clock.runUntil(isOver);
    this.#throwFailure();
    if (!storage.hasCrashed) {
      assert.ok(
        ended,
        `no answer for ${this.#exchanges.find((it) => !it.outcome)?.trace.plan.key}`,
      );
      await this.#checkEnd(engine, base);
    }
    this.#throwFailure();
    return this.#exchanges;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #ask(engine: Engine<Ledger, LedgerEvent>, exchange: Exchange): void {
    if (this.#world.storage.hasCrashed) return;
    const before = new Set(this.#acknowledged);
    Object.assign(exchange, { before });
    const asked = exchange.trace.plan.via === "fetch"
      ? this.#fetch(engine, exchange)
      : this.#call(engine, exchange);
    asked.catch((error) => this.#failure ??= { error });
  }

  async #fetch(engine: Engine<Ledger, LedgerEvent>, exchange: Exchange): Promise<void> {
    const { plan } = exchange.trace;
    const client = new AbortController();
    if (plan.leavesAfter !== undefined) {
      this.#world.clock.after(plan.leavesAfter, () => client.abort());
    }
    const request = new Request(`http://ledger/${plan.key}`, {
      method: plan.writes ? "POST" : "GET",
      ...(plan.body && plan.writes ? { body: "a body" } : {}),
    });
    const response = await engine.fetch(request, {
      remoteAddress: undefined,
      signal: client.signal,
    });
    // The head leaves: from now on its client knows.
    await this.#leaves(exchange, response.status, undefined);
    const text = await this.#receive(exchange, response);
    this.#end(exchange, response.status, text);
  }

  /** Receives the body; each line of it says what it shows. */
  async #receive(exchange: Exchange, response: Response): Promise<string | undefined> {
    const decoder = new TextDecoder();
    const reader = response.body?.getReader();
    let text = "";
    try {
      for (;;) {
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) return text;
        const line = decoder.decode(chunk.value);
        text += line;
        if (line.startsWith("{")) {
          await this.#leaves(exchange, response.status, JSON.parse(line).saw);
        }
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return undefined; // Cut off.
    }
  }

  async #call(engine: Engine<Ledger, LedgerEvent>, exchange: Exchange): Promise<void> {
    const { clock } = this.#world;
    const { trace } = exchange;
    try {
      const saw = trace.plan.writes
        ? (await engine.write((model, { saveEvent }) =>
          handleDirectly(trace, model, saveEvent, clock)
        )).result
        : await engine.read((model) => handleDirectly(trace, model, undefined, clock));
      assert.ok(Array.isArray(saw));
      await this.#leaves(exchange, 200, saw);
      this.#end(exchange, 200, undefined);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      const status = error instanceof HttpError ? error.status : 500;
      await this.#leaves(exchange, status, undefined);
      this.#end(exchange, status, error instanceof Error ? error.message : undefined);
    }
  }

  /** Something leaves for the client: nothing of what it shows may be undone any more. */
  async #leaves(exchange: Exchange, status: number, saw: string[] | undefined): Promise<void> {
    if (this.#world.storage.hasCrashed) return;
    const { plan, seen } = exchange.trace;
    const isFromHandler = status !== 503 && status !== 507 && status !== 413;
    // An answer without a word tells what its handler saw, too.
    if (isFromHandler) await this.#checkDurable(`${plan.key} (${status})`, seen);
    if (saw === undefined) return;
    await this.#checkDurable(`${plan.key} (${status}), which shows more`, saw);
    for (const id of exchange.before) {
      assert.ok(saw.includes(id), `${plan.key} does not show ${id}, acknowledged before`);
    }
  }

  async #checkDurable(what: string, saw: readonly string[]): Promise<void> {
    for (const survivors of await this.#world.storage.survivors()) {
      assert.deepEqual(
        survivors.slice(0, saw.length),
        saw,
        `${what} shows what a crash could undo`,
      );
    }
  }

  #end(exchange: Exchange, status: number, text: string | undefined): void {
    if (this.#world.storage.hasCrashed) return;
    const isSuccess = status < 400;
    exchange.outcome = { isSuccess, status, message: text };
    if (isSuccess && exchange.trace.plan.writes) {
      for (const id of exchange.trace.saved) this.#acknowledged.add(id);
    }
  }

  /** When nothing has crashed, everything is accounted for. */
  async #checkEnd(engine: Engine<Ledger, LedgerEvent>, base: readonly string[]): Promise<void> {
    const { clock, storage } = this.#world;
    const health = engine.health();
    assert.notEqual(health.state, "unavailable");
    assert.equal(health.writesWaiting, 0);
    assert.equal(health.applied, health.durable);
    let model: string[] | undefined;
    engine.read((model) => [...model.ids]).then((ids) => model = ids);
    await clock.runUntil(() => model !== undefined || storage.hasCrashed);
    if (storage.hasCrashed) return;
    const expected = [
      ...base,
      ...inOrder(this.#exchanges.filter(isAcknowledged)).flatMap(({ trace }) => trace.saved),
    ];
    assert.deepEqual(model, expected, "the model shows what was acknowledged, in order");
    this.#checkReports();
    await this.#checkMended(engine);
    let isClosed = false;
    engine.close().then(() => isClosed = true);
    await clock.runUntil(() => isClosed || storage.hasCrashed);
  }

  /** When nothing fails any more, writes go on by themselves, unless the log has failed. */
  async #checkMended(engine: Engine<Ledger, LedgerEvent>): Promise<void> {
    const { clock, storage } = this.#world;
    await clock.advance(TIMEOUT_MS); // The last of the faults has come then.
    storage.set({ at: 0, kind: "mended", amount: 0 });
    await clock.advance(1000 * RETRY_AFTER_S);
    const { state } = engine.health();
    const exchange = exchangeOf({ ...LAST_WRITE, key: `last-${clock.now()}` });
    this.#exchanges.push(exchange);
    this.#ask(engine, exchange);
    await clock.runUntil(() =>
      exchange.outcome !== undefined || this.#failure !== undefined || storage.hasCrashed
    );
    if (storage.hasCrashed) return;
    this.#throwFailure();
    assert.equal(
      exchange.outcome?.status,
      state.startsWith("read-only") ? 503 : 200,
      "the last write",
    );
  }

  /** What a handler threw is reported once, if it is the server's fault. */
  #checkReports(): void {
    for (const { trace, outcome } of this.#exchanges) {
      const { key, via } = trace.plan;
      const times = this.#reported.filter((error) =>
        error instanceof Error &&
        (error.message === `thrown by ${key}` || error.message.startsWith(`poison in ${key}.`))
      ).length;
      assert.ok(times <= 1, `what ${key} threw was reported ${times} times`);
      if (outcome?.status === 500 && via === "fetch" && trace.plan.ending !== "nonsense") {
        assert.equal(times, 1, `what ${key} threw was reported`);
      }
    }
  }
}

const LAST_WRITE: Plan = {
  key: "",
  via: "engine",
  writes: true,
  body: false,
  at: 0,
  waits: [],
  events: 1,
  padBytes: 0,
  poison: false,
  ending: "answer",
  leavesAfter: undefined,
};

function exchangeOf(plan: Plan): Exchange {
  const trace = { plan, order: undefined, seen: [], saved: [], hasAnswered: false };
  return { trace, before: new Set(), outcome: undefined };
}

function isAcknowledged({ trace, outcome }: Exchange): boolean {
  return trace.plan.writes && trace.saved.length > 0 && outcome?.isSuccess === true;
}

/** Whether events of the exchange may be in the log though it was not acknowledged. */
function isUnknown({ trace, outcome }: Exchange): boolean {
  if (!trace.hasAnswered) return false;
  return outcome === undefined || outcome.status === 503;
}

function inOrder(exchanges: readonly Exchange[]): Exchange[] {
  return [...exchanges].sort((a, b) => (a.trace.order ?? 0) - (b.trace.order ?? 0));
}

/**
 * Checks what a life found: all of what the one before had found, then its acknowledged commits,
 * whole and in order, then perhaps some that nobody was told about, of which the last may be there
 * in part if the storage knows no commits.
 */
function checkFound(
  base: string[],
  history: readonly Exchange[],
  found: string[],
  { keepsCommitsWhole }: Storage,
): void {
  assert.deepEqual(found.slice(0, base.length), base, "what was durable once still is");
  let at = base.length;
  for (const exchange of inOrder(history)) {
    const { plan, saved } = exchange.trace;
    if (saved.length === 0) continue;
    const there = found.slice(at, at + saved.length);
    if (isAcknowledged(exchange)) {
      assert.deepEqual(there, saved, `${plan.key} was acknowledged and is in the log`);
      at += saved.length;
    } else if (isUnknown(exchange)) {
      const different = there.findIndex((id, i) => id !== saved[i]);
      const length = different === -1 ? there.length : different;
      const isWhole = length === 0 || length === saved.length;
      assert.ok(isWhole || !keepsCommitsWhole, `${plan.key} is there in part`);
      at += length;
    }
  }
  assert.deepEqual(found.slice(at), [], "nothing else is in the log");
}
