/**
 * The bench's application on Alcedo: the runtime's adapter, the engine, and a log in a file.
 */

import { openEngine, openFileLog } from "alcedo";
import { listen } from "../../adapters/listen.ts";
import { EVENT_BYTES, makeApp } from "../application.ts";
import { readPlan, reportWhenAsked } from "./control.ts";

const { entries, style, eventsFile, format } = readPlan();
const log = await openFileLog(eventsFile, { format });
const engine = await openEngine(makeApp(style, entries), { log });
// The engine learns the style of an application from its first write.
await engine.write((_, { saveEvent }) => saveEvent(new Uint8Array(EVENT_BYTES)));
const server = await listen(engine.fetch, { hostname: "127.0.0.1", port: 0 });
reportWhenAsked(server.addr.port, () => {
  const { durable, flushes, logBytes } = engine.health();
  return { writes: durable, flushes, logBytes };
});
