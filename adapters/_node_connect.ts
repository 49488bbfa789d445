/**
 * CONNECT on Node, which hands its connection over and has nothing to do with it from then on: not
 * with its errors, not with its end, not with the answers that it still owes to earlier requests.
 */

import type { Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { STATUS_TEXT } from "#std/http/status";

/** A connection, with the answer that is on its way: Node keeps it there, and says so nowhere. */
export type Connection = Duplex & { readonly _httpMessage?: ServerResponse | null };

/** Answers that wait for those before them, by connection. */
const waiting = new WeakMap<Duplex, Set<ServerResponse>>();

/** To be called with each answer: remembers those that wait for others, which Node tells nobody. */
export function noteWaiting(outgoing: ServerResponse): void {
  if (outgoing.socket !== null) return;
  const connection = outgoing.req.socket;
  let answers = waiting.get(connection);
  if (answers === undefined) waiting.set(connection, answers = new Set());
  answers.add(outgoing);
  outgoing.once("close", () => answers.delete(outgoing));
}

/** Answers CONNECT with 501, after all that came before. Returns what closes such connections now. */
export function answerConnect(server: Server): () => void {
  const connections = new Set<Connection>();
  server.on("connect", (_, connection: Connection) => {
    connections.add(connection);
    // Unheard, a client that leaves would end the process.
    connection.on("error", () => {});
    connection.on("drain", () => connection._httpMessage?.emit("drain"));
    connection.on("end", () => connection.destroy());
    connection.once("close", () => {
      connections.delete(connection);
      for (const outgoing of waiting.get(connection) ?? []) outgoing.destroy();
    });
    // Else its end would not be seen.
    connection.resume();
    refuse(connection);
  });
  return () => {
    for (const connection of connections) connection.destroy();
  };
}

function refuse(connection: Connection): void {
  const outgoing = connection._httpMessage ?? undefined;
  if (outgoing !== undefined) {
    outgoing.once("close", () => refuse(connection));
    return;
  }
  const head = `HTTP/1.1 501 ${STATUS_TEXT[501]}\r\nConnection: close\r\n\r\n`;
  connection.end(head, () => connection.destroy());
}
