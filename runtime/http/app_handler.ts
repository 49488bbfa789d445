/**
 * Requests in, answers out: an application on its store, as a handler for servers.
 *
 * It holds every answer until what it shows is on disk. When that is, the store knows; here
 * it is decided what each kind of answer shows: a read's, a write's, an error's, and each
 * chunk of a body.
 */

import type { App, DeepReadonly, SaveEvent } from "../app.ts";
import type { Clock } from "../clock.ts";
import { Reading, Writing } from "../context.ts";
import { Deadlines } from "../deadlines.ts";
import { HttpError, isFault, refusal, unavailable } from "../errors.ts";
import type { Gate } from "../group_commit.ts";
import { isPromise, type Version } from "../models.ts";
import type { Store } from "../store.ts";
import type { WriteJob } from "../writer.ts";
import { bufferRequest } from "./buffered_request.ts";
import { checkResponse, dropResponse, isResponse } from "./check_response.ts";
import { defaultErrorPage, finishErrorPage } from "./error_pages.ts";
import type { BodyRead, RequestInfo } from "./fetch_handler.ts";
import { withGatedBody } from "./gated_body.ts";
import { isOtherMethod, isWriteMethod, type WriteMethod } from "./methods.ts";

/** What an {@linkcode AppHandler} is made of. */
export interface AppHandlerParts<Model, Event> {
  readonly app: App<Model, Event>;
  readonly store: Store<Model, Event>;
  readonly clock: Clock;
  /** Bytes that a write's body may have. */
  readonly bodyBytesMax: number;
  /** Milliseconds that a read handler may take. */
  readonly timeoutMs: number;
  /** Called once with each fault. */
  readonly report: (error: unknown) => void;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** Answers requests. */
export class AppHandler<Model, Event> {
  readonly #parts: AppHandlerParts<Model, Event>;
  readonly #app: App<Model, Event>;
  readonly #store: Store<Model, Event>;
  readonly #deadlines: Deadlines;
  readonly #writeHost: WriteHost<Model, Event>;
  /** Reads whose handlers have not answered. */
  #readsInHand = 0;
  #onSettled: () => void = () => {};
  #isClosed = false;

  constructor(parts: AppHandlerParts<Model, Event>) {
    const { app, store, clock, timeoutMs, waitUntil } = parts;
    this.#parts = parts;
    this.#app = app;
    this.#store = store;
    this.#deadlines = new Deadlines(clock, timeoutMs);
    this.#writeHost = {
      app,
      store,
      waitUntil,
      gated: (response, info, version) => this.#gated(response, info, version),
      errorAnswer: (error, request, info, seen) =>
        this.#errorAnswer(error, request, info, store.durableAt(seen)),
    };
  }

