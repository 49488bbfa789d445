/**
 * An application for tests of whole servers: it keeps the entries that were posted, in order,
 * and shows them all. `/slow` answers when the file named by `?until` is there.
 */

import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";
import { defineApp, HttpError, serve } from "../../mod.ts";

const app = defineApp({
  initModel: (): string[] => [],
  updateModel: (entries, events: readonly string[]) => [...entries, ...events],
  handleRequest: async (request, entries, { saveEvent, signal }) => {
    const url = new URL(request.url);
    if (url.pathname === "/boom") throw new Error("a secret of the server");
    if (url.pathname === "/slow") await appears(url.searchParams.get("until") ?? "", signal);
    if (saveEvent === undefined) return Response.json(entries);
    const entry = await request.text();
    if (entry === "") throw new HttpError(422, "an entry is never empty");
    saveEvent(entry);
    return (entries) => new Response(`${entries.length}\n`);
  },
});
export default app;

/** Resolves when there is a file at `path`, or nobody waits for it any more. */
function appears(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(dirname(path), { signal }, look);
    watcher.on("error", () => resolve());
    watcher.on("close", () => resolve());
    function look(): void {
      if (existsSync(path)) watcher.close();
    }
    look();
  });
}

if (import.meta.main) await serve(app, { module: import.meta.url });
