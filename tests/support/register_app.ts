/**
 * An application for the linearizability tests: registers with a counter, by key, in the style of
 * model that `REGISTER_STYLE` names. A request says not only what is to be done, but also which
 * way its handler takes: answering at once or later, throwing, or using up its time.
 *
 * With `REGISTER_LOG` its log has faults, or breaks its promises: `faulty_log.ts`.
 */

import process from "node:process";
import {
  type DeepReadonly,
  defineApp,
  HttpError,
  openFileLog,
  serve,
  type WriteContext,
} from "../../mod.ts";
import { faultyLog, isLogMode } from "./faulty_log.ts";

/** What is known of a key. A key that nobody has written to has version 0. */
export interface Register {
  readonly value: string | null;
  readonly count: number;
  readonly version: number;
}

/** What a write asks for: `expected` makes a compare-and-set of it. */
export type Change =
  | { readonly value: string; readonly expected?: string | null }
  | { readonly by: number };

/** The way that a write handler takes, in `?way=`. */
export type Way =
  | "made of the new model"
  | "made before"
  | "slow"
  | "throws"
  | "too slow"
  | "poison";

type RegisterEvent =
  | { readonly key: string; readonly value: string }
  | { readonly key: string; readonly by: number }
  /** `updateModel` throws on it, half-way. */
  | { readonly key: string; readonly poison: true };

type Registers = ReadonlyMap<string, Register>;

const ABSENT: Register = { value: null, count: 0, version: 0 };

const isInPlace = process.env["REGISTER_STYLE"] === "in place";

const app = defineApp({
  initModel: (): Registers => new Map(),
  updateModel: (registers, events: readonly RegisterEvent[]) => {
    const after = isInPlace ? registers as Map<string, Register> : new Map(registers);
    for (const event of events) after.set(event.key, applied(after.get(event.key), event, after));
    return after;
  },
  handleRequest: (request, registers, context) => {
    const { pathname: key } = new URL(request.url);
    if (context.saveEvent !== undefined) return change(request, key, registers, context);
    const register = registers.get(key);
    if (register === undefined) throw new HttpError(404);
    return Response.json(register);
  },
});
export default app;

async function change(
  request: Request,
  key: string,
  registers: DeepReadonly<Registers>,
  { saveEvent, signal }: WriteContext<RegisterEvent>,
): Promise<Response | ((registers: DeepReadonly<Registers>) => Response)> {
  const way = new URL(request.url).searchParams.get("way");
  const change: Change = await request.json();
  const before = registers.get(key) ?? ABSENT;
  // If this handler were not alone, what it has seen would be old now.
  if (way === "slow") await new Promise((resolve) => setTimeout(resolve, 1));
  if ("expected" in change && change.expected !== before.value) {
    if (way === "throws") throw new HttpError(409);
    return Response.json(before, { status: 409 });
  }
  const event = "by" in change ? { key, by: change.by } : { key, value: change.value };
  saveEvent(event);
  if (way === "throws") throw new HttpError(422);
  if (way === "poison") saveEvent({ key, poison: true });
  if (way === "too slow") {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  if (way === "made before") return Response.json(changed(before, event));
  return (registers) => Response.json(registers.get(key));
}

function applied(
  before: Register = ABSENT,
  event: RegisterEvent,
  registers: Map<string, Register>,
): Register {
  if (!("poison" in event)) return changed(before, event);
  registers.set(event.key, { ...before, value: "poison", count: -1 });
  throw new Error(`poison in ${event.key}`);
}

function changed(
  { value, count, version }: Register,
  event: Exclude<RegisterEvent, { poison: true }>,
): Register {
  return "by" in event
    ? { value, count: count + event.by, version: version + 1 }
    : { value: event.value, count, version: version + 1 };
}

if (import.meta.main) {
  const { REGISTER_LOG: mode, REGISTER_EVENTS: path } = process.env;
  await serve(app, {
    module: import.meta.url,
    ...(isLogMode(mode) && path !== undefined
      ? { log: faultyLog(await openFileLog(path), mode) }
      : {}),
  });
}
