/**
 * An application with snapshots, for tests of whole servers: it keeps the texts that are posted to
 * it, of which there may be many, one a line. Its answers say how many it holds, and how many events
 * this process was given to apply. The version of its model comes from the environment; so does
 * what makes it hard to take a snapshot of it.
 */

import { writeFileSync } from "node:fs";
import process from "node:process";
import { type DeepReadonly, defineApp, type Engine, serve } from "../../mod.ts";

const { env } = process;
const modelVersion = env.SNAPSHOT_APP_VERSION ?? "1";

/** Where a process that makes a snapshot says who it is; it is slow then. */
const pidFile = import.meta.main ? undefined : env.SNAPSHOT_APP_PID_FILE;
if (pidFile !== undefined) writeFileSync(pidFile, String(process.pid));

/** Events that this process has applied. */
let applied = 0;

interface Model {
  readonly texts: string[];
  /** Not to be kept. */
  readonly look?: () => void;
}

let engine: Engine<Model, string> | undefined;

function answer({ texts }: DeepReadonly<Model>): Response {
  const last = texts.at(-1)?.trimEnd();
  return Response.json({ texts: texts.length, last, applied, snapshot: engine?.health().snapshot });
}

const app = defineApp<Model, string>({
  modelVersion,
  initModel: () => env.SNAPSHOT_APP_FAULT ? { texts: [], look: () => {} } : { texts: [] },
  updateModel(model, events) {
    applied += events.length;
    if (pidFile !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    model.texts.push(...events);
    return model;
  },
  async handleRequest(request, model, { saveEvent }) {
    if (saveEvent === undefined) return answer(model);
    for (const text of (await request.text()).split("\n")) saveEvent(text);
    return answer;
  },
});
export default app;

if (import.meta.main) ({ engine } = await serve(app, { module: import.meta.url }));
