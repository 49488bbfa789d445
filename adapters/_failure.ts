/** What a client gets when its handler failed, and what is reported of it. */

import { HttpError } from "../runtime/errors.ts";
import { defaultErrorPage } from "../runtime/http/error_pages.ts";

/**
 * The answer for what a handler threw: a page that shows a status and nothing of the
 * message. An `HttpError` below 500 is an answer like any other; all else is reported.
 */
export function failurePage(error: unknown, report: (error: unknown) => void): Response {
  if (!(error instanceof HttpError)) {
    report(error);
    return defaultErrorPage(500);
  }
  if (error.status >= 500) report(error);
  return defaultErrorPage(error.status, error.headers);
}

/** The error of a handler that answered with something else than a `Response`. */
export function notAResponse(value: unknown): TypeError {
  const what = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
  return new TypeError(`Cannot answer the request: its handler returned ${what}, not a Response`);
}
