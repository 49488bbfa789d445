/**
 * The packets that pass between a pool and its workers: `packets.bare` has their schema. Before each
 * message stands its size. What is read may be anything: it is refused with `bad_packet`, or it is
 * a message that can be passed on to a client as it is.
 *
 * It is what the compiler of bare-ts would make of the schema, and differs where it has to: bodies are
 * not copied, and texts and bodies of 16 KiB and more get their right length, which the library's own
 * `writeString` and `writeU8Array` (0.6.0) spoil. `packet_reader.ts` finds packets in a stream,
 * `packet_headers.ts` makes their headers.
 */

import {
  BareError,
  ByteCursor,
  Config,
  readFixedString,
  readU8,
  readUintSafe,
  readUintSafe32,
  readUnsafeU8FixedArray,
  writeString,
  writeU8,
  writeU8FixedArray,
  writeUintSafe,
} from "@bare-ts/lib";
import { AlcedoError } from "../errors.ts";
import { PACKET_BYTES_MAX, PACKET_FIELDS_MAX } from "../limits.ts";

/** A request, as a worker gets it. */
export interface HttpRequest {
  /** The peer, as `host:port`; empty if unknown. */
  readonly remoteAddress: string;
  /** Absolute, and normalised as the WHATWG URL standard says. */
  readonly uri: string;
  readonly method: string;
  /** By their canonical names: `Content-Type`. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The request that asks a worker for nothing but to be alive. */
export const HEALTH_CHECK = "health check";
export type HealthCheck = typeof HEALTH_CHECK;

/** An answer, as a worker gives it. */
export interface HttpResponse {
  /** From 200 to 599: an answer is final. */
  readonly status: number;
  /** Tokens, with values that have no control characters but tabs. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Bytes of the size before each message. */
export const SIZE_BYTES = 4;

const HTTP_TAG = 0;
const HEALTH_CHECK_TAG = 1;

/** Texts of fewer characters are written, and of fewer bytes read, by the library, which is quick. */
const SHORT_TEXT = 256;

/** More bytes than any tag, status, count or length takes. */
const NUMBER_BYTES = 8;

const CONFIG = Config({ maxBufferLength: SIZE_BYTES + PACKET_BYTES_MAX });

const encoder = new TextEncoder();
// The library's own decoder would drop a byte order mark.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// deno-lint-ignore no-control-regex -- control characters are what it finds
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * A whole packet with a request, its size included.
 *
 * @throws {RangeError} if it would be larger than the protocol can say.
 */
export function encodeRequest(request: HttpRequest | HealthCheck): Uint8Array<ArrayBuffer> {
  if (request === HEALTH_CHECK) return Uint8Array.of(1, 0, 0, 0, HEALTH_CHECK_TAG);
  const { remoteAddress, uri, method, headers, body } = request;
  let textBytes = bytesOf(remoteAddress) + bytesOf(uri) + bytesOf(method);
  for (const [name, value] of headers) textBytes += bytesOf(name) + bytesOf(value);
  return encode(textBytes, body, (cursor) => {
    writeU8(cursor, HTTP_TAG);
    writeText(cursor, remoteAddress);
    writeText(cursor, uri);
    writeText(cursor, method);
    writeUintSafe(cursor, headers.size);
    for (const [name, value] of headers) {
      writeText(cursor, name);
      writeText(cursor, value);
    }
  });
}

/**
 * The request of a message, its size left out. Its body is a view of `message`.
 *
 * @throws {AlcedoError} `bad_packet` if it is none.
 */
export function decodeRequest(message: Uint8Array<ArrayBuffer>): HttpRequest | HealthCheck {
  return decode("a request", message, (cursor) => {
    const tag = readU8(cursor);
    if (tag === HEALTH_CHECK_TAG) return HEALTH_CHECK;
    if (tag !== HTTP_TAG) throw new BareError(0, `tag ${tag} is reserved`);
    return {
      remoteAddress: readText(cursor),
      uri: readText(cursor),
      method: readText(cursor),
      headers: readFields(cursor, readValue),
      body: readBody(cursor, message),
    };
  });
}

/**
 * A whole packet with an answer, its size included.
 *
 * @throws {RangeError} if it would be larger than the protocol can say, or has a status that is none.
 */
export function encodeResponse(response: HttpResponse): Uint8Array<ArrayBuffer> {
  const { status, headers, body } = response;
  if (!isStatus(status)) {
    throw new RangeError(`Cannot write answer: status ${status} is not from 200 to 599`);
  }
  let textBytes = 0;
  for (const [name, values] of headers) {
    textBytes += bytesOf(name) + NUMBER_BYTES;
    for (const value of values) textBytes += bytesOf(value);
  }
  return encode(textBytes, body, (cursor) => {
    writeU8(cursor, HTTP_TAG);
    writeUintSafe(cursor, status);
    writeUintSafe(cursor, headers.size);
    for (const [name, values] of headers) {
      writeText(cursor, name);
      writeUintSafe(cursor, values.length);
      for (const value of values) writeText(cursor, value);
    }
  });
}

/**
 * The answer of a message, its size left out. Its body is a view of `message`.
 *
 * @throws {AlcedoError} `bad_packet` if it is none, or could not be sent to a client as it is.
 */
export function decodeResponse(message: Uint8Array<ArrayBuffer>): HttpResponse {
  return decode("an answer", message, (cursor) => {
    const tag = readU8(cursor);
    if (tag !== HTTP_TAG) throw new BareError(0, `tag ${tag} is reserved`);
    const status = readUintSafe(cursor);
    if (!isStatus(status)) throw new BareError(1, `status ${status} is not from 200 to 599`);
    const headers = readFields(cursor, readValues);
    return { status, headers, body: readBody(cursor, message) };
  });
}

function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599;
}

/** The bytes that a text takes at most. */
function bytesOf(text: string): number {
  return NUMBER_BYTES + 3 * text.length;
}

/** A packet with what `write` writes, of `textBytes` and three numbers at most, and with `body`. */
function encode(
  textBytes: number,
  body: Uint8Array,
  write: (cursor: ByteCursor) => void,
): Uint8Array<ArrayBuffer> {
  const bytesMax = SIZE_BYTES + 4 * NUMBER_BYTES + textBytes + body.length;
  if (bytesMax > PACKET_BYTES_MAX) {
    throw new RangeError(
      `Cannot write packet: ${bytesMax} bytes are more than ${PACKET_BYTES_MAX}`,
    );
  }
  const packet = new Uint8Array(bytesMax);
  const cursor = new ByteCursor(packet, CONFIG);
  cursor.offset = SIZE_BYTES;
  write(cursor);
  writeUintSafe(cursor, body.length);
  writeU8FixedArray(cursor, body);
  cursor.view.setInt32(0, cursor.offset - SIZE_BYTES, true);
  return packet.subarray(0, cursor.offset);
}

function decode<T>(what: string, message: Uint8Array, read: (cursor: ByteCursor) => T): T {
  try {
    const cursor = new ByteCursor(message, CONFIG);
    const result = read(cursor);
    if (cursor.offset < message.length) throw new BareError(cursor.offset, "more bytes follow");
    return result;
  } catch (cause) {
    // Decoders throw a TypeError for what is not UTF-8.
    if (!(cause instanceof BareError) && !(cause instanceof TypeError)) throw cause;
    const why = cause instanceof BareError
      ? `${cause.issue} at byte ${cause.offset}`
      : "invalid UTF-8";
    throw new AlcedoError("bad_packet", `Cannot read packet as ${what}: ${why}`, { cause });
  }
}

function writeText(cursor: ByteCursor, text: string): void {
  if (text.length < SHORT_TEXT) return writeString(cursor, text.toWellFormed());
  const bytes = encoder.encode(text);
  writeUintSafe(cursor, bytes.length);
  writeU8FixedArray(cursor, bytes);
}

function readText(cursor: ByteCursor): string {
  const length = readUintSafe32(cursor);
  return length < SHORT_TEXT
    ? readFixedString(cursor, length)
    : decoder.decode(readUnsafeU8FixedArray(cursor, length));
}

/** A map of header fields; what could not be sent on is refused. */
function readFields<T>(cursor: ByteCursor, read: (cursor: ByteCursor) => T): Map<string, T> {
  const fields = new Map<string, T>();
  for (let left = readCount(cursor); left > 0; left--) {
    const { offset } = cursor;
    const name = readText(cursor);
    if (!TOKEN.test(name)) throw new BareError(offset, "header name is no token");
    if (fields.has(name)) throw new BareError(offset, `header ${name} is there twice`);
    fields.set(name, read(cursor));
  }
  return fields;
}

function readValues(cursor: ByteCursor): string[] {
  const values: string[] = [];
  for (let left = readCount(cursor); left > 0; left--) values.push(readValue(cursor));
  return values;
}

function readValue(cursor: ByteCursor): string {
  const { offset } = cursor;
  const value = readText(cursor);
  if (CONTROL.test(value)) throw new BareError(offset, "header value has a control character");
  return value;
}

function readCount(cursor: ByteCursor): number {
  const { offset } = cursor;
  const count = readUintSafe(cursor);
  if (count > PACKET_FIELDS_MAX) throw new BareError(offset, `${count} headers are too many`);
  return count;
}

function readBody(
  cursor: ByteCursor,
  message: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const { length } = readUnsafeU8FixedArray(cursor, readUintSafe32(cursor));
  return message.subarray(cursor.offset - length, cursor.offset);
}
