/**
 * Headers in packets and headers of the Web: names as `Content-Type` there, in any case here; one
 * value for each name of a request, several for one of an answer; text there, bytes here.
 */

import type { HttpRequest, HttpResponse } from "./packets.ts";

/** Names that are remembered with their canonical form: those that all clients send, and more. */
const NAMES_MAX = 256;

const canonicalNames = new Map<string, string>();

// deno-lint-ignore no-control-regex -- ASCII begins with the control characters
const ASCII = /^[\x00-\x7f]*$/;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A header name as it stands in packets: each word with a capital, `Content-Type`. */
export function canonicalName(name: string): string {
  const known = canonicalNames.get(name);
  if (known !== undefined) return known;
  const canonical = name.toLowerCase().replaceAll(
    /(?<=^|-)[a-z]/g,
    (letter) => letter.toUpperCase(),
  );
  if (canonicalNames.size < NAMES_MAX) canonicalNames.set(name, canonical);
  return canonical;
}

/**
 * The headers of a packet with a request. What is repeated is joined with commas (RFC 9110, section
 * 5.3), cookies with semicolons (RFC 6265, section 5.4).
 */
export function requestFields(
  headers: Iterable<readonly [name: string, value: string]>,
): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, bytes] of headers) {
    const key = canonicalName(name);
    const value = textOf(bytes);
    const before = fields.get(key);
    const separator = key === "Cookie" ? "; " : ", ";
    fields.set(key, before === undefined ? value : before + separator + value);
  }
  return fields;
}

/**
 * What makes the Web's headers of a request in a packet, such as `decodeRequest` gives it. Pairs, since
 * to make a `Request` of `Headers` takes Deno twice as long.
 */
export function requestHeaders(fields: HttpRequest["headers"]): [name: string, value: string][] {
  return Array.from(fields, ([name, value]) => [name, byteString(value)]);
}

/** The headers of a packet with an answer. */
export function responseFields(headers: Headers): HttpResponse["headers"] {
  const fields = new Map<string, string[]>();
  for (const [name, bytes] of headers) {
    const key = canonicalName(name);
    const values = fields.get(key);
    if (values === undefined) fields.set(key, [textOf(bytes)]);
    else values.push(textOf(bytes)); // `Set-Cookie`, the one that the Web does not join.
  }
  return fields;
}

/** What the bytes of a header say: UTF-8 if they are, Latin-1 if not. */
function textOf(bytes: string): string {
  if (ASCII.test(bytes)) return bytes;
  try {
    return utf8.decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
  } catch {
    return bytes; // Each character is its own code point: that is Latin-1.
  }
}

/** The bytes of a header that say `text` in UTF-8, each as a character: what the Web holds them in. */
export function byteString(text: string): string {
  if (ASCII.test(text)) return text;
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}
