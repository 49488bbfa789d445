/** Which methods a handler is asked about; the answer to all others is 501. */

import { isOtherMethod, isWriteMethod } from "../runtime/http/methods.ts";

/**
 * Whether `method` is registered, and one that a web `Request` can have: platforms differ in
 * which others they let through.
 */
export function isServedMethod(method: string): boolean {
  return method === "GET" || isWriteMethod(method) ||
    isOtherMethod(method) && method !== "CONNECT" && method !== "TRACE";
}
