/**
 * HTTP/2 on Node: connections that a TLS server hands on, whose streams become requests, and
 * answers that are sent like those of HTTP/1.1.
 */

import { type OutgoingHttpHeaders, validateHeaderName, validateHeaderValue } from "node:http";
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Outgoing } from "./_node_answer.ts";
import { isHost, isNormalUrl, normalUrl } from "./_normal_url.ts";
import { isServedMethod } from "./_served_method.ts";

/** Exchanges at once on one connection: as many as other servers allow; Node has no bound. */
const STREAMS_MAX = 128;

/** Bytes of a header; the same as Node's for HTTP/1.1. */
const HEADER_BYTES_MAX = 16 * 1024;

/** Milliseconds after which a connection without an exchange is closed. */
const IDLE_MS = 60_000;

/** A request that cannot be handed on. */
export interface RefusedHttp2 {
  readonly status: number;
  readonly method: string;
  readonly headers: Headers;
}

/** Answers a request. */
export type AnswerHttp2 = (request: Request | RefusedHttp2, outgoing: Outgoing) => void;

/** Fields of a header; the same as Node's for HTTP/1.1. */
const FIELDS_MAX = 2000;

const OPTIONS = {
  maxHeaderListPairs: FIELDS_MAX,
  settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
};

/** The connections that speak HTTP/2. */
export class Http2Connections {
  readonly #answer: AnswerHttp2;
  readonly #connections = new Set<ServerHttp2Session>();

  constructor(answer: AnswerHttp2) {
    this.#answer = answer;
  }

  /** Speaks HTTP/2 on `socket`, whose client has asked for it. */
  accept(socket: TLSSocket): void {
    const connection = performServerHandshake(socket, OPTIONS);
    let streams = 0;
    this.#connections.add(connection);
    connection.once("close", () => this.#connections.delete(connection));
    // What has gone wrong, here and with a stream, is seen in how it is closed.
    connection.on("error", () => {});
    connection.on("stream", (stream, headers) => {
      streams++;
      stream.once("close", () => streams--);
      stream.on("error", () => {});
      this.#answer(requestOf(stream, headers), new Http2Outgoing(stream, headers, socket));
    });
    connection.setTimeout(IDLE_MS, () => {
      if (streams === 0) connection.close();
    });
  }

  /** Closes each when its exchanges are over. */
  drain(): void {
    for (const connection of this.#connections) connection.close();
  }

  cut(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

/** The request on `stream`, or what is to be said of it. */
function requestOf(
  stream: ServerHttp2Stream,
  fields: IncomingHttpHeaders,
): Request | RefusedHttp2 {
  const method = fields[":method"] ?? "";
  const authority = fields[":authority"] ?? fields.host ?? "";
  const headers = new Headers();
  for (const name in fields) {
    const value = fields[name];
    if (!name.startsWith(":") && value !== undefined) headers.append(name, String(value));
  }
  headers.set("host", authority);
  if (!isServedMethod(method)) return { status: 501, method, headers };
  const path = fields[":path"] ?? "";
  const url = urlOf(authority, method === "OPTIONS" && path === "*" ? "/" : path);
  if (url === undefined) return { status: 400, method, headers };
  const hasBody = method !== "GET" && method !== "HEAD" && !stream.endAfterHeaders;
  if (!hasBody) return new Request(url, { method, headers });
  if (headers.get("expect")?.toLowerCase() === "100-continue") {
    stream.additionalHeaders({ ":status": 100 });
  }
  const init: RequestInit & { duplex: "half" } = {
    method,
    headers,
    body: bodyOf(stream),
    duplex: "half",
  };
  return new Request(url, init);
}

function urlOf(authority: string, target: string): string | undefined {
  if (authority === "" || !isHost(authority) || !target.startsWith("/")) return undefined;
  const url = `https://${authority}${target}`;
  return isNormalUrl(url) ? url : normalUrl(url, null, "");
}

/** What the client sends, taken as it is read. */
function bodyOf(stream: ServerHttp2Stream): ReadableStream<Uint8Array> {
  const chunks = stream.iterator({ destroyOnReturn: false });
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (!done) return controller.enqueue(value);
      // Node takes a stream that was reset for one that has ended.
      if (stream.aborted) throw new DOMException("The client has left", "AbortError");
      controller.close();
    },
    async cancel() {
      await chunks.return?.();
    },
  }, { highWaterMark: 0 });
}

/** RFC 9113, section 8.2.2: HTTP/2 says otherwise what these say. */
const CONNECTION_FIELDS = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
];

/** An answer of HTTP/2, as one of HTTP/1.1. */
class Http2Outgoing implements Outgoing {
  readonly req: Outgoing["req"];
  /** There is none in HTTP/2. */
  statusMessage = "";
  /** What is left of a request is not waited for, anyhow. */
  shouldKeepAlive = true;
  strictContentLength = false;
  readonly #stream: ServerHttp2Stream;
  /** Bytes that the header has promised and that were not written. */
  #owed: number | undefined = undefined;
  #isEnded = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, socket: TLSSocket) {
    this.#stream = stream;
    this.req = { method: headers[":method"], socket };
    if (stream.endAfterHeaders) return;
    // The client may have more to say, to which nobody listens any more.
    stream.once("finish", () => {
      if (!stream.readableEnded) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get destroyed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  get closed(): boolean {
    return this.#stream.closed;
  }

  /** Node ends and finishes a stream that was reset. */
  get writableFinished(): boolean {
    const { writableFinished, rstCode } = this.#stream;
    return this.#isEnded && writableFinished && rstCode === constants.NGHTTP2_NO_ERROR;
  }

  writeHead(status: number, fields: OutgoingHttpHeaders): void {
    const sent: OutgoingHttpHeaders = { ":status": status };
    for (const name in fields) {
      const value = fields[name];
      if (value === undefined || CONNECTION_FIELDS.includes(name)) continue;
      validateHeaderName(name);
      for (const one of [value].flat()) validateHeaderValue(name, String(one));
      sent[name] = value;
    }
    const length = fields["content-length"];
    if (length !== undefined) this.#owed = Number(length);
    this.#stream.respond(sent);
    // Node ends what has no body.
    this.#isEnded = this.#stream.writableEnded;
  }

  flushHeaders(): void {
    // They have left already.
  }

  write(chunk: Uint8Array): boolean {
    this.#pay(chunk.length);
    return this.#stream.write(chunk);
  }

  end(chunk?: string | Uint8Array): void {
    if (this.#isEnded) return;
    if (chunk !== undefined) this.#pay(Buffer.byteLength(chunk));
    if (this.strictContentLength && (this.#owed ?? 0) > 0) {
      throw new RangeError(`Cannot send a response: ${this.#owed} bytes of its body are missing`);
    }
    this.#isEnded = true;
    this.#stream.end(chunk);
  }

  destroy(): void {
    this.#stream.destroy(new Error("The answer has failed"));
  }

  once(event: "close" | "drain", listener: () => void): void {
    this.#stream.once(event, listener);
  }

  on(event: "close" | "drain", listener: () => void): void {
    this.#stream.on(event, listener);
  }

  off(event: "close" | "drain", listener: () => void): void {
    this.#stream.off(event, listener);
  }

  #pay(bytes: number): void {
    if (this.#owed === undefined) return;
    this.#owed -= bytes;
    if (this.strictContentLength && this.#owed < 0) {
      throw new RangeError("Cannot send a response: its body is longer than it says");
    }
  }
}
