/**
 * Exchanges with lifecycle steps, drawn at random: what the steps, the handler, the log and the
 * client do, an application that does it and writes down what happens, and what must happen.
 */

import fc from "fast-check";
import type { App, LifecycleStep } from "../../runtime/app.ts";
import { HttpError } from "../../runtime/errors.ts";
import type { EventLog } from "../../runtime/log/event_log.ts";
import { AlcedoError } from "../../runtime/errors.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";

/** What a step does with a request. */
const REQUESTS = [
  "none",
  "pass",
  "pass later",
  "hand on",
  "take the body",
  "answer",
  "refuse",
  "throw",
] as const;

/** What a step does when the exchange is over. */
const FINISHES = ["none", "return", "return later", "throw"] as const;

/** What a handler does, and with it the client. */
const HANDLERS = [
  "text",
  "nothing",
  "stream",
  "failing stream",
  "stream that is left",
  "refuse",
  "throw",
  "hang",
  "wait until the client has left",
] as const;

export interface StepPlan {
  readonly request: typeof REQUESTS[number];
  readonly finish: typeof FINISHES[number];
}

export interface Plan {
  readonly method: "GET" | "HEAD" | "POST";
  readonly steps: readonly StepPlan[];
  readonly handler: typeof HANDLERS[number];
  /** What becomes of a commit. */
  readonly log: "ok" | "full" | "failed";
}

export const plans: fc.Arbitrary<Plan> = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST"),
  steps: fc.array(
    fc.record({
      // Most steps let a request pass, so that some get through a few of them.
      request: fc.oneof(
        { weight: 2, arbitrary: fc.constantFrom(...REQUESTS.slice(0, 4)) },
        { weight: 1, arbitrary: fc.constantFrom(...REQUESTS) },
      ),
      finish: fc.constantFrom(...FINISHES),
    }),
    { maxLength: 4 },
  ),
  handler: fc.constantFrom(...HANDLERS),
  log: fc.constantFrom("ok", "ok", "full", "failed"),
});

/** What must come of a plan. */
export interface Expectation {
  /** The steps whose `finish` is called, in order. */
  readonly finished: readonly number[];
  /** Whether the handler is called. */
  readonly isHandled: boolean;
  readonly status: number;
  readonly isComplete: boolean;
  /** What the handler reads of the body of a POST. */
  readonly body: string;
  /** Errors that are reported, but for those of the body, which are the server's to report. */
  readonly reports: number;
  readonly events: number;
}

export function expectationOf({ method, steps, handler, log }: Plan): Expectation {
  const stopping = steps.findIndex(({ request }) =>
    ["answer", "refuse", "throw"].includes(request)
  );
  const reached = stopping === -1 ? steps.length : stopping + 1;
  const finished = steps.slice(0, reached)
    .flatMap(({ finish }, index) => finish === "none" ? [] : [index]).reverse();
  const isHandled = stopping === -1;
  const finishReports = finished.filter((index) => steps[index]?.finish === "throw").length;
  const body = steps.some(({ request }) => request === "take the body") ? "" : "body";
  const base = { finished, isHandled, body };
  if (!isHandled) {
    const { request } = steps[stopping] ?? {};
    const status = request === "answer" ? 203 : request === "refuse" ? 403 : 500;
    const reports = finishReports + (request === "throw" ? 1 : 0);
    return { ...base, status, reports, isComplete: true, events: 0 };
  }
  const isLeft = handler === "wait until the client has left" || handler === "stream that is left";
  const failure = { "refuse": 404, "throw": 500, "hang": 504 }[handler as string];
  const writes = method === "POST" && failure === undefined;
  const isLost = writes && log !== "ok";
  return {
    ...base,
    status: failure ?? (isLost ? log === "full" ? 507 : 503 : handler === "nothing" ? 204 : 200),
    isComplete: handler === "wait until the client has left"
      ? false
      : isLost || method === "HEAD" ||
        handler !== "failing stream" && !isLeft,
    reports: finishReports + (handler === "throw" ? 1 : 0) + (isLost ? 1 : 0),
    events: writes && !isLost ? 1 : 0,
  };
}

