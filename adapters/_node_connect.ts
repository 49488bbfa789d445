/**
 * CONNECT on Node, which hands its connection over and has nothing to do with it from then on: not
 * with its errors, not with its end, not with the answers that it still owes to earlier requests.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A connection, with the answer that is on its way: Node keeps it there, and says so nowhere. */
export type Connection = Socket & { readonly _httpMessage?: ServerResponse | null };

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

/**
 * Answers CONNECT after all that came before. Returns what closes such connections now.
 *
 * @param page Sends the page of the refusal, and ends the connection
 */
export function answerConnect(
  server: Server,
  page: (incoming: IncomingMessage, connection: Connection) => void,
): () => void {
  const connections = new Set<Connection>();
  server.on("connect", (incoming, duplex) => {
    const connection = duplex as Connection; // It listens on TCP, or on TLS over TCP.
    let isAnswered = false;
    const answer = (): void => {
      const earlier = connection._httpMessage ?? undefined;
      if (earlier !== undefined) {
        earlier.once("close", answer);
        return;
      }
      isAnswered = true;
      page(incoming, connection);
    };
    connections.add(connection);
    // Unheard, a client that leaves would end the process.
    connection.on("error", () => {});
    connection.on("drain", () => connection._httpMessage?.emit("drain"));
    connection.on("end", () => {
      if (!isAnswered) connection.destroy();
    });
    connection.once("close", () => {
      connections.delete(connection);
      for (const outgoing of waiting.get(connection) ?? []) outgoing.destroy();
    });
    // Else its end would not be seen.
    connection.resume();
    answer();
  });
  return () => {
    for (const connection of connections) connection.destroy();
  };
}
