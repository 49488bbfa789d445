/**
 * An application with snapshots, for tests of whole servers: it keeps the texts that are posted to
 * it. Its answers say how many it holds, and how many events this process was given to apply. The
 * version of its model comes from the environment.
 */

import process from "node:process";
import { type DeepReadonly, defineApp, type Engine, serve } from "../../mod.ts";

const modelVersion = process.env.SNAPSHOT_APP_VERSION ?? "1";

/** Events that this process has applied. */
let applied = 0;

interface Model {
  readonly texts: string[];
}

let engine: Engine<Model, string> | undefined;

function answer({ texts }: DeepReadonly<Model>): Response {
  const last = texts.at(-1)?.trimEnd();
  return Response.json({ texts: texts.length, last, applied, snapshot: engine?.health().snapshot });
}

const app = defineApp<Model, string>({
  modelVersion,
  initModel: () => ({ texts: [] }),
  updateModel(model, events) {
    applied += events.length;
    model.texts.push(...events);
    return model;
  },
  async handleRequest(request, model, { saveEvent }) {
    if (saveEvent === undefined) return answer(model);
    saveEvent(await request.text());
    return answer;
  },
});
export default app;

if (import.meta.main) ({ engine } = await serve(app, { module: import.meta.url }));
