/**
 * The rival with Redis beside it, through the client that sends all commands of a turn at once.
 * One connection: with four it was slower, as each then has fewer of them.
 */

import { createClient } from "redis";
import { readPlan, reportWhenAsked } from "./control.ts";
import { listenForWrites } from "./write_service.ts";

const client = createClient({ socket: { path: readPlan().databaseSocket, tls: false } });
await client.connect();
let writes = 0;

const port = await listenForWrites(async (body) => {
  await client.rPush("events", body);
  writes++;
}, { isRaw: true });
// How often Redis syncs is its own business: it does not say.
reportWhenAsked(port, () => ({ writes, flushes: 0, logBytes: 0 }));
