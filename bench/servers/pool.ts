/** Alcedo's pool with one worker, in the process that reports. */

import { clock } from "../../adapters/clock.ts";
import { listen } from "../../adapters/listen.ts";
import { ChildStarter } from "../../adapters/processes/child_starter.ts";
import { packetWorkers } from "../../adapters/processes/packet_worker.ts";
import { encodeRequest, HEALTH_CHECK, isEmptyAnswer } from "../../runtime/processes/packets.ts";
import { Pool } from "../../runtime/processes/pool.ts";
import { PoolHandler } from "../../runtime/processes/pool_handler.ts";
import { readPlan, reportWhenAsked } from "./control.ts";

const starter = new ChildStarter({ command: readPlan().worker, print: console.error });
const pool = new Pool({
  spawn: packetWorkers(starter),
  clock,
  healthCheck: encodeRequest(HEALTH_CHECK),
  isEmptyAnswer,
  warn: console.error,
  gaveUp: (why) => {
    throw new Error(why);
  },
});
const handler = new PoolHandler(pool, { clock, report: console.error });
const { addr } = await listen(handler.fetch, { hostname: "127.0.0.1", port: 0 });
reportWhenAsked(addr.port, () => ({ writes: 0, flushes: 0, logBytes: 0 }));