  /** Refuses all requests from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no read handler runs any more; after {@linkcode close}. */
  settled(): Promise<void> {
    if (this.#readsInHand === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onSettled = resolve);
  }

  /** Stops the timers. Nothing may be in flight. */
  stopTimers(): void {
    this.#deadlines.close();
  }

  /** Answers a request; never rejects. */
  fetch(request: Request, info: RequestInfo): Response | Promise<Response> {
    const method = request.method;
    if (isWriteMethod(method)) return this.#fetchWrite(request, info, method);
    if (!isOtherMethod(method)) {
      return this.#errorAnswer(refusal(501, `unknown method ${method}`), request, info);
    }
    const version = this.#store.current;
    if (version.lost !== undefined || this.#isClosed) {
      return this.#fetchHeld(request, info);
    }
    let answer: unknown;
    try {
      answer = this.#app.handleRequest(
        request,
        version.model as DeepReadonly<Model>,
        new Reading(method, request, info, this.#parts.waitUntil),
      );
    } catch (error) {
      return this.#errorAnswer(error, request, info, this.#store.durable(version));
    }
    if (isResponse(answer)) return this.#leave(answer, request, info, version);
    return this.#fetchSlow(answer, request, info, version);
  }

  /**
   * The answer for what a lifecycle step has thrown, for a request that came too late, or that a
   * server refuses.
   */
  answerError(error: unknown, request: Request, info: RequestInfo): Promise<Response> {
    return this.#errorAnswer(error, request, info);
  }

  /** A read whose handler has not answered at once. */
  async #fetchSlow(
    answer: unknown,
    request: Request,
    info: RequestInfo,
    version: Version<Model>,
  ): Promise<Response> {
    this.#readsInHand++;
    try {
      if (isPromise(answer)) answer = await this.#withDeadline(answer);
      checkResponse(answer, "a read handler must answer with a Response");
    } catch (error) {
      return this.#errorAnswer(error, request, info, this.#store.durable(version));
    } finally {
      if (--this.#readsInHand === 0) this.#onSettled();
    }
    return this.#leave(answer, request, info, version);
  }

  #withDeadline<T>(promise: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const waiting = {
        expiresAt: Infinity,
        expire(): void {
          isOver = true;
          reject(refusal(504, "the handler took too long"));
        },
      };
      this.#deadlines.start(waiting);
      promise.then(
        (value) => {
          this.#deadlines.stop(waiting);
          if (isOver) dropResponse(value);
          resolve(value);
        },
        (error) => {
          this.#deadlines.stop(waiting);
          if (isOver && isFault(error)) this.#parts.report(error);
          reject(error);
        },
      );
    });
  }

  /** A read that came while there was no model to show. */
  async #fetchHeld(request: Request, info: RequestInfo): Promise<Response> {
    try {
      if (this.#isClosed) throw closing();
      await this.#store.readable();
    } catch (error) {
      return this.#errorAnswer(error, request, info);
    }
    return this.fetch(request, info);
  }

  #fetchWrite(
    request: Request,
    info: RequestInfo,
    method: WriteMethod,
  ): Response | Promise<Response> {
    if (this.#isClosed) {
      return this.#errorAnswer(closing(), request, info);
    }
    // Before the body is read, as well as after it: it would be read for nothing.
    if (this.#store.isFull) {
      return this.#errorAnswer(unavailable("too many writes wait"), request, info);
    }
    const write = new FetchWrite(this.#writeHost, request, info, method);
    const submit = (request: Request) => {
      if (write.isOver) return; // It came too late.
      write.over();
      write.request = request;
      if (this.#isClosed) write.failed(closing(), 0);
      else this.#store.submit(write);
    };
    try {
      const buffered = bufferRequest(request, info, this.#parts.bodyBytesMax);
      if (isPromise(buffered)) {
        buffered.then(submit, (error) => write.unreadable(error));
        info.timeRead?.(write);
      } else submit(buffered);
    } catch (error) {
      write.failed(error, 0);
    }
    return write.response;
  }

  /** Lets `response` leave when all that can be seen in `version` is durable. */
  #leave(
    response: Response,
    request: Request,
    info: RequestInfo,
    version: Version<Model>,
  ): Response | Promise<Response> {
    const gated = this.#gated(response, info, version);
    if (this.#store.isDurable(version)) return gated;
    return this.#store.durable(version).then(() => gated, (lost) => {
      dropResponse(gated, lost);
      return this.#errorAnswer(lost, request, info);
    });
  }

  /**
   * Gates the chunks of a body that may yet be made from a model that moves; called as soon
   * as there is an answer, so that what is complete is not held to what comes later.
   */
  #gated(response: Response, info: RequestInfo, version: Version<Model>): Response {
    if (!this.#store.mayMove || info.hasStaticBody?.(response) === true) return response;
    return withGatedBody(response, () => this.#store.durable(version));
  }

  /**
   * The answer for an error, from the application's page for its status, or the default one.
   * What it was thrown for may be undone yet, so it waits until `seen` is durable; then the
   * page is made from the durable model.
   */
  async #errorAnswer(
    error: unknown,
    request: Request,
    info: RequestInfo,
    seen?: Promise<void>,
  ): Promise<Response> {
    if (isFault(error)) this.#parts.report(error);
    let answer = error instanceof HttpError ? error : new HttpError(500, "", { cause: error });
    await seen?.catch((lost: HttpError) => {
      answer = lost;
    });
    const page = this.#app.errors?.[answer.status] ?? this.#app.errors?.default;
    if (page === undefined) return defaultErrorPage(answer.status, answer.headers);
    let response: unknown;
    try {
      const version = await this.#store.readable();
      response = page(answer, request, version.model as DeepReadonly<Model>);
      if (isPromise(response)) response = await this.#withDeadline(response);
      checkResponse(response, `errors[${answer.status}] must answer with a Response`);
      const gated = response = this.#gated(response, info, version);
      await this.#store.durable(version);
      return finishErrorPage(gated, answer);
    } catch (error) {
      dropResponse(response, error);
      if (isFault(error)) this.#parts.report(error);
      return defaultErrorPage(answer.status, answer.headers);
    }
  }
}

