/** A body put between a stream and whoever sends it, to learn what becomes of it. */

/** What is to be learnt. */
export interface Relay {
  /** The stream has failed with `error`; what whoever sends it shall get for it. */
  failed(error: unknown): unknown;
  /** Nobody reads the stream any more. */
  cancelled?(): void;
  /** Called once: with `true` when all of the stream was read, with `false` if it never will be. */
  over?(isComplete: boolean): void;
  /** Ends the body with the reason for which it aborts, and the stream with it. */
  readonly signal?: AbortSignal;
}

/**
 * `response`, whose body is not null, with the same body relayed.
 *
 * @throws {TypeError} if the body is locked.
 */
export function relayBody(response: Response, relay: Relay): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  const { signal } = relay;
  let isOver = false;
  let abort = (): void => {};
  const end = (isComplete: boolean): void => {
    if (isOver) return;
    isOver = true;
    signal?.removeEventListener("abort", abort);
    relay.over?.(isComplete);
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      abort = () => {
        end(false);
        controller.error(signal?.reason);
        // It may fail only now; that is of no use to anybody.
        reader.cancel(signal?.reason).catch(() => {});
      };
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort);
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (isOver) return;
        if (done) {
          end(true);
          return controller.close();
        }
        if (!(value instanceof Uint8Array)) {
          throw new TypeError("Cannot send a response's body: a chunk is not a Uint8Array");
        }
        controller.enqueue(value);
      } catch (error) {
        if (isOver) return;
        end(false);
        // Of use only if it is not the stream that failed.
        reader.cancel(error).catch(() => {});
        controller.error(await relay.failed(error));
      }
    },
    cancel(reason) {
      // It has failed, and whoever reads it is about to be told.
      if (isOver) return;
      end(false);
      relay.cancelled?.();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}
