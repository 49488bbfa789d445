/**
 * The rival with SQLite in its process, in `node:sqlite`, which all three runtimes have, and
 * which is as fast as `bun:sqlite` on Bun. A request is a transaction: its statement is
 * prepared, and commits by itself.
 *
 * As SQLite's manual has it: a write-ahead log, synced at each commit, behind a fetch handler. In
 * the exclusive kind all is left out that can be: one process has the file for itself, as Alcedo has
 * its log, so that no other program can look into it; locks and shared memory are not needed then,
 * which halves the processor time of a write; and on Node it stands on `node:http`.
 */

import { DatabaseSync } from "node:sqlite";
import { readPlan, reportWhenAsked } from "./control.ts";
import { listenForWrites } from "./write_service.ts";

const { eventsFile, isExclusive } = readPlan();
const database = new DatabaseSync(eventsFile);
database.exec(`
  PRAGMA locking_mode = ${isExclusive ? "EXCLUSIVE" : "NORMAL"};
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
}, { isRaw: isExclusive });
reportWhenAsked(port, () => ({ writes, flushes: writes, logBytes: 0 }));