/** What a {@linkcode FetchWrite} needs of its engine. */
interface WriteHost<Model, Event> {
  readonly app: App<Model, Event>;
  readonly store: Store<Model, Event>;
  readonly waitUntil: (promise: Promise<unknown>) => void;
  /** Gates a body, as soon as there is an answer. */
  gated(response: Response, info: RequestInfo, version: Version<Model>): Response;
  /** The answer for an error, once what the handler saw is durable. */
  errorAnswer(
    error: unknown,
    request: Request,
    info: RequestInfo,
    seen: number,
  ): Promise<Response>;
}

/** A write that came as a request: the job for the writer, and the gate of its answer. */
class FetchWrite<Model, Event> implements WriteJob<Model, Event>, Gate, BodyRead {
  readonly response: Promise<Response>;
  isOver = false;
  onOver: (() => void) | undefined = undefined;
  /** The request as the handler gets it. */
  request: Request;
  awaits = 0;
  readonly #host: WriteHost<Model, Event>;
  readonly #info: RequestInfo;
  readonly #method: WriteMethod;
  #resolve: (response: Response | Promise<Response>) => void;
  #context: Writing<Event> | undefined;
  #answer: Response | undefined;

  constructor(
    host: WriteHost<Model, Event>,
    request: Request,
    info: RequestInfo,
    method: WriteMethod,
  ) {
    this.#host = host;
    this.request = request;
    this.#info = info;
    this.#method = method;
    this.#resolve = () => {}; // The promise calls back before its constructor returns.
    this.response = new Promise((resolve) => this.#resolve = resolve);
  }

  get signal(): AbortSignal {
    return this.#info.signal;
  }

  get bytes(): number | undefined {
    const length = this.request.headers.get("content-length");
    return length === null ? undefined : Number(length);
  }

  /** The body has arrived, or will not. */
  over(): void {
    this.isOver = true;
    this.onOver?.();
  }

  late(error: HttpError): void {
    this.unreadable(error);
  }

  unreadable(error: unknown): void {
    if (this.isOver) return;
    this.over();
    this.failed(error, 0);
  }

  handle(model: DeepReadonly<Model>, saveEvent: SaveEvent<Event>): unknown {
    const { app, waitUntil } = this.#host;
    this.#context = new Writing(this.#method, this.request, this.#info, saveEvent, waitUntil);
    return app.handleRequest(this.request, model, this.#context);
  }

  check(answer: unknown): void {
    checkResponse(answer, "a write handler must answer with a Response, or a function");
  }

  interrupt(reason: HttpError): void {
    this.#context?.interrupt(reason);
  }

  answered(answer: unknown, version: Version<Model>, sequence: number): void {
    // `check` has seen to it that it is a response.
    this.#answer = this.#host.gated(answer as Response, this.#info, version);
    this.#host.store.whenDurable(sequence, this);
  }

  failed(error: unknown, sequence: number): void {
    this.#resolve(this.#host.errorAnswer(error, this.request, this.#info, sequence));
  }

  dropped(answer: unknown): void {
    dropResponse(answer);
  }

  open(lost: HttpError | undefined): void {
    if (lost === undefined && this.#answer !== undefined) this.#resolve(this.#answer);
    else {
      dropResponse(this.#answer, lost);
      this.failed(lost, 0);
    }
  }
}

/** The answer to what comes when the engine is closed. */
export function closing(): HttpError {
  return refusal(503, "the engine is closed");
}
