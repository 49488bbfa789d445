/** A worker that does what the path of a request says: what its tests need, and nothing else. */

import { serveWorker } from "alcedo/worker";
import { HttpError } from "alcedo";
import type { RequestInfo } from "alcedo";

type Deed = (request: Request, info: RequestInfo) => Response | Promise<Response>;

const DEEDS: Readonly<Record<string, Deed>> = {
  "/echo": async (request) => {
    const { method, url, headers } = request;
    return Response.json({
      method,
      url,
      headers: Object.fromEntries(headers),
      body: await request.text(),
    });
  },
  "/info": (_, { remoteAddress, signal, header }) =>
    Response.json({ remoteAddress, aborted: signal.aborted, header: typeof header }),
  "/header": (request, info) =>
    new Response(info.header?.(new URL(request.url).search.slice(1)) ?? "none"),
  "/cookies": () => {
    const headers = new Headers({ "x-text": "caf\u00e9", "content-type": "text/plain" });
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    return new Response("cookies", { headers, status: 201 });
  },
  "/empty": () => new Response(null, { status: 204 }),
  "/print": () => {
    console.log("printed to standard output");
    console.error("printed to standard error");
    return new Response("printed");
  },
  "/large": (request) => new Response("x".repeat(Number(new URL(request.url).search.slice(1)))),
  "/throw": () => {
    throw new Error("thrown by the handler");
  },
  "/refuse": () => {
    throw new HttpError(404, "no such thing", { headers: { "x-why": "gone" } });
  },
  "/nothing": () => JSON.parse('"no response"'),
  "/broken": () =>
    new Response(
      new ReadableStream({ start: (controller) => controller.error(new Error("broken body")) }),
    ),
  "/late": async () => {
    // Says that it is at work, and goes on when a turn has passed after the signal.
    const signalled = new Promise((resolve) => process.once("SIGTERM", resolve));
    console.error("at work");
    await signalled;
    await new Promise((resolve) => setImmediate(resolve));
    return new Response("late, but here");
  },
  "/tick": () => {
    let ticks = 0;
    const timer = setInterval(() => {
      console.error("tick");
      if (++ticks === 3) clearInterval(timer);
    }, 10);
    return new Response("x".repeat(16 * 1024 * 1024));
  },
};

const none: Deed = () => new Response("no such deed", { status: 404 });

serveWorker((request, info) => (DEEDS[new URL(request.url).pathname] ?? none)(request, info));
