/**
 * The smallest application: its model is a name. GET greets it, POST changes it.
 *
 * Run it with `node`, `bun run` or `deno run -A`; `--help` lists the options.
 */

import { bytes, defineApp, HttpError, serve } from "alcedo";

// Not everything that is sent is text: `fatal` says so, `ignoreBOM` keeps the rest as it is.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const app = defineApp<string, Uint8Array>({
  initModel: () => "World",
  updateModel: (name, events) => events.length === 0 ? name : decoder.decode(events.at(-1)),
  handleRequest: async (request, name, { method, saveEvent }) => {
    if (method === "GET") return new Response(`Hello ${name}\n`);
    if (method !== "POST") {
      throw new HttpError(405, "only GET and POST", { headers: { allow: "GET, POST" } });
    }
    const body = await request.bytes();
    const newName = body.length === 0 ? new TextEncoder().encode("World") : body;
    assertUtf8(newName);
    saveEvent(newName);
    return (name) => new Response(name);
  },
  codec: bytes,
});
export default app;

function assertUtf8(bytes: Uint8Array): void {
  try {
    decoder.decode(bytes);
  } catch (cause) {
    throw new HttpError(400, "the name is not UTF-8", { cause });
  }
}

if (import.meta.main) await serve(app, { module: import.meta.url });
