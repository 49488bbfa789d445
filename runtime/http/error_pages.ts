/**
 * Pages for errors: the plain one that leaks nothing, and the last touch to an
 * application's own.
 */

import { STATUS_TEXT } from "#std/http/status";
import type { HttpError } from "../errors.ts";

/** A page that says the status and no more. */
export function defaultErrorPage(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const text = STATUS_TEXT[status];
  return new Response(`${status}${text === undefined ? "" : ` ${text}`}\n`, {
    status,
    headers: { ...headers, "content-type": "text/plain;charset=utf-8" },
  });
}

/**
 * Completes the page that an application made for `error`: the error's header fields, where
 * the page has none of that name, and the error's status, where the page says 200, which
 * no page for an error means.
 */
export function finishErrorPage(page: Response, error: HttpError): Response {
  const missing = Object.entries(error.headers).filter(([name]) => !page.headers.has(name));
  if (page.status !== 200 && missing.length === 0) return page;
  const headers = new Headers(page.headers);
  for (const [name, value] of missing) headers.set(name, value);
  const status = page.status === 200 ? error.status : page.status;
  return new Response(page.body, { status, headers });
}
