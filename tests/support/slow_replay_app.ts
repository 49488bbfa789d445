/**
 * An application that takes 60 ms for each batch of events that it replays, without any work.
 */

import { bytes, defineApp, serve } from "../../mod.ts";

const app = defineApp<number, Uint8Array>({
  initModel: () => 0,
  updateModel(count, events) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    return count + events.length;
  },
  handleRequest: (_request, count) => new Response(String(count)),
  codec: bytes,
});
export default app;

if (import.meta.main) await serve(app, { module: import.meta.url });
