/**
 * The bench's application on Alcedo: the runtime's adapter, the engine, and a log in a file.
 */

import { openEngine, openFileLog } from "alcedo";
import { clock } from "../../adapters/clock.ts";
import { listen } from "../../adapters/listen.ts";
import { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";
import { SyncMetrics } from "../../runtime/metrics/sync_metrics.ts";
import { EVENT_BYTES, makeApp } from "../application.ts";
import { readPlan, reportWhenAsked } from "./control.ts";

const { entries, style, eventsFile, format, hasMetrics } = readPlan();
const onSync = hasMetrics ? new SyncMetrics().onSync : undefined;
const log = await openFileLog(eventsFile, { format, onSync });
const engine = await openEngine(makeApp(style, entries), { log });
// The engine learns the style of an application from its first write.
await engine.write((_, { saveEvent }) => saveEvent(new Uint8Array(EVENT_BYTES)));
const fetch = hasMetrics ? new RequestMetrics().counted(engine.fetch, clock) : engine.fetch;
const server = await listen(fetch, { hostname: "127.0.0.1", port: 0 });
reportWhenAsked(server.addr.port, () => {
  const { durable, flushes, logBytes } = engine.health();
  return { writes: durable, flushes, logBytes };
});
