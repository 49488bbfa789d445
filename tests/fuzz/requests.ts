/**
 * Requests of HTTP/1.1 in all their shapes, as texts whose characters are bytes. They are valid;
 * `mutations.ts` sees to the rest.
 */

import type { Random } from "../support/random.ts";

/** The files that are served at `/static/`. */
export const FILES: Readonly<Record<string, string>> = {
  "a.txt": "abcdefghijklmnopqrstuvwxyz\n".repeat(10),
  "a.txt.gz": "this passes for gzip",
  "large.txt": "0123456789abcdef".repeat(10_000),
  "empty.txt": "",
};

const ROUTES = [
  ...["write", "write", "write", "write", "echo", "echo", "echo", "late", "stream", "upload"],
  ...["static", "static", "none"],
];
const RARE_ROUTES = ["throw", "broken"];
const READS = ["GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "QUERY"];
const WRITES = ["POST", "POST", "PUT", "PATCH", "DELETE"];

/** Fields that may be there, each of them several times. */
const FIELDS: readonly string[] = [
  "Accept: */*",
  "accept: text/html;q=0.9, */*;q=0.1",
  "Accept-Encoding: gzip, br",
  "accept-encoding: identity;q=0, gzip",
  "ACCEPT-ENCODING: *;q=0",
  'User-Agent: fuzz ("quotes" and = signs)',
  "Cookie: a=b",
  "Cookie: c=d; e=f",
  "X-Empty:",
  "x-white: \t text with space around \t",
  "x-high: caf\xe9 \x80\xff",
  "x-marks: \"';<>%00\\n${}",
  "Authorization: Basic YTpi",
  "Content-Type: application/json",
  "content-type: multipart/form-data; boundary=x",
  "Range: bytes=0-4",
  "range: bytes=-5",
  "range: bytes=5-",
  "range: bytes=0-0,2-3",
  "range: bytes=99999999-",
  "range: lines=1-2",
  'If-Range: "other"',
  "if-range: Tue, 02 Jan 2024 03:04:05 GMT",
  "If-None-Match: *",
  'if-none-match: W/"a", "b"',
  'If-Match: "other"',
  "If-Modified-Since: Tue, 02 Jan 2024 03:04:05 GMT",
  "if-modified-since: yesterday",
  "If-Unmodified-Since: Tue, 02 Jan 2024 03:04:05 GMT",
  "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01",
  "Forwarded: for=192.0.2.60;proto=http",
  "x-forwarded-for: 192.0.2.60, 127.0.0.1",
  "Referer: http://other/?a#b",
];

/** What a request's place on its connection asks of it. */
export interface Place {
  /** Names the request: `c12.3`. */
  readonly id: string;
  /** Whether none follows it. */
  readonly isLast: boolean;
}

/** A valid request. */
export function requestText(random: Random, { id, isLast }: Place): string {
  const route = random.chance(0.03) ? random.of(RARE_ROUTES) : random.of(ROUTES);
  const writes = route === "write" || route === "upload" || random.chance(0.1);
  const method = random.of(writes ? WRITES : READS);
  const isOld = isLast && random.chance(0.05);
  const fields = ["Host: test"];
  while (random.chance(0.5)) fields.push(random.of(FIELDS));
  if (isLast && random.chance(0.3)) fields.push("Connection: close");
  else if (random.chance(0.05)) fields.push("Connection: keep-alive");
  const body = writes || random.chance(0.05) ? bodyText(random, id) : "";
  let content = body;
  if (body !== "" && !isOld && random.chance(0.4)) {
    fields.push("Transfer-Encoding: chunked");
    content = chunked(random, body);
  } else if (body !== "" || random.chance(0.2)) {
    fields.push(`Content-Length: ${body.length}`);
  }
  if (body !== "" && !isOld && random.chance(0.05)) fields.push("Expect: 100-continue");
  for (let i = fields.length - 1; i > 0; i--) swap(fields, i, random.upTo(i));
  const head = `${method} ${target(random, route, id)} HTTP/1.${isOld ? 0 : 1}`;
  return `${head}\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n${content}`;
}

function swap<T>(values: T[], a: number, b: number): void {
  [values[a], values[b]] = [values[b] as T, values[a] as T];
}

function target(random: Random, route: string, id: string): string {
  const file = random.of([...Object.keys(FILES), "none.txt", "", "%2e%2e%2fa.txt", "a.txt/"]);
  const path = `/${route}/${route === "static" ? file : id}`;
  const query = random.chance(0.2) ? random.of(["?", "?a=b&c=%20d", "?/../..;x", "?a=b?c"]) : "";
  switch (random.upTo(20)) {
    case 0:
      return `http://test${path}${query}`;
    case 1:
      return `/x/..${path}${query}`;
    case 2:
      return `/.${path}/%2E/%c3%a9/..${query}`;
    case 3:
      return `${path}/%00%ff%2f${query}`;
    case 4:
      return `${path}/${"long/".repeat(random.upTo(random.chance(0.1) ? 300 : 3))}${query}`;
    default:
      return `${path}${query}`;
  }
}

const BODY_CHARACTERS = [...'abc 123{}":,\r\n\0\x7f\x80\xc3\xa9\xff'];

/** A body that begins with the request's name, and may look like a request further on. */
function bodyText(random: Random, id: string): string {
  if (random.chance(0.1)) return "";
  if (random.chance(0.05)) return `${id} GET /write/${id}.x HTTP/1.1\r\nHost: test\r\n\r\n`;
  const sizes = [10, 10, 10, 100, 1000, 5000];
  const size = random.upTo(random.chance(0.005) ? 60_000 : random.of(sizes));
  if (size > 1000) return `${id} ${"0123456789abcdef".repeat(size / 16)}`;
  return `${id} ${Array.from({ length: size }, () => random.of(BODY_CHARACTERS)).join("")}`;
}

const EXTENSIONS = ["", "", "", ";a", ";a=b", ';a="b;c"', ";a=b;c"];
const TRAILERS = ["", "", "", "x-trailer: a\r\n", "x-a: b\r\nX-Sum: 1234\r\n"];

function chunked(random: Random, body: string): string {
  let text = "";
  for (let at = 0; at < body.length;) {
    const size = 1 + random.upTo(random.chance(0.2) ? 5 : body.length - at - 1);
    const chunk = body.slice(at, at + size);
    const zeros = random.chance(0.1) ? "00" : "";
    const digits = chunk.length.toString(16);
    const length = zeros + (random.chance(0.5) ? digits : digits.toUpperCase());
    text += `${length}${random.of(EXTENSIONS)}\r\n${chunk}\r\n`;
    at += chunk.length;
  }
  return `${text}0${random.of(EXTENSIONS)}\r\n${random.of(TRAILERS)}\r\n`;
}
