/**
 * The application that the engine's properties are about: its model is the list of all events,
 * so that every answer says exactly which commits it shows. What a handler does (save, wait,
 * throw, answer in one of many ways) is in a plan that comes with the request.
 */

import { type App, type DeepReadonly, defineApp } from "../../runtime/app.ts";
import { HttpError } from "../../runtime/errors.ts";
import type { SimulatedClock } from "./simulated_clock.ts";

export interface LedgerEvent {
  readonly id: string;
  /** Makes it larger than a sector, or a page. */
  readonly pad?: string;
  /** `updateModel` throws on it. */
  readonly isPoison?: true;
}

export interface Ledger {
  ids: string[];
}

export type Style = "pure" | "in place";

export type Ending =
  | "answer"
  | "respond" // a function of the model that the write produced
  | "respond throws"
  | "stream"
  | "throw"
  | "conflict" // an HttpError because of what the model shows
  | "nonsense"; // not a Response

/** What a handler does. */
export interface Plan {
  /** Names the request and its events; no two requests of a run have the same. */
  readonly key: string;
  readonly via: "fetch" | "engine";
  readonly writes: boolean;
  readonly body: boolean;
  /** Milliseconds after the start of the run. */
  readonly at: number;
  /** Milliseconds to wait before saving, between events, and after; undefined: not even a turn. */
  readonly waits: readonly (number | undefined)[];
  readonly events: number;
  readonly padBytes: number;
  readonly poison: boolean;
  readonly ending: Ending;
  /** Milliseconds after which the client leaves. */
  readonly leavesAfter: number | undefined;
}

/** What is known of a request while it runs, noted by the handler itself. */
export interface Trace {
  readonly plan: Plan;
  /** When the handler started, in the order of handlers; undefined before. */
  order: number | undefined;
  /** All that it has looked at. */
  seen: string[];
  saved: string[];
  hasAnswered: boolean;
}

export interface LedgerOptions {
  readonly style: Style;
  readonly hasPages: boolean;
  readonly clock: SimulatedClock;
  readonly traces: ReadonlyMap<string, Trace>;
}

/** The application; handlers find their plan by the path of the request. */
export function ledgerApp(options: LedgerOptions): App<Ledger, LedgerEvent> {
  return defineApp<Ledger, LedgerEvent>({
    initModel: () => ({ ids: [] }),
    updateModel: options.style === "pure" ? updatePure : updateInPlace,
    handleRequest(request, model, { saveEvent }) {
      const trace = options.traces.get(new URL(request.url).pathname.slice(1));
      if (trace === undefined) throw new HttpError(404);
      const { clock } = options;
      return drive(responses(work(trace, model, saveEvent), { clock, trace, model }), clock);
    },
    ...(options.hasPages ? { errors: { 409: page, default: page } } : {}),
  });
}

/** The same for `engine.read` and `engine.write`: answers with the list itself. */
export function handleDirectly(
  trace: Trace,
  model: DeepReadonly<Ledger>,
  saveEvent: ((event: LedgerEvent) => void) | undefined,
  clock: SimulatedClock,
): WriteResult | Promise<WriteResult> {
  return drive(work(trace, model, saveEvent), clock);
}

export type WriteResult = string[] | ((model: DeepReadonly<Ledger>) => string[]);

function page(error: HttpError, _request: Request, model: DeepReadonly<Ledger>): Response {
  return Response.json({ message: error.message, saw: model.ids }, { status: error.status });
}

function updatePure(model: Ledger, events: readonly LedgerEvent[]): Ledger {
  const ids = [...model.ids];
  for (const event of events) {
    if (event.isPoison) throw new Error(`poison in ${event.id}`);
    ids.push(event.id);
  }
  return { ids };
}

function updateInPlace(model: Ledger, events: readonly LedgerEvent[]): Ledger {
  for (const event of events) {
    // By half, before it throws.
    model.ids.push(event.id);
    if (event.isPoison) throw new Error(`poison in ${event.id}`);
  }
  return model;
}

let order = 0;

/** What a handler does; it yields where it waits. */
function* work(
  trace: Trace,
  model: DeepReadonly<Ledger>,
  saveEvent: ((event: LedgerEvent) => void) | undefined,
): Generator<number, WriteResult> {
  const { plan } = trace;
  trace.order = order++;
  const look = (at = model) => trace.seen = [...at.ids];
  look();
  const [before, between, after] = plan.waits;
  if (before !== undefined) yield before;
  if (saveEvent !== undefined) {
    for (let i = 0; i < plan.events; i++) {
      if (i > 0 && between !== undefined) yield between;
      const id = `${plan.key}.${i}`;
      saveEvent({
        id,
        pad: "x".repeat(plan.padBytes),
        ...(plan.poison && i === plan.events - 1 ? { isPoison: true } : {}),
      });
      trace.saved.push(id);
    }
  }
  if (after !== undefined) yield after;
  look();
  if (plan.ending === "throw") throw new Error(`thrown by ${plan.key}`);
  if (plan.ending === "conflict") throw new HttpError(409, JSON.stringify(model.ids));
  trace.hasAnswered = true;
  if (!plan.writes) return look();
  if (plan.ending === "respond") return (produced) => look(produced);
  if (plan.ending === "respond throws") {
    return () => {
      throw new Error(`thrown by ${plan.key}`);
    };
  }
  return look();
}

interface Handling {
  readonly clock: SimulatedClock;
  readonly trace: Trace;
  readonly model: DeepReadonly<Ledger>;
}

/** Turns what {@linkcode work} returns into what a handler answers with. */
function* responses(
  work: Generator<number, WriteResult>,
  { clock, trace, model }: Handling,
): Generator<number, Response | ((model: DeepReadonly<Ledger>) => Response)> {
  const result = yield* work;
  const { ending } = trace.plan;
  // A mistake that an application in JavaScript can make.
  if (ending === "nonsense") return "nonsense" as unknown as Response;
  if (typeof result === "function") return (model) => Response.json({ saw: result(model) });
  if (ending !== "stream") return Response.json({ saw: result });
  return new Response(streamOf({ clock, trace, model }));
}

/** A body in three lines, each of which shows the model as it is when the line is made. */
function streamOf({ clock, trace, model }: Handling): ReadableStream<Uint8Array> {
  let lines = 0;
  return new ReadableStream({
    async pull(controller) {
      const wait = trace.plan.waits[lines];
      if (wait !== undefined) await clock.sleep(wait);
      controller.enqueue(new TextEncoder().encode(JSON.stringify({ saw: model.ids }) + "\n"));
      if (++lines === 3) controller.close();
    },
  });
}

/** Runs `work`, at once as far as it does not wait. */
function drive<T>(work: Generator<number, T>, clock: SimulatedClock): T | Promise<T> {
  const step = work.next();
  return step.done ? step.value : driveOn(work, step.value, clock);
}

async function driveOn<T>(
  work: Generator<number, T>,
  ms: number,
  clock: SimulatedClock,
): Promise<T> {
  if (ms > 0) await clock.sleep(ms);
  else await undefined;
  return drive(work, clock);
}
