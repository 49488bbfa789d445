/**
 * Sends responses on Node: late ones, bytes, streams, and what is wrong with any. It is here
 * because `@hono/node-server` prints the errors that it meets while it sends, and shows their
 * messages to the client.
 */

import type { OutgoingHttpHeaders } from "node:http";
import { failurePage, notAResponse } from "./_failure.ts";
import { type BodyTest, trustedBodyTest } from "./_static_body.ts";

/** What an answer leaves through: Node's own `ServerResponse`, or what is one for HTTP/2. */
export interface Outgoing {
  readonly req: {
    readonly method?: string | undefined;
    readonly socket: {
      readonly remoteAddress?: string | undefined;
      readonly remotePort?: number | undefined;
    };
  };
  /** `null` while the answers before it are on their way, on a connection that sends one at a time. */
  readonly socket?: object | null;
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  readonly closed: boolean;
  readonly writableFinished: boolean;
  statusMessage: string;
  shouldKeepAlive: boolean;
  strictContentLength: boolean;
  writeHead(status: number, fields: OutgoingHttpHeaders): unknown;
  flushHeaders(): void;
  write(chunk: Uint8Array): boolean;
  end(chunk?: string | Uint8Array): unknown;
  destroy(): unknown;
  on(event: "close" | "drain", listener: () => void): unknown;
  once(event: "close" | "drain" | "socket", listener: () => void): unknown;
  off(event: "close" | "drain", listener: () => void): unknown;
}

/** How responses are sent. Nothing here throws. */
export interface Answerer {
  /** Whether `response` is text that `@hono/node-server` sends as it should be sent. */
  isPlainText(response: Response): boolean;
  /** Whether the body of `response` surely was complete when it was made. */
  readonly hasStaticBody: BodyTest;
  /** What the header of `response` says of the size of its body. */
  contentLength(response: Response): string | null;
  /** Sends what a handler returned, or a page for what is wrong with it. */
  send(outgoing: Outgoing, response: Response): void;
  /** Reports `error`, and answers with a page for it, or cuts off what was begun. */
  fail(outgoing: Outgoing, error: unknown): void;
}

/** What a response consists of; a lightweight one of `@hono/node-server` holds just that. */
type Parts = readonly [status: number, body: unknown, headers: HeadersInit | undefined];

type Report = (error: unknown) => void;

/** A response with whatever it holds under symbols. */
type Opened = Response & { readonly [key: symbol]: unknown };

/** To be called when `@hono/node-server` has put its `Response` in place. */
export function createAnswerer(report: Report): Answerer {
  const LightResponse = Response;
  const NativeResponse = nativeOf(LightResponse);
  const partsKey = findPartsKey();

  function lightParts(response: Response): Parts | undefined {
    return partsKey && (response as Opened)[partsKey] as Parts | undefined;
  }

  function isPlainText(response: Response): boolean {
    if (!(response instanceof LightResponse)) return false;
    const parts = lightParts(response);
    return parts !== undefined && typeof parts[1] === "string" &&
      hasBodyStatus(parts[0]) && isSentWell(parts[2]);
  }

  function isComplete(response: Response): boolean {
    const parts = lightParts(response);
    if (parts === undefined) return response.body === null;
    return isWhole(parts[1]) || parts[1] instanceof Blob;
  }

  function partsOf(response: Response): Parts {
    const parts = lightParts(response);
    if (parts !== undefined) return parts;
    if (response.bodyUsed) throw new TypeError("Cannot send a response: its body was read");
    return [response.status, response.body, response.headers];
  }

  function send(outgoing: Outgoing, response: Response): void {
    try {
      if (!(response instanceof NativeResponse)) throw notAResponse(response);
      sendParts(outgoing, partsOf(response), report);
    } catch (error) {
      fail(outgoing, error);
    }
  }

  function fail(outgoing: Outgoing, error: unknown): void {
    if (outgoing.headersSent || outgoing.destroyed) {
      report(error);
      cutOff(outgoing);
      return;
    }
    try {
      // It is that of the failed response, and would stay.
      outgoing.statusMessage = "";
      sendParts(outgoing, partsOf(failurePage(error, report)), report);
    } catch (worse) {
      report(worse);
      cutOff(outgoing);
    }
  }

  /** A lightweight response that is asked for its headers is another one from then on. */
  function contentLength(response: Response): string | null {
    const parts = lightParts(response);
    if (parts === undefined) return response.headers.get("content-length");
    return new Headers(parts[2]).get("content-length");
  }

  return {
    isPlainText,
    hasStaticBody: trustedBodyTest(isComplete),
    contentLength,
    send,
    fail,
  };
}

