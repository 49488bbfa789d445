/**
 * Conditional requests for what can only be read: which answer the conditions of a GET or HEAD
 * leave, in the order of RFC 9110, section 13.2.2.
 */

import { ifMatch, ifNoneMatch } from "#std/http/etag";
import { parseHttpDate } from "./http_date.ts";

/** What tells one state of a representation from another. */
export interface Validators {
  readonly etag: string;
  /** Milliseconds since 1970, in whole seconds: what `Last-Modified` says. */
  readonly modifiedMs: number;
  /** Whether no other state of it can have the same date (section 8.8.2.2). */
  readonly isStrongDate: boolean;
}

/** The status that the conditions in `headers` demand, or `undefined` if it may be sent. */
export function failedPrecondition(
  headers: Headers,
  { etag, modifiedMs }: Validators,
  now: number,
): 304 | 412 | undefined {
  const date = (name: string): number | undefined => parseHttpDate(headers.get(name) ?? "", now);
  const match = headers.get("if-match");
  if (match !== null) {
    // `*` is true of whatever exists, though its tag be weak.
    if (match.trim() !== "*" && !ifMatch(match, etag)) return 412;
  } else {
    const unmodifiedSince = date("if-unmodified-since");
    if (unmodifiedSince !== undefined && modifiedMs > unmodifiedSince) return 412;
  }
  const noneMatch = headers.get("if-none-match");
  if (noneMatch !== null) return ifNoneMatch(noneMatch, etag) ? undefined : 304;
  const modifiedSince = date("if-modified-since");
  return modifiedSince !== undefined && modifiedMs <= modifiedSince ? 304 : undefined;
}

/** Whether `If-Range`, if there is one, lets the client have a range (section 13.1.5). */
export function rangeIsCurrent(
  headers: Headers,
  { etag, modifiedMs, isStrongDate }: Validators,
  now: number,
): boolean {
  const condition = headers.get("if-range");
  if (condition === null) return true;
  if (/^(?:W\/)?"/.test(condition)) return condition === etag && !etag.startsWith("W/");
  return isStrongDate && parseHttpDate(condition, now) === modifiedMs;
}
