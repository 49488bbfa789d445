/**
 * An application for tests of whole servers: it keeps the entries that were posted, in order,
 * and shows them all. `/slow` answers when the file named by `?until` is there, `/health` with
 * the engine's health, `/traceparent` with what a handler knows of its trace. With
 * `DIARY_STYLE=in-place` it changes its model in place.
 */

import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { defineApp, HttpError, serve, type Serving } from "../../mod.ts";

const isInPlace = process.env.DIARY_STYLE === "in-place";
let serving: Serving<string[], string> | undefined;

const app = defineApp({
  initModel: (): string[] => [],
  updateModel(entries, events: readonly string[]) {
    if (!isInPlace) return [...entries, ...events];
    entries.push(...events);
    return entries;
  },
  handleRequest: async (request, entries, { saveEvent, signal, traceparent }) => {
    const url = new URL(request.url);
    if (url.pathname === "/boom") throw new Error("a secret of the server");
    if (url.pathname === "/slow") await appears(url.searchParams.get("until") ?? "", signal);
    if (url.pathname === "/health") return Response.json(serving?.engine.health());
    if (url.pathname === "/traceparent") return new Response(traceparent ?? null);
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

if (import.meta.main) serving = await serve(app, { module: import.meta.url });
