/** What can become of a text of requests before it is sent. */

import type { Random } from "../support/random.ts";

type Mutation = (text: string, random: Random) => string;

/** Bytes that mean something, or must not be there. */
const SPECIAL = ["\0", "\n", "\r", "\r\n", "\r\n\r\n", "\t", " ", ":", ",", "%", "/", "\\", "\x7f"];
const HIGH = ["\x80", "\xc3", "\xff", "\xe2\x80\xa8"];

/** Fields that do not go together with what is there, or with anything. */
const FIELDS: readonly string[] = [
  "Content-Length: 5",
  "Content-Length: 18446744073709551617",
  "Content-Length: -1",
  "Content-Length: 5, 5",
  "Content-Length: 100000",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: \x0bchunked",
  "Host: other",
  "Host: a b",
  "Host:",
  "Expect: 100-continue",
  "Expect: more",
  "Connection: upgrade",
  "Upgrade: h2c",
  "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
  "Connection: close, keep-alive",
  "Trailer: content-length",
  " folded: field",
  "name : value",
];

const LINES: readonly string[] = [
  "GET /echo/x\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n",
  "TRACE /echo/x HTTP/1.1\r\nHost: test\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "get /echo/x HTTP/1.1\r\nHost: test\r\n\r\n",
];

const MUTATIONS: readonly Mutation[] = [
  (text, random) => {
    const at = random.upTo(text.length - 1);
    const flipped = text.charCodeAt(at) ^ 1 << random.upTo(7);
    return put(text, at, 1, String.fromCharCode(flipped));
  },
  (text, random) => put(text, random.upTo(text.length), 1, random.of(SPECIAL)),
  (text, random) => put(text, random.upTo(text.length), 0, random.of(SPECIAL)),
  (text, random) => put(text, random.upTo(text.length), 1, random.of(HIGH)),
  // Deletions and duplications.
  (text, random) => put(text, random.upTo(text.length), 1 + random.upTo(40), ""),
  (text, random) => {
    const from = random.upTo(text.length);
    const piece = text.slice(from, from + 1 + random.upTo(60));
    return put(text, random.chance(0.5) ? from : random.upTo(text.length), 0, piece);
  },
  // One request up to somewhere, and another from anywhere.
  (text, random) => text.slice(0, random.upTo(text.length)) + text.slice(random.upTo(text.length)),
  // Wrong lengths.
  (text, random) => replaceOne(text, random, /(?<=content-length: *)\d+/gi, changedNumber),
  (text, random) => replaceOne(text, random, /(?<=\r\n)[0-9a-f]+(?=[;\r])/gi, changedNumber),
  // Fields, and lines between requests.
  (text, random) =>
    replaceOne(text, random, /\r\n(?=[\w-]+:)/g, () => `\r\n${random.of(FIELDS)}\r\n`),
  (text, random) => replaceOne(text, random, /(?=(?:GET|POST|PUT) )/g, () => random.of(LINES)),
  (text, random) => replaceOne(text, random, /\r\n/g, () => random.of(["\n", "\r", "", "\r\n "])),
  (text, random) => random.chance(0.3) ? text.replaceAll("\r\n", "\n") : text,
  (text, random) => replaceOne(text, random, / HTTP\/1\.[01]/g, () => random.of(VERSIONS)),
  (text, random) => replaceOne(text, random, /(?<=\w+ )\/\S*/g, () => random.of(TARGETS)),
  // Pieces that are too large, now and then.
  (text, random) => {
    if (!random.chance(0.1)) return text;
    const size = 4000 + random.upTo(60_000);
    const place = random.of([/\r\n(?=[\w-]+:)/g, /(?= HTTP\/)/g, /(?<=\r\n\r\n)/g]);
    const piece = random.of(["a", "\r\nx: y", "%", "/..", "\xff", ";"]);
    return replaceOne(text, random, place, (found) => piece.repeat(size / piece.length) + found);
  },
];

const VERSIONS = [
  "",
  " HTTP/1.0",
  " HTTP/0.9",
  " HTTP/2.0",
  " http/1.1",
  " HTTP/1.10",
  "  HTTP/1.1",
];
const TARGETS = [
  "*",
  "",
  "//",
  "/..",
  "foo",
  "http://",
  "http://u@test/",
  "/\\",
  "/a b",
  "/#a",
  "/\xe9",
];

/** `text`, changed in one to three ways. */
export function mutated(text: string, random: Random): string {
  let changed = text;
  for (let left = 1 + random.upTo(2); left > 0; left--) {
    if (changed !== "") changed = random.of(MUTATIONS)(changed, random);
  }
  return changed;
}

function put(text: string, at: number, removed: number, added: string): string {
  return text.slice(0, at) + added + text.slice(at + removed);
}

function replaceOne(
  text: string,
  random: Random,
  pattern: RegExp,
  change: (found: string, random: Random) => string,
): string {
  const matches = [...text.matchAll(pattern)];
  if (matches.length === 0) return text;
  const { 0: found, index } = random.of(matches);
  return put(text, index, found.length, change(found, random));
}

function changedNumber(digits: string, random: Random): string {
  const value = parseInt(digits, 16) + random.upTo(8) - 4;
  return random.of([value.toString(16), `${digits}0`, `0x${digits}`, `+${digits}`, "-1", "z", ""]);
}
