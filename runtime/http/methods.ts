/**
 * HTTP methods, and which of them may write. A GET cannot change the model because it
 * holds nothing to change it with.
 */

/**
 * Every other method in the IANA registry of HTTP methods, and QUERY (RFC 9110, section
 * 16.1): a method outside it is answered with 501 before any handler is asked.
 *
 * @internal (which `deno doc --lint` sees on a constant only where it is the first)
 */
const OTHER_METHODS = [
  "GET",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "CONNECT",
  "QUERY",
  "ACL",
  "BASELINE-CONTROL",
  "BIND",
  "CHECKIN",
  "CHECKOUT",
  "COPY",
  "LABEL",
  "LINK",
  "LOCK",
  "MERGE",
  "MKACTIVITY",
  "MKCALENDAR",
  "MKCOL",
  "MKREDIRECTREF",
  "MKWORKSPACE",
  "MOVE",
  "ORDERPATCH",
  "PRI",
  "PROPFIND",
  "PROPPATCH",
  "REBIND",
  "REPORT",
  "SEARCH",
  "UNBIND",
  "UNCHECKOUT",
  "UNLINK",
  "UNLOCK",
  "UPDATE",
  "UPDATEREDIRECTREF",
  "VERSION-CONTROL",
] as const; // deno-fmt-ignore

/** The methods whose handlers get `saveEvent`. */
export type WriteMethod = "POST" | "PUT" | "PATCH" | "DELETE";

/** The methods whose handlers get no `saveEvent`. */
export type OtherMethod = typeof OTHER_METHODS[number];

const otherMethods: ReadonlySet<string> = new Set(OTHER_METHODS);

/** Whether a request of this method may write. */
export function isWriteMethod(method: string): method is WriteMethod {
  return method === "POST" || method === "PUT" || method === "PATCH" || method === "DELETE";
}

/** Whether a request of this method is known, and may only read. */
export function isOtherMethod(method: string): method is OtherMethod {
  return method === "GET" || otherMethods.has(method);
}
