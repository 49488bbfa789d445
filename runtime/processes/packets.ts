/**
 * The packets that pass between a pool and its workers: `packets.bare` has their schema. Before each
 * message stands its size. What is read may be anything: it is refused with `bad_packet`, or it is
 * a message that can be passed on to a client as it is.
 *
 * It is what the compiler of bare-ts would make of the schema, and differs in three things: bodies are
 * not copied; most texts are cut out of one; and texts and bodies of 16 KiB and more get their right
 * length, which the library's own `writeString` and `writeU8Array` (0.6.0) spoil. `packet_reader.ts`
 * finds packets in a stream, `packet_headers.ts` makes their headers.
 */

import {
  BareError,
  ByteCursor,
  Config,
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

/** Texts of fewer characters are written by the library, which writes their lengths as it should. */
const SHORT_TEXT = 256;

/** Bytes of a message that are made a text all at once: all but its body, as a rule. */
const HEAD_BYTES = 4096;

/** More bytes than any tag, status, count or length takes. */
const NUMBER_BYTES = 8;

const CONFIG = Config({ maxBufferLength: SIZE_BYTES + PACKET_BYTES_MAX });

const encoder = new TextEncoder();
// The library's own decoder would drop a byte order mark.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Makes one character of each byte; those below 0x80 are ASCII, and no others are. */
const singleByteDecoder = new TextDecoder("latin1");

// deno-lint-ignore no-control-regex -- ASCII begins with the control characters
const ASCII = /^[\x00-\x7f]*$/;
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
  return decode("a request", message, (reading) => {
    const tag = readU8(reading.cursor);
    if (tag === HEALTH_CHECK_TAG) return HEALTH_CHECK;
    if (tag !== HTTP_TAG) throw new BareError(0, `tag ${tag} is reserved`);
    return {
      remoteAddress: readText(reading),
      uri: readText(reading),
      method: readText(reading),
      headers: readFields(reading, readValue),
      body: readBody(reading),
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
  return decode("an answer", message, (reading) => {
    const tag = readU8(reading.cursor);
    if (tag !== HTTP_TAG) throw new BareError(0, `tag ${tag} is reserved`);
    const status = readUintSafe(reading.cursor);
    if (!isStatus(status)) throw new BareError(1, `status ${status} is not from 200 to 599`);
    const headers = readFields(reading, readValues);
    return { status, headers, body: readBody(reading) };
  });
}

/**
 * Whether the answer of a message has neither headers nor a body.
 *
 * @throws {AlcedoError} `bad_packet` if it is no answer.
 */
export function isEmptyAnswer(message: Uint8Array<ArrayBuffer>): boolean {
  const { headers, body } = decodeResponse(message);
  return headers.size === 0 && body.length === 0;
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

/** A message that is being read. */
interface Reading {
  readonly message: Uint8Array<ArrayBuffer>;
  readonly cursor: ByteCursor;
  /**
   * Its beginning, a character for each byte. Most texts are ASCII, and stand in there: to cut them out
   * takes a third of the time that it takes to decode them one by one.
   */
  readonly head: string;
}

function decode<T>(
  what: string,
  message: Uint8Array<ArrayBuffer>,
  read: (reading: Reading) => T,
): T {
  try {
    const cursor = new ByteCursor(message, CONFIG);
    const head = singleByteDecoder.decode(message.subarray(0, HEAD_BYTES));
    const result = read({ message, cursor, head });
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
  if (text.length < SHORT_TEXT) {
    if (!writeAscii(cursor, text)) writeString(cursor, text.toWellFormed());
    return;
  }
  const bytes = encoder.encode(text);
  writeUintSafe(cursor, bytes.length);
  writeU8FixedArray(cursor, bytes);
}

/** Writes a text whose characters are bytes, as nearly all are; `false` if it is none. */
function writeAscii(cursor: ByteCursor, text: string): boolean {
  const { bytes, offset } = cursor;
  writeUintSafe(cursor, text.length);
  let at = cursor.offset;
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (character > 0x7f) {
      cursor.offset = offset;
      return false;
    }
    bytes[at++] = character;
  }
  cursor.offset = at;
  return true;
}

function readText({ cursor, head }: Reading): string {
  const length = readUintSafe32(cursor);
  const end = cursor.offset + length;
  if (end <= head.length) {
    const text = head.slice(cursor.offset, end);
    if (ASCII.test(text)) {
      cursor.offset = end;
      return text;
    }
  }
  return decoder.decode(readUnsafeU8FixedArray(cursor, length));
}

/** A map of header fields; what could not be sent on is refused. */
function readFields<T>(reading: Reading, read: (reading: Reading) => T): Map<string, T> {
  const fields = new Map<string, T>();
  for (let left = readCount(reading); left > 0; left--) {
    const { offset } = reading.cursor;
    const name = readText(reading);
    if (!TOKEN.test(name)) throw new BareError(offset, "header name is no token");
    if (fields.has(name)) throw new BareError(offset, `header ${name} is there twice`);
    fields.set(name, read(reading));
  }
  return fields;
}

function readValues(reading: Reading): string[] {
  const values: string[] = [];
  for (let left = readCount(reading); left > 0; left--) values.push(readValue(reading));
  return values;
}

function readValue(reading: Reading): string {
  const { offset } = reading.cursor;
  const value = readText(reading);
  if (CONTROL.test(value)) throw new BareError(offset, "header value has a control character");
  return value;
}

function readCount({ cursor }: Reading): number {
  const { offset } = cursor;
  const count = readUintSafe(cursor);
  if (count > PACKET_FIELDS_MAX) throw new BareError(offset, `${count} headers are too many`);
  return count;
}

function readBody({ message, cursor }: Reading): Uint8Array<ArrayBuffer> {
  const { length } = readUnsafeU8FixedArray(cursor, readUintSafe32(cursor));
  return message.subarray(cursor.offset - length, cursor.offset);
}
