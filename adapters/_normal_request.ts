/** The rare request whose URL the platform did not normalise, made anew with one that is. */

import { isHost, normalUrl } from "./_normal_url.ts";

/**
 * `request` with a normalised URL: itself if its URL was normal after all, `undefined` if
 * there is no such URL, or none for its method; the answer is then 400.
 *
 * @param fallback The origin for a request that names no host
 * @param signal Asked for only if the request has to be made anew
 */
export function normalRequest(
  request: Request,
  fallback: string,
  signal: () => AbortSignal,
): Request | undefined {
  const { method, headers } = request;
  const host = headers.get("host");
  if (host !== null && !isHost(host)) return undefined;
  const absolute = normalUrl(request.url, host, fallback);
  if (absolute === undefined) return undefined;
  const url = isWholeServer(method, absolute) ? absolute.slice(0, -1) : absolute;
  if (url === request.url) return request;
  const { body } = request;
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
    // The standard has no request of this kind.
    return undefined;
  }
}

/**
 * Whether it is what some platforms make of the target `*` of OPTIONS, which is a URL without a
 * path (RFC 9112, section 3.3); whoever asks for the options of a file `*` gets those as well.
 */
export function isWholeServer(method: string, url: string): boolean {
  return method === "OPTIONS" && /^https?:\/\/[^/]*\/\*$/.test(url);
}