/** What has happened, in order. */
export interface Trace {
  readonly entries: string[];
  /** What each `finish` got. */
  readonly finishes: {
    readonly index: number;
    readonly isSameRequest: boolean;
    readonly isSameContext: boolean;
    readonly status: number;
    readonly isComplete: boolean;
    readonly hasLocals: boolean;
  }[];
  /** What the handler has read of the body. */
  body: string | undefined;
  isHandled: boolean;
}

const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** The application that does what `plan` says. */
export function appOf(plan: Plan): { app: App<number, number>; trace: Trace } {
  const trace: Trace = { entries: [], finishes: [], body: undefined, isHandled: false };
  const app: App<number, number> = {
    initModel: () => 0,
    updateModel: (count, events) => count + events.length,
    handleRequest: async (request, _count, context) => {
      trace.isHandled = true;
      if (context.saveEvent !== undefined) {
        trace.body = await request.text();
        context.saveEvent(1);
      }
      context.locals["handler"] = true;
      switch (plan.handler) {
        case "refuse":
          throw new HttpError(404);
        case "throw":
          throw new Error("the handler's");
        case "hang":
          return new Promise<Response>(() => {});
        case "wait until the client has left":
          await new Promise<void>((resolve) => {
            if (context.signal.aborted) resolve();
            else context.signal.addEventListener("abort", () => resolve());
          });
          return new Response("too late");
        case "nothing":
          return new Response(null, { status: 204 });
        case "text":
          return new Response("text");
        default:
          return new Response(streamOf(plan.handler, trace));
      }
    },
    lifecycle: plan.steps.map((step, index) => stepOf(step, index, trace)),
  };
  return { app, trace };
}

function streamOf(kind: Plan["handler"], { entries }: Trace): ReadableStream<Uint8Array> {
  let chunks = 0;
  return new ReadableStream({
    async pull(controller) {
      await wait();
      if (chunks++ < 2) return controller.enqueue(new TextEncoder().encode("chunk"));
      if (kind === "stream that is left") return new Promise(() => {});
      entries.push("end of the stream");
      if (kind === "failing stream") throw new Error("the stream's");
      controller.close();
    },
  }, { highWaterMark: 0 });
}

function stepOf(plan: StepPlan, index: number, trace: Trace): LifecycleStep<number, number> {
  let seen: Request | undefined;
  let given: object | undefined;
  const step: LifecycleStep<number, number> = {};
  if (plan.request !== "none") {
    step.request = async (request, context) => {
      trace.entries.push(`request ${index}`);
      seen = request;
      given = context;
      context.locals[index] = true;
      if (plan.request === "pass") return undefined;
      await wait();
      switch (plan.request) {
        case "pass later":
          return undefined;
        case "hand on":
          return new Request(request);
        case "take the body": {
          await request.text();
          const { url, method, headers } = request;
          return new Request(url, { method, headers });
        }
        case "answer":
          return new Response("the step's", { status: 203 });
        case "refuse":
          throw new HttpError(403);
        default:
          throw new Error("the step's");
      }
    };
  }
  if (plan.finish !== "none") {
    step.finish = async (request, response, context) => {
      trace.entries.push(`finish ${index}`);
      trace.finishes.push({
        index,
        isSameRequest: seen === undefined || request === seen,
        isSameContext: given === undefined || context === given,
        status: response.status,
        isComplete: context.isComplete,
        hasLocals: (context.locals["handler"] === true) === trace.isHandled &&
          (given === undefined || context.locals[index] === true),
      });
      if (plan.finish === "throw") throw new Error("the finish's");
      if (plan.finish === "return later") await wait();
    };
  }
  return step;
}

/** A log on which appends end as `plan` says. */
export function logOf({ log: end }: Plan): EventLog {
  const log = memoryLog();
  if (end === "ok") return log;
  const error = end === "full"
    ? new AlcedoError("log_full", "no space left")
    : new AlcedoError("log_failed", "sync failed");
  return Object.assign(log, { append: () => Promise.reject(error) });
}
