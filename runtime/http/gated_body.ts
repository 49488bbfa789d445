/**
 * A response's body that lets nothing out before it may leave: for streams that are made
 * from a model which moves while they are made.
 */

/**
 * Returns `response` with a body of which each chunk, and the end, waits for `gate`. If
 * `gate` rejects, so does the body, and the exchange is cut off.
 */
export function withGatedBody(response: Response, gate: () => Promise<void>): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  // Two chunks ahead, so that a body that is complete already, chunk and end, is read at
  // once: what becomes of the model later is then nothing to it.
  const readAhead = { highWaterMark: 2 };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const { done, value } = await reader.read();
      await gate();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, readAhead);
  return new Response(body, response);
}
