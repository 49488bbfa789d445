/**
 * The errors that a caller can act on, and nothing else.
 *
 * {@linkcode HttpError} is an answer with a status; {@linkcode AlcedoError} is a condition
 * with a literal `code`. Branch on `status` and `code`, not on the class: classes do not
 * survive the edge of a thread. How an error becomes a page is in `http/error_pages.ts`.
 */

import { RETRY_AFTER_S } from "./limits.ts";

/** Options of {@linkcode HttpError}. */
export interface HttpErrorOptions extends ErrorOptions {
  /** Header fields for the answer, such as `allow` for a 405 or `retry-after` for a 503. */
  headers?: Record<string, string>;
}

/**
 * An answer that is an error. Thrown from anywhere in a handler it ends in the
 * application's handler for that status, else in a plain default page that shows the
 * status and nothing of the message.
 *
 * A status below 500 is an answer like any other and is not reported; 500 and above is
 * reported once, with its stack and its cause, on the server's side.
 *
 * @example
 * ```ts
 * function titleOf(books: ReadonlyMap<string, string>, id: string): string {
 *   const title = books.get(id);
 *   if (title === undefined) throw new HttpError(404, `no book "${id}"`);
 *   return title;
 * }
 * ```
 */
export class HttpError extends Error {
  /** What it is, in messages. */
  override readonly name = "HttpError";
  /** The HTTP status, 400 to 599 (RFC 9110, section 15). */
  readonly status: number;
  /** Header fields that the answer carries. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * Creates an answer with `status`; `message` is for the operator, and never shown.
   *
   * @throws {RangeError} if `status` is not a whole number from 400 to 599.
   */
  constructor(status: number, message = "", options: HttpErrorOptions = {}) {
    super(message, options);
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new RangeError(`Cannot create HttpError: status ${status} is not from 400 to 599`);
    }
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

/** The runtime's own answers: nothing in the application is at fault. */
const refusals = new WeakSet<HttpError>();

/** An error that the runtime itself answers with: an answer, not a fault to be reported. */
export function refusal(status: number, message: string, options?: HttpErrorOptions): HttpError {
  const error = new HttpError(status, message, options);
  refusals.add(error);
  return error;
}

/** What an answer says that is worth a second try. */
export const RETRY_AFTER: Readonly<Record<string, string>> = Object.freeze({
  "retry-after": String(RETRY_AFTER_S),
});

/** A 503 that is worth a second try. */
export function unavailable(message: string, cause?: unknown): HttpError {
  return refusal(503, message, { cause, headers: RETRY_AFTER });
}

/** Whether an error that ends a handler says that something is wrong on the server's side. */
export function isFault(error: unknown): boolean {
  return !(error instanceof HttpError) || error.status >= 500 && !refusals.has(error);
}

/** The status of the page that a server makes of what a handler threw. */
export function statusOf(error: unknown): number {
  return error instanceof HttpError ? error.status : 500;
}

/** Every `code` of an {@linkcode AlcedoError}, with its meaning. */
export type ErrorCode =
  /** The file is not a log of a format that is known, or is damaged. Nothing was changed. */
  | "log_unreadable"
  /** Another process writes this log. */
  | "log_locked"
  /** The disk (or a quota) is full; what was to be appended is not in the log. */
  | "log_full"
  /** The log cannot be written any more; whether the last append survives is unknown. */
  | "log_failed"
  /** What was asked for cannot be done with this log as it is. Nothing was changed. */
  | "log_refused"
  /** An event in the log could not be decoded or applied. */
  | "bad_event"
  /** `saveEvent` was called when its write was over: answered, failed or timed out. */
  | "write_ended"
  /** What should be a position is none. */
  | "bad_position"
  /** The position is one of another history, or beyond the newest: read the model anew. */
  | "unknown_position"
  /** A consumer of changes did not ask for the next one for too long, and was ended. */
  | "consumer_slow"
  /** The engine is closed. */
  | "engine_closed"
  /** What the application's module exports, or one of its functions returns, is unusable. */
  | "bad_application"
  /** The application's `lifecycle` could not be started. */
  | "start_failed"
  /** What came from a pool or a worker is no packet, or none that was to be expected. */
  | "bad_packet";

/** A condition that a caller can tell apart by its `code`. */
export class AlcedoError extends Error {
  /** What it is, in messages. */
  override readonly name = "AlcedoError";
  /** Which condition it is: what to branch on. */
  readonly code: ErrorCode;

  /** Creates the error of a condition. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Ends a write whose handler has failed, and has made an answer of it all the same, as a framework
 * does: its events are discarded, and the answer is its answer. The error is no fault any more.
 */
export class AnsweredError extends Error {
  override readonly name = "AnsweredError";
  readonly answer: Response;

  constructor(answer: Response, cause: unknown) {
    super(`Cannot save the events of a write that has failed, and answered ${answer.status}`, {
      cause,
    });
    this.answer = answer;
  }
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Guards our own reasoning, never a caller's input.
 *
 * @throws {Error} if `condition` does not hold: a defect of this library.
 */
export function assert(condition: boolean, expectation: string): asserts condition {
  if (!condition) throw new Error(`Alcedo is broken here, please report it: ${expectation}`);
}
