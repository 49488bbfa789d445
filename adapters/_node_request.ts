/**
 * What Node's parser lets through, or refuses with the wrong status: two hosts, targets that are
 * no paths, transfer codings, versions and methods that nobody knows.
 */

import { IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { STATUS_TEXT } from "#std/http/status";
import type { Connection } from "./_node_connect.ts";
import { isHost, normalUrl } from "./_normal_url.ts";
import { isServedMethod } from "./_served_method.ts";

/**
 * The status to refuse `incoming` with, or 0. A target that is no path becomes one, or an
 * absolute URL that is normal.
 */
export function refusalOf(incoming: IncomingMessage): number {
  if (incoming.httpVersionMajor !== 1) return 505;
  if (!isServedMethod(incoming.method ?? "")) return 501;
  const { rawHeaders } = incoming;
  let hosts = 0;
  // Node makes an object of them only where one is asked for.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    if (name.length === HOST.length && name.toLowerCase() === HOST) hosts++;
    if (name.length === CODING.length && name.toLowerCase() === CODING) {
      if (rawHeaders[i + 1]?.toLowerCase() !== "chunked") return 501;
    }
  }
  if (hosts > 1) return 400;
  return incoming.url?.charCodeAt(0) === SLASH || takeTarget(incoming) ? 0 : 400;
}

const HOST = "host";
const CODING = "transfer-encoding";
const SLASH = 47;

/** Puts a target that is no path into the form that it can be handed on in, if there is one. */
function takeTarget(incoming: IncomingMessage): boolean {
  const { url = "", method, headers } = incoming;
  if (url === "*") {
    incoming.url = "/";
    return method === "OPTIONS";
  }
  if (!/^https?:\/\/[^/]/i.test(url) || !isHost(headers.host ?? "")) return false;
  const normal = normalUrl(url, null, "");
  if (normal !== undefined) incoming.url = normal;
  return normal !== undefined;
}

/** What Node's parser finds wrong, with more in it than its type says. */
interface ParserError extends Error {
  readonly code?: string;
  readonly rawPacket?: Uint8Array;
  readonly bytesParsed?: number;
}

/**
 * A response without a request, on a connection that ends with it.
 *
 * @param incoming As far as there is one
 */
export function outgoingOn(
  connection: Socket,
  incoming: IncomingMessage = new IncomingMessage(connection),
): ServerResponse {
  const outgoing = new ServerResponse(incoming);
  outgoing.assignSocket(connection);
  outgoing.once("finish", () => connection.destroySoon());
  // After a CONNECT nobody else listens, and a client that leaves would end the process.
  connection.on("error", () => {});
  return outgoing;
}

/**
 * Answers what Node's parser refuses as Node would, but for three things: an unknown method is
 * 501, the answer leaves after those to the requests that came before, and it has a page.
 *
 * @param page Sends the page of a status
 */
export function answerParserErrors(
  server: Server,
  page: (status: number, outgoing: ServerResponse) => void,
): void {
  const refused = new WeakSet<Duplex>();
  const refuse = (error: ParserError, connection: Connection): void => {
    const outgoing = connection._httpMessage ?? undefined;
    // Otherwise it is the body of that very request that is wrong.
    if (outgoing?.req.complete && connection.writable) {
      outgoing.once("close", () => refuse(error, connection));
    } else if (outgoing !== undefined || !connection.writable || isUnused(error, connection)) {
      cutOff(error, connection);
    } else page(statusOf(error), outgoingOn(connection));
  };
  server.on("clientError", (error: ParserError, connection) => {
    // All that follows on this connection is wrong, too.
    if (refused.has(connection)) return;
    refused.add(connection);
    // A server over TCP has no others.
    refuse(error, connection as Connection);
  });
}

/** Whether it is a connection that was opened, and nothing more: no request, and no answer to it. */
function isUnused({ code }: ParserError, { bytesRead }: Connection): boolean {
  return code === "ERR_HTTP_REQUEST_TIMEOUT" && bytesRead === 0;
}

/** Ends a connection; what is on its way there gets a status, if it has none yet. */
function cutOff(error: ParserError, connection: Connection): void {
  const outgoing = connection._httpMessage;
  if (connection.writable && outgoing && !outgoing.headersSent) {
    const status = statusOf(error);
    connection.write(`HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\nConnection: close\r\n\r\n`);
  }
  connection.destroy(error);
}

const PARSER_STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

function statusOf(
  { code = "", rawPacket = new Uint8Array(), bytesParsed = 0 }: ParserError,
): number {
  const text = new TextDecoder("latin1").decode(rawPacket);
  if (code === "HPE_HEADER_OVERFLOW" && /^[A-Z-]+ \S*$/.test(text.slice(0, bytesParsed))) {
    // It came no further than the URL.
    return 414;
  }
  if (code !== "HPE_INVALID_METHOD") return PARSER_STATUS[code] ?? 400;
  const line = text.slice(text.lastIndexOf("\n", Math.max(0, bytesParsed - 1)) + 1);
  return /^[\w!#$%&'*+.^`|~-]+ [\/*]/.test(line) ? 501 : 400;
}
