/**
 * The rival with SQLite in its process, in `node:sqlite`, which all three runtimes have, and
 * which is as fast as `bun:sqlite` on Bun. A request is a transaction: its statement is
 * prepared, and commits by itself.
 *
 * What it may leave out, it does: one process has the file for itself, as Alcedo has its log, so
 * that locks and shared memory are not needed, which halves the processor time of a write.
 */

import { DatabaseSync } from "node:sqlite";
import { readPlan, reportWhenAsked } from "./control.ts";
import { listenForWrites } from "./write_service.ts";

const database = new DatabaseSync(readPlan().eventsFile);
database.exec(`
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE events (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
`);
const insert = database.prepare("INSERT INTO events (body) VALUES (?)");
let writes = 0;

const port = await listenForWrites((body) => {
  insert.run(body);
  writes++;
  return undefined;
});
reportWhenAsked(port, () => ({ writes, flushes: writes, logBytes: 0 }));
