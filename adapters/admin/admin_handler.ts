/**
 * What the admin address answers: `/healthz`, `/readyz` and `/metrics`.
 */

import type { FetchHandler } from "../../runtime/http/fetch_handler.ts";
import { familiesOf, type MetricsSources } from "./families.ts";
import { type Readiness, readinessFields } from "./readiness.ts";

/** Makes the handler; `look` is called at each request. */
export function adminHandler(look: () => MetricsSources): FetchHandler {
  return (request) => {
    const page = pageAt(new URL(request.url).pathname);
    if (page === undefined) return text(404, "/healthz, /readyz, /metrics\n");
    const isRead = request.method === "GET" || request.method === "HEAD";
    return isRead ? page(request, look) : text(405, "read only\n", { allow: "GET, HEAD" });
  };
}

type Page = (request: Request, look: () => MetricsSources) => Response | Promise<Response>;

function pageAt(path: string): Page | undefined {
  switch (path) {
    case "/healthz":
      // That it answers is the answer: the process lives, and its event loop turns.
      return () => text(200, "ok\n");
    case "/readyz":
      return (_request, look) => readinessPage(look().readiness);
    case "/metrics":
      return (request, look) => metricsPage(request, look());
    default:
      return undefined;
  }
}

const NEVER_KEPT = { "cache-control": "no-store" };

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: { "content-type": "text/plain;charset=utf-8", ...NEVER_KEPT, ...headers },
  });
}

function readinessPage(readiness: Readiness): Response {
  return Response.json(readinessFields(readiness), {
    status: readiness.isReady ? 200 : 503,
    headers: NEVER_KEPT,
  });
}

async function metricsPage(request: Request, sources: MetricsSources): Promise<Response> {
  const { exposition, negotiate } = await import("./exposition.ts");
  const type = negotiate(request.headers.get("accept"));
  const body = await exposition(familiesOf(sources), type);
  return new Response(body, {
    headers: { "content-type": type, vary: "accept", ...NEVER_KEPT },
  });
}
