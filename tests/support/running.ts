/**
 * An engine for example tests: on a simulated clock, on a memory log with faults, with all that
 * it reports and warns of; and promises that can be looked at without waiting for them.
 */

import type { App } from "../../runtime/app.ts";
import { type Engine, type EngineOptions, openEngine } from "../../runtime/engine.ts";
import type { RequestInfo } from "../../runtime/http/fetch_handler.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { flakyLog, type LogFaults } from "./flaky_log.ts";
import { SimulatedClock } from "./simulated_clock.ts";

export interface Running<Model, Event> {
  readonly engine: Engine<Model, Event>;
  readonly clock: SimulatedClock;
  readonly log: EventLog;
  readonly faults: LogFaults;
  readonly reported: unknown[];
  readonly warnings: string[];
}

export async function run<Model, Event>(
  app: App<Model, Event>,
  options: Partial<EngineOptions> = {},
): Promise<Running<Model, Event>> {
  const clock = new SimulatedClock();
  const { log, faults } = flakyLog(clock, options.log);
  const reported: unknown[] = [];
  const warnings: string[] = [];
  const engine = await openEngine(app, {
    clock,
    report: (error) => void reported.push(error),
    warn: (message) => void warnings.push(message),
    ...options,
    log,
  });
  return { engine, clock, log, faults, reported, warnings };
}

/** A promise that can be looked at. */
export interface Watched<T> {
  value: T | undefined;
  error: unknown;
  isSettled: boolean;
}

export function watch<T>(promise: T | Promise<T>): Watched<T> {
  const watched: Watched<T> = { value: undefined, error: undefined, isSettled: false };
  Promise.resolve(promise).then((value) => watched.value = value, (error) => watched.error = error)
    .finally(() => watched.isSettled = true);
  return watched;
}

/** What an answer says once it is there: its status and its text. */
export interface Answered {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** Asks, and watches for the whole answer. */
export function ask<Model, Event>(
  { engine }: Running<Model, Event>,
  method: string,
  path: string,
  options: { body?: string | ReadableStream<Uint8Array>; signal?: AbortSignal } = {},
): Watched<Answered> {
  const { body, signal } = options;
  // `duplex` is for streams (Fetch standard), and missing in some types.
  const init: RequestInit & { duplex?: "half" } = {
    method,
    ...(body === undefined ? {} : { body, duplex: "half" }),
  };
  const request = new Request(`http://test${path}`, init);
  // Bun makes a GET of a method that it does not know.
  if (request.method !== method) Object.defineProperty(request, "method", { value: method });
  const info: RequestInfo = {
    remoteAddress: "192.0.2.1:1234",
    signal: signal ?? new AbortController().signal,
  };
  const answer = async () => {
    const response = await engine.fetch(request, info);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return watch(answer());
}

/** A model that is a list of words, in both styles, and a request handler. */
export function words(
  style: "pure" | "in place",
  handleRequest: App<string[], string>["handleRequest"],
  more: Partial<App<string[], string>> = {},
): App<string[], string> {
  return {
    initModel: () => [],
    updateModel: (model, events) => {
      if (style === "pure") return [...model, ...events.map(check)];
      for (const event of events) {
        model.push(event);
        check(event);
      }
      return model;
    },
    handleRequest,
    ...more,
  };
}

function check(word: string): string {
  if (word === "poison") throw new Error("poison");
  return word;
}