const FIELD_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const ASCII = /^[\t\x20-\x7e]*$/;
/** What says where a message ends, and so has to be true. */
const FRAMING_FIELDS = ["content-length", "transfer-encoding", "trailer"];

/** The symbol under which lightweight responses hold their parts, if these are such. */
function findPartsKey(): symbol | undefined {
  const sample = new Response("text", { status: 201 }) as Opened;
  return Object.getOwnPropertySymbols(sample).find((key) => {
    const parts = sample[key];
    return Array.isArray(parts) && parts[0] === 201 && parts[1] === "text";
  });
}

/** The class that all responses are of: fetched ones are not lightweight. */
function nativeOf(light: typeof Response): typeof Response {
  const parent: unknown = Object.getPrototypeOf(light.prototype);
  const native = parent instanceof Object ? parent.constructor : undefined;
  return typeof native === "function" && native.name === "Response"
    ? native as typeof Response
    : light;
}

/** Whether a body can come with `status`, which lightweight responses do not check. */
function hasBodyStatus(status: number): boolean {
  return status >= 200 && status <= 599 && !isBodiless(status) && Number.isInteger(status);
}

function isBodiless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/**
 * Whether `@hono/node-server` makes of `headers` the right fields for text, and without an
 * error: it adds no content type to a record, and checks neither lengths nor names.
 */
function isSentWell(headers: HeadersInit | undefined): boolean {
  if (headers === undefined) return true;
  if (headers instanceof Headers || Array.isArray(headers)) return false;
  let saysType = false;
  for (const name in headers) {
    const value: unknown = (headers as Record<string, unknown>)[name];
    if (typeof value !== "string" || !ASCII.test(value) || !FIELD_NAME.test(name)) return false;
    const lower = name.toLowerCase();
    if (lower === "content-type") saysType = true;
    else if (FRAMING_FIELDS.includes(lower)) return false;
  }
  return saysType;
}

function isWhole(body: unknown): body is string | Uint8Array | null {
  return body === null || typeof body === "string" || body instanceof Uint8Array;
}

/** @throws if the response is not one that can be sent; nothing was sent then. */
function sendParts(outgoing: Outgoing, parts: Parts, report: Report): void {
  const [status, body, headers] = parts;
  if (!(hasBodyStatus(status) || body === null && isBodiless(status))) {
    throw new RangeError(
      `Cannot send a response: its status is ${status}, with ${body === null ? "no" : "a"} body`,
    );
  }
  const fields = fieldsOf(headers);
  if (isWhole(body)) {
    if (!outgoing.destroyed) sendWhole(outgoing, status, fields, body);
  } else if (body instanceof Blob) {
    fields["content-length"] ??= body.size;
    if (body.type !== "") fields["content-type"] ??= body.type;
    sendStream(outgoing, status, fields, body.stream(), report);
  } else if (body instanceof ReadableStream) {
    sendStream(outgoing, status, fields, body, report);
  } else {
    throw new TypeError("Cannot send a response: its body is not one");
  }
}

/** Header fields for `writeHead`, which checks them. */
function fieldsOf(headers: HeadersInit | undefined): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = {};
  if (headers === undefined) return fields;
  if (!(headers instanceof Headers || Array.isArray(headers))) {
    for (const name in headers) {
      fields[name.toLowerCase()] = String((headers as Record<string, unknown>)[name]);
    }
    return fields;
  }
  for (const [name, value] of headers instanceof Headers ? headers : new Headers(headers)) {
    const cookies = fields["set-cookie"];
    if (name !== "set-cookie") fields[name] = value;
    else if (Array.isArray(cookies)) cookies.push(value);
    else fields[name] = [value];
  }
  return fields;
}

