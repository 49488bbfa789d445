/** The requests that pages of refusals get: what could not be read of them is a placeholder. */

/**
 * A request with `method` and `headers`, as far as there can be one, for the root of the server.
 *
 * @param fallback The origin of the server
 */
export function refusedRequest(method: string, headers: HeadersInit, fallback: string): Request {
  const url = `${fallback}/`;
  try {
    return new Request(url, { method, headers });
  } catch {
    // The standard has no such method, or no such field.
    return Object.defineProperty(new Request(url), "method", { value: method });
  }
}
