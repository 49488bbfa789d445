/**
 * A counter for each key, a million of them if need be: POST /KEY adds one, or the number that is
 * sent; POST / adds one to each of the keys that are sent, one a line. GET /KEY shows a count, GET /
 * how many there are.
 *
 * Run it with `node`, `bun run` or `deno run -A`; README.md says why its model changes in place.
 */

import { defineApp, HttpError, serve } from "alcedo";

/** So much was added to the count of each of these keys. */
export interface Added {
  readonly keys: readonly string[];
  readonly add: number;
}

const app = defineApp({
  initModel: () => new Map<string, number>(),
  updateModel: (counts, events: readonly Added[]) => {
    for (const { keys, add } of events) {
      for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + add);
    }
    return counts; // The same map: a write costs what it changes, not what there is.
  },
  handleRequest: async (request, counts, { method, saveEvent }) => {
    const key = keyOf(request.url);
    if (method === "GET") return show(counts, key);
    if (method !== "POST") {
      throw new HttpError(405, "only GET and POST", { headers: { allow: "GET, POST" } });
    }
    const body = await request.text();
    const keys = key === "" ? body.split("\n").filter((line) => line !== "") : [key];
    const add = key === "" || body === "" ? 1 : Number(body);
    // A key may be among them more than once.
    const isSafe = (count = 0) => Number.isSafeInteger(count + add * keys.length);
    if (!keys.every((key) => isSafe(counts.get(key)))) {
      throw new HttpError(422, "a count is a whole number, and no larger than is exact");
    }
    saveEvent({ keys, add });
    return (counts) => show(counts, key);
  },
  errors: {
    default: ({ message }) => new Response(`${message}\n`),
  },
  modelVersion: "1",
});
export default app;

function keyOf(url: string): string {
  try {
    return decodeURIComponent(new URL(url).pathname.slice(1));
  } catch (cause) {
    throw new HttpError(400, "the key is not UTF-8", { cause });
  }
}

function show(counts: ReadonlyMap<string, number>, key: string): Response {
  return new Response(`${key === "" ? counts.size : counts.get(key) ?? 0}\n`);
}

if (import.meta.main) await serve(app, { module: import.meta.url });
