/**
 * The application that is fuzzed: reads, writes, streams, uploads, faults, pages for errors and a
 * step around each exchange. Every answer names the path that it is for, and every fault that is
 * meant is reported as `planted: PATH`. `/state` tells what the process has, `FUZZ_DEFECT` names what
 * is to be wrong with it.
 */

import { Buffer } from "node:buffer";
import { openSync } from "node:fs";
import process from "node:process";
import { setImmediate } from "node:timers/promises";
import { defineApp, HttpError, serve } from "../../mod.ts";
import { isWriteMethod } from "../../runtime/http/methods.ts";

/** What is wrong with the application, in the tests of the harness. */
export type Defect = "leak" | "rejection" | "mixed up" | "saved twice" | "open files";

/** What the process has. */
export interface State {
  readonly heapBytes: number;
  readonly rssBytes: number;
  /** Exchanges that a lifecycle step has seen begin, and end; and those that ended twice. */
  readonly begun: number;
  readonly finished: number;
  readonly finishedTwice: number;
}

/** A write adds an entry; those that were looked at are dropped, so that the model stays small. */
type Event = { readonly entry: string } | { readonly drop: number };

declare const Bun: { gc(force: boolean): void };

const defect = process.env["FUZZ_DEFECT"] as Defect | undefined;
const kept: unknown[] = [];
let before = "/none";
let begun = 0;
let finished = 0;
let finishedTwice = 0;

const app = defineApp({
  initModel: (): string[] => [],
  updateModel(entries, events: readonly Event[]) {
    for (const event of events) {
      if ("entry" in event) entries.push(event.entry);
      else entries.splice(0, event.drop);
    }
    return entries;
  },
  async handleRequest(request, entries, { method, saveEvent }) {
    const { pathname, search } = new URL(request.url);
    const path = defect === "mixed up" && begun % 100 === 0 ? before : pathname;
    before = pathname;
    if (defect === "leak") kept.push([request, new Array(1000).fill(pathname)]);
    if (defect === "open files" && begun % 20 === 0) kept.push(openSync("/dev/null", "r"));
    if (defect === "rejection" && request.headers.has("if-range")) {
      void Promise.reject(new Error("planted"));
    }
    const route = pathname.split("/")[1];
    switch (route) {
      case "echo":
      case "late": {
        if (route === "late") await setImmediate();
        const size = saveEvent === undefined ? "" : ` ${(await request.arrayBuffer()).byteLength}`;
        return new Response(`${method} ${path}${search}${size}`);
      }
      case "write": {
        if (saveEvent === undefined) break;
        const body = Buffer.from(await request.arrayBuffer()).toString("latin1");
        saveEvent({ entry: `${path} ${body}` });
        if (defect === "saved twice" && body.length > 100) saveEvent({ entry: `${path} ${body}` });
        return () => new Response(`saved ${path} ${body.length}`);
      }
      case "stream":
        return new Response(streamOf([path, path, path]));
      case "broken":
        return new Response(streamOf([path, Promise.reject(`planted: ${path}`)]));
      case "throw":
        return Promise.reject(`planted: ${path}`);
      case "model":
        if (method === "GET") return Response.json(entries);
        saveEvent?.({ drop: Number(await request.text()) });
        return new Response();
      case "state":
        return Response.json(state());
    }
    throw new HttpError(404, "no such path");
  },
  errors: {
    default: ({ status }, request) => new Response(`${status} ${new URL(request.url).pathname}`),
  },
  lifecycle: [{
    async request(request, { method }) {
      begun++;
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith("/upload/") || !isWriteMethod(method)) return;
      let size = 0;
      try {
        for await (const chunk of request.body ?? []) size += chunk.length;
      } catch (cause) {
        throw new HttpError(400, "the body has no end", { cause });
      }
      return new Response(`took ${pathname} ${size}`);
    },
    finish(_request, _response, { locals }) {
      finished++;
      if (locals["isFinished"]) finishedTwice++;
      locals["isFinished"] = true;
    },
  }],
});
export default app;

/** Chunks that come one by one. */
function streamOf(chunks: readonly (string | Promise<string>)[]): ReadableStream<Uint8Array> {
  let next = 0;
  for (const chunk of chunks) Promise.resolve(chunk).catch(() => {}); // Whoever reads it is told.
  return new ReadableStream({
    async pull(controller) {
      await setImmediate();
      const chunk = await chunks[next++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(chunk));
    },
  });
}

/** What is there when all that could go has gone. */
function state(): State {
  if ("Bun" in globalThis) Bun.gc(true);
  // Node and Deno have it if they were asked for it.
  else (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, rssBytes: rss, begun, finished, finishedTwice };
}

if (import.meta.main) await serve(app, { module: import.meta.url });
