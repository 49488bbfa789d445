/** A body put between a stream and the platform that sends it, to learn what becomes of it. */

/** What is to be learnt. */
export interface Relay {
  /** The stream has failed with `error`; what the platform shall get for it. */
  failed(error: unknown): unknown;
  /** Nobody reads the stream any more. */
  cancelled?(): void;
}

/**
 * `response`, whose body is not null, with the same body relayed.
 *
 * @throws {TypeError} if the body is locked.
 */
export function relayBody(response: Response, relay: Relay): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (isCancelled) return;
        if (done) return controller.close();
        if (!(value instanceof Uint8Array)) {
          throw new TypeError("Cannot send a response's body: a chunk is not a Uint8Array");
        }
        controller.enqueue(value);
      } catch (error) {
        controller.error(await relay.failed(error));
      }
    },
    cancel(reason) {
      isCancelled = true;
      relay.cancelled?.();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}
