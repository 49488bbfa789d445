/**
 * Bodies that must be taken in time: a client that reads too slowly, or not at all, is cut off, and
 * what is kept for it is freed.
 */

import type { Clock } from "../clock.ts";
import { FILE_CHUNK_BYTES } from "../limits.ts";
import type { RequestInfo } from "./fetch_handler.ts";
import { relayBody } from "./relayed_body.ts";

/** The client did not take its answer in time. */
export class SlowClient extends Error {
  override readonly name = "SlowClient";
}

/**
 * `bytes` as a stream, handed out as they are taken; or as they are, if they are so few that they
 * leave at once.
 */
export function inChunks(
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> {
  if (bytes.length <= FILE_CHUNK_BYTES) return bytes;
  let at = 0;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller): void {
      controller.enqueue(bytes.subarray(at, at += FILE_CHUNK_BYTES));
      if (at >= bytes.length) controller.close();
    },
  }, { highWaterMark: 0 });
}

/**
 * `response`, whose body ends with a {@linkcode SlowClient}, and its connection with it, if it was not
 * taken `ms` from now; `late` is called then.
 */
export function withTimedBody(
  response: Response,
  ms: number,
  { clock, info, late }: { clock: Clock; info: RequestInfo; late: (error: SlowClient) => void },
): Response {
  const ended = new AbortController();
  const cancel = clock.after(ms, () => {
    const error = new SlowClient(`Cannot send an answer: it was not taken within ${ms} ms`);
    ended.abort(error);
    info.cut?.();
    late(error);
  });
  return relayBody(response, {
    failed: (error) => error,
    over: () => cancel(),
    signal: ended.signal,
  });
}
