/**
 * The native control of a pool: the runtime's own server, which writes a request to the worker's pipe, as
 * few bytes as that can be, and answers with what it reads from the other. It does nothing else: no
 * headers, no check, no bound.
 */

import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { readPlan, reportWhenAsked } from "./control.ts";
import { listenNatively } from "./native_server.ts";

/** Bytes before the body of an answer of the bench's worker: size, tag, status, headers, length. */
const HEAD_BYTES = 4 + 1 + 2 + 1 + 1;

const [program = "", ...args] = readPlan().worker;
const child = spawn(program, args, { stdio: ["pipe", "inherit", "inherit", "pipe"] });
const waiting: { packet: Buffer; resolve: (response: Response) => void }[] = [];

(child.stdio[3] as Readable).on("data", (answer: Buffer<ArrayBuffer>) => {
  waiting.shift()?.resolve(new Response(answer.subarray(HEAD_BYTES)));
  send();
});

function send(): void {
  const [next] = waiting;
  if (next !== undefined) child.stdin?.write(next.packet);
}

function answer(request: Request): Promise<Response> {
  const fields = ["", request.url, request.method].flatMap((text) => {
    return [Buffer.of(text.length), Buffer.from(text)];
  });
  const message = Buffer.concat([Buffer.of(0), ...fields, Buffer.of(0, 0)]);
  const size = Buffer.alloc(4);
  size.writeInt32LE(message.length);
  const packet = Buffer.concat([size, message]);
  return new Promise((resolve) => {
    if (waiting.push({ packet, resolve }) === 1) send();
  });
}

reportWhenAsked(await listenNatively(answer), () => ({ writes: 0, flushes: 0, logBytes: 0 }));
