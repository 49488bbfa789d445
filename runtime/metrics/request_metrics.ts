/**
 * Requests, counted by method and status, and how long their answers took. It runs with every
 * request, so it only adds to numbers that are there; what is to be seen of them is made when it is
 * asked for.
 *
 * A path is never part of it: clients choose paths, and each would be a series of its own.
 */

import type { Clock } from "../clock.ts";
import { type HttpError, statusOf } from "../errors.ts";
import { answerRefusal, type FetchHandler, type RequestInfo } from "../http/fetch_handler.ts";
import { Histogram, LATENCY_BOUNDS_S } from "./histogram.ts";

/** The methods that are told apart. A client can make up any other, so those are one. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "other"];
const OTHER = METHODS.length - 1;

/** Statuses that a response can have. */
const STATUS_MIN = 100;
const STATUS_MAX = 599;
const STATUSES = STATUS_MAX - STATUS_MIN + 1;

/** How many requests of a method were answered with a status. */
export interface RequestCount {
  readonly method: string;
  readonly status: number;
  readonly count: number;
}

/** How long the answers to requests of a method took. */
export interface MethodDurations {
  readonly method: string;
  readonly seconds: Histogram;
}

/** Counts requests. */
export class RequestMetrics {
  /** One row of statuses for each method. */
  readonly #counts: Float64Array = new Float64Array(METHODS.length * STATUSES);
  readonly #durations: readonly MethodDurations[] = METHODS.map((method) => (
    { method, seconds: new Histogram(LATENCY_BOUNDS_S) }
  ));
  #inFlight = 0;

  /** Requests whose handlers have not answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** What was counted, without what never happened. */
  counts(): RequestCount[] {
    return [...this.#counts].flatMap((count, i) => {
      if (count === 0) return [];
      const method = METHODS[Math.floor(i / STATUSES)] ?? "";
      return [{ method, status: STATUS_MIN + i % STATUSES, count }];
    });
  }

  /** How long answers took, by method, without methods that nobody used. */
  durations(): MethodDurations[] {
    return this.#durations.filter(({ seconds }) => seconds.count > 0);
  }

  /** `fetch`, with its answers counted. */
  counted(fetch: FetchHandler, clock: Clock): FetchHandler {
    return Object.assign(
      (request: Request, info: RequestInfo) =>
        this.#count(request, clock, () => fetch(request, info)),
      {
        refuse: (error: HttpError, request: Request, info: RequestInfo) =>
          this.#count(request, clock, () => answerRefusal(fetch, error, request, info)),
      },
    );
  }

  #count(
    request: Request,
    clock: Clock,
    ask: () => Response | Promise<Response>,
  ): Response | Promise<Response> {
    const start = clock.now();
    const method = methodIndex(request.method);
    let answer: Response | Promise<Response>;
    try {
      answer = ask();
    } catch (error) {
      this.#record(method, statusOf(error), clock.now() - start);
      throw error;
    }
    if (!(answer instanceof Promise)) {
      this.#record(method, answer?.status, clock.now() - start);
      return answer;
    }
    this.#inFlight++;
    return answer.then((response) => {
      this.#inFlight--;
      this.#record(method, response?.status, clock.now() - start);
      return response;
    }, (error) => {
      this.#inFlight--;
      this.#record(method, statusOf(error), clock.now() - start);
      throw error;
    });
  }

  /** A handler can answer with anything; what is no response the server answers with 500. */
  #record(method: number, status: number | undefined = 500, ms: number): void {
    const isStatus = status >= STATUS_MIN && status <= STATUS_MAX;
    const i = method * STATUSES + (isStatus ? status : 500) - STATUS_MIN;
    this.#counts[i] = (this.#counts[i] ?? 0) + 1;
    this.#durations[method]?.seconds.observe(ms / 1000);
  }
}

function methodIndex(method: string): number {
  const i = method === "GET" ? 0 : METHODS.indexOf(method);
  return i < 0 ? OTHER : i;
}
