/**
 * What the benches of reads and writes serve: by Alcedo as an application, by the bare servers
 * as the same few lines around the same data. Only what Alcedo adds may differ between them.
 */

import { type App, bytes, defineApp } from "alcedo";

/** The model: entries to read, and a trace of what was written. */
export interface Model {
  readonly entries: ReadonlyMap<string, number>;
  writes: number;
  last: Uint8Array | undefined;
}

/** How `updateModel` makes the next model. */
export type Style = "pure" | "in place";

/** Milliseconds that a slow write takes: a PUT. */
export const SLOW_MS = 200;

/** Bytes of an event. */
export const EVENT_BYTES = 100;

/** The key of entry `i`, which is also its path. */
export function keyOf(i: number): string {
  return `entry-${i}`;
}

/** Entries from 0 to `count`. */
export function makeEntries(count: number): Map<string, number> {
  const entries = new Map<string, number>();
  for (let i = 0; i < count; i++) entries.set(keyOf(i), amountOf(i));
  return entries;
}

/** What is in entry `i`: some number that shows whether it is the right one. */
function amountOf(i: number): number {
  return Math.imul(i, 0x9e3779b1) >>> 8;
}

/** The body of the answer for entry `i`. */
export function bodyOf(i: number): string {
  return bodyFor(keyOf(i), amountOf(i));
}

/** The body of an answer. */
export function bodyFor(key: string, amount: number | undefined): string {
  return `${key} has ${amount}\n`;
}

/** Answers a read. */
export function answerRead(url: string, entries: ReadonlyMap<string, number>): Response {
  const key = url.slice(url.lastIndexOf("/") + 1);
  return new Response(bodyFor(key, entries.get(key)));
}

/** Answers a write. */
export function answerWrite(): Response {
  return new Response("ok");
}

/** Resolves after as long as a slow write takes. */
export function slowly(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SLOW_MS));
}

/** The application, whose model has `entries` entries. */
export function makeApp(style: Style, entries: number): App<Model, Uint8Array> {
  return defineApp<Model, Uint8Array>({
    initModel: () => ({ entries: makeEntries(entries), writes: 0, last: undefined }),
    updateModel: style === "pure" ? updatePure : updateInPlace,
    handleRequest(request, model, { method, saveEvent }) {
      if (saveEvent === undefined) return answerRead(request.url, model.entries);
      return write(request, saveEvent, method === "PUT");
    },
    codec: bytes,
  });
}

async function write(
  request: Request,
  saveEvent: (event: Uint8Array) => void,
  isSlow: boolean,
): Promise<Response> {
  if (isSlow) await slowly();
  saveEvent(await request.bytes());
  return answerWrite();
}

function updatePure(model: Model, events: readonly Uint8Array[]): Model {
  return {
    entries: model.entries,
    writes: model.writes + events.length,
    last: events.at(-1) ?? model.last,
  };
}

function updateInPlace(model: Model, events: readonly Uint8Array[]): Model {
  model.writes += events.length;
  model.last = events.at(-1) ?? model.last;
  return model;
}
