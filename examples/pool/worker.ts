/**
 * A worker for Alcedo's pool: it says what it was asked, and sends the body back, like `worker.py` and
 * `worker.c` beside it.
 */

import { serveWorker } from "alcedo/worker";

async function handle(request: Request): Promise<Response> {
  const body = new Blob([`${request.method} ${request.url}\n`, await request.bytes()]);
  const headers = new Headers({ "content-type": "text/plain; charset=utf-8" });
  headers.append("set-cookie", "visited=yes");
  headers.append("set-cookie", "worker=alcedo");
  return new Response(body, { headers });
}

if (import.meta.main) serveWorker(handle);
