/** `request.signal` of Deno, without what Deno has to say about it. */

/**
 * The signal of a request: Deno aborts it when the client leaves, and also after every answer that
 * was sent.
 */
export function signalOf(request: Request): AbortSignal {
  muteAbortWarning();
  return request.signal;
}

let muted = false;

/**
 * Deno warns once that `request.signal` also aborts after an answer. It can be told so only
 * by a flag or a `deno.json`, which are the user's; so the one warning is left out, and
 * `console.warn` is as it was from then on.
 */
function muteAbortWarning(): void {
  if (muted) return;
  muted = true;
  const { warn } = console;
  const filter = (...data: unknown[]): void => {
    if (!String(data[0]).startsWith("Deno.serve: request.signal aborts")) return warn(...data);
    if (console.warn === filter) console.warn = warn;
  };
  console.warn = filter;
}
