/** The rare request whose URL the platform did not normalise, made anew with one that is. */

import { normalUrl } from "./_normal_url.ts";

/**
 * `request` with a normalised URL: itself if its URL was normal after all, `undefined` if
 * there is no such URL, or none for its method; the answer is then 400.
 *
 * @param fallback The authority for a request that names no host
 * @param signal Asked for only if the request has to be made anew
 */
export function normalRequest(
  request: Request,
  fallback: string,
  signal: () => AbortSignal,
): Request | undefined {
  const url = normalUrl(request.url, request.headers.get("host"), fallback);
  if (url === undefined) return undefined;
  if (url === request.url) return request;
  const { method, headers, body } = request;
  try {
    const init: RequestInit & { duplex: "half" } = {
      method,
      headers,
      body,
      duplex: "half",
      signal: signal(),
    };
    return new Request(url, init);
  } catch {
    // CONNECT and TRACE: the standard has no request for them.
    return undefined;
  }
}
