/**
 * The native control: the runtime's own server with the bench's handlers, nothing in between,
 * nothing on disk.
 */

import { answerRead, answerWrite, makeEntries, slowly } from "../application.ts";
import { readPlan, reportWhenAsked } from "./control.ts";
import { listenNatively } from "./native_server.ts";

const entries = makeEntries(readPlan().entries);
let writes = 0;
let last: ArrayBuffer | undefined;

function answer(request: Request): Response | Promise<Response> {
  return request.method === "GET" ? answerRead(request.url, entries) : write(request);
}

async function write(request: Request): Promise<Response> {
  if (request.method === "PUT") await slowly();
  last = await request.arrayBuffer();
  if (last.byteLength > 0) writes++;
  return answerWrite();
}

reportWhenAsked(await listenNatively(answer), () => ({ writes, flushes: 0, logBytes: 0 }));