function sendWhole(
  outgoing: Outgoing,
  status: number,
  fields: OutgoingHttpHeaders,
  body: string | Uint8Array | null,
): void {
  if (typeof body === "string") fields["content-type"] ??= "text/plain;charset=UTF-8";
  if (body !== null) {
    const size = Buffer.byteLength(body);
    const said = fields["content-length"];
    // It would leave the client with a part of the next answer, or waiting for the rest.
    if (said !== undefined && Number(said) !== size && outgoing.req.method !== "HEAD") {
      throw new RangeError(`Cannot send a response: it says ${said} bytes, and has ${size}`);
    }
    if (fields["transfer-encoding"] === undefined) fields["content-length"] ??= size;
  } else if (!isBodiless(status) && outgoing.req.method !== "HEAD") {
    fields["content-length"] = 0;
  }
  outgoing.writeHead(status, fields);
  if (body === null) return void outgoing.end();
  // Node sends a head and a text as one text, in UTF-8; fields are Latin 1.
  const content = typeof body === "string" && !hasAsciiFields(fields) ? Buffer.from(body) : body;
  // Of an answer that waits for others, Node would put the head before a 100 that waits, too.
  if (outgoing.socket === null && typeof content !== "string") outgoing.flushHeaders();
  outgoing.end(content);
}

function hasAsciiFields(fields: OutgoingHttpHeaders): boolean {
  for (const name in fields) if (!ASCII.test(String(fields[name]))) return false;
  return true;
}

/** @throws if the stream is locked or a header field is bad; nothing was sent then. */
function sendStream(
  outgoing: Outgoing,
  status: number,
  fields: OutgoingHttpHeaders,
  body: ReadableStream<unknown>,
  report: Report,
): void {
  const reader = body.getReader();
  outgoing.strictContentLength = true;
  if (!outgoing.destroyed) outgoing.writeHead(status, fields);
  if (outgoing.destroyed || outgoing.req.method === "HEAD") {
    reader.cancel().catch(report);
    outgoing.end();
    return;
  }
  outgoing.flushHeaders();
  void pump(reader, outgoing, report);
}

/** Writes what `reader` has, no faster than the client takes it, until either is at its end. */
async function pump(
  reader: ReadableStreamDefaultReader<unknown>,
  outgoing: Outgoing,
  report: Report,
): Promise<void> {
  let hasLeft = false;
  const leave = (): void => {
    hasLeft = true;
    reader.cancel(new DOMException("The client has left", "AbortError")).catch(report);
  };
  outgoing.once("close", leave);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (hasLeft) return;
      if (done) break;
      if (!(value instanceof Uint8Array)) {
        throw new TypeError("Cannot send a response's body: a chunk is not a Uint8Array");
      }
      if (!outgoing.write(value)) await drained(outgoing);
    }
    outgoing.off("close", leave);
    outgoing.end();
  } catch (error) {
    outgoing.off("close", leave);
    report(error);
    cutOff(outgoing);
    // Of no use to the stream if it is what failed.
    reader.cancel(error).catch(() => {});
  }
}

/**
 * Ends an exchange, and its connection: at once, or when the answers before it have left. Node's own
 * `destroy` does nothing to a connection that still sends those, which then waits for ever.
 */
function cutOff(outgoing: Outgoing): void {
  if (outgoing.socket === null) outgoing.once("socket", () => outgoing.destroy());
  else outgoing.destroy();
}

/** Resolves when `outgoing` takes more, or will never. */
function drained(outgoing: Outgoing): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      outgoing.off("drain", settle);
      outgoing.off("close", settle);
      resolve();
    };
    outgoing.on("drain", settle);
    outgoing.on("close", settle);
  });
}
