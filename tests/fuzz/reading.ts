/**
 * What a server must find in the bytes of a connection: the requests that are whole and beyond
 * doubt, from the first on. It is a second reader of HTTP/1.1, from RFC 9112 and without a line of
 * what it judges, and strict: where servers may differ, it says that what follows is unclear.
 */

/** A request that is whole and valid. */
export interface ReadRequest {
  readonly method: string;
  /** The path and the query of its URL, normalised. */
  readonly path: string;
  readonly query: string;
  readonly body: string;
  /** Where it ends. */
  readonly end: number;
}

/** What there is on a connection. */
export interface Reading {
  readonly requests: readonly ReadRequest[];
  /**
   * What is behind them: nothing; the beginning of a request that was not finished; what no server
   * may look at, because it was told to close; what a server may take for a request or not.
   */
  readonly rest: "nothing" | "unfinished" | "closed" | "unclear";
  /** Whether the server has to close the connection behind them. */
  readonly closes: boolean;
}

/** Options of {@linkcode read}. */
export interface ReadOptions {
  /** Whether a server can read trailers, and so waits for their end. */
  readonly knowsTrailers: boolean;
}

const METHOD = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY)$/;
const TARGET = /^(?:http:\/\/test)?(\/(?:[\w.~!$&'()*+,;=:@/?-]|%[\da-f]{2})*)$/i;
const NAME = String.raw`[\w!#$%&'*+.^|~\x60-]+`;
const TEXT = String.raw`[\x21-\x7e\x80-\xff]`;
const FIELD = new RegExp(
  String.raw`^(${NAME}):[ \t]*(${TEXT}(?:[\t\x20-\x7e\x80-\xff]*${TEXT})?)?[ \t]*$`,
);
const HOST = /^[a-z]{1,20}(?:\.[a-z]{1,20})?(?::[1-9]\d{0,3})?$/;
/** Bun's server refuses a space in an extension, also where it is quoted. */
const CHUNK = new RegExp(
  String.raw`^([\da-f]{1,7})(?:;${NAME}(?:=(?:${NAME}|"[\w;]*"))?)*$`,
  "i",
);
/** Fields that ask for more than an answer, or that change what a message is. */
const OTHER_FIELDS = [
  "upgrade",
  "te",
  "trailer",
  "proxy-connection",
  "keep-alive",
  "http2-settings",
];

/** Sizes up to which every server has to take a request. */
const HEAD_CHARS_MAX = 6000;
const FIELDS_MAX = 60;
const BODY_BYTES_MAX = 1024 * 1024;
const CHUNK_LINE_MAX = 1000;

class Unclear extends Error {}
class Unfinished extends Error {}

/** Reads what was sent on a connection. */
export function read(sent: string, options: ReadOptions): Reading {
  const requests: ReadRequest[] = [];
  let at = 0;
  try {
    while (at < sent.length) {
      const { request, closes } = readRequest(sent, at, options);
      requests.push(request);
      at = request.end;
      if (closes) return { requests, rest: at < sent.length ? "closed" : "nothing", closes };
    }
    return { requests, rest: "nothing", closes: false };
  } catch (error) {
    if (error instanceof Unclear) return { requests, rest: "unclear", closes: false };
    if (error instanceof Unfinished) return { requests, rest: "unfinished", closes: false };
    throw error;
  }
}

function readRequest(
  sent: string,
  from: number,
  options: ReadOptions,
): { request: ReadRequest; closes: boolean } {
  const [lines, start] = readLines(sent, from);
  const [requestLine = "", ...fieldLines] = lines;
  const [method = "", target = "", version = "", ...more] = requestLine.split(" ");
  const isOld = version === "HTTP/1.0";
  if (more.length > 0 || !METHOD.test(method)) throw new Unclear();
  if (version !== "HTTP/1.1" && !isOld) throw new Unclear();
  const origin = TARGET.exec(target)?.[1];
  // What some make of the target "*".
  const isWhole = method === "OPTIONS" && origin === "/*";
  if (origin === undefined || origin.startsWith("//") || isWhole) throw new Unclear();
  const fields = readFields(fieldLines);
  const valueOf = (name: string): string | undefined => {
    const [value, ...others] = fields.filter(([found]) => found === name);
    if (others.length > 0) throw new Unclear();
    return value?.[1];
  };
  if (!HOST.test(valueOf("host") ?? "")) throw new Unclear();
  if (OTHER_FIELDS.some((name) => valueOf(name) !== undefined)) throw new Unclear();
  const connection = valueOf("connection")?.toLowerCase();
  if (![undefined, "close", "keep-alive"].includes(connection)) throw new Unclear();
  const expectation = valueOf("expect")?.toLowerCase();
  if (![undefined, "100-continue"].includes(expectation)) throw new Unclear();
  const [length, coding] = [valueOf("content-length"), valueOf("transfer-encoding")];
  if (isOld && [connection, expectation, coding].some((value) => value !== undefined)) {
    throw new Unclear();
  }
  const { body, end } = readBody(sent, start, [length, coding?.toLowerCase()], options);
  const { pathname, search } = new URL(origin, "http://test");
  return {
    request: { method, path: pathname, query: search, body, end },
    closes: isOld || connection === "close",
  };
}

/** The lines up to an empty one, and where that ends. */
function readLines(sent: string, from: number): [lines: string[], end: number] {
  const end = sent.indexOf("\r\n\r\n", from);
  const head = end < 0 ? sent.slice(from) : sent.slice(from, end);
  // Before a head is whole, what is in it may be refused already.
  if (head.length > HEAD_CHARS_MAX) throw new Unclear();
  const lines = head.split("\r\n");
  if (lines.length > FIELDS_MAX || lines.some((line) => /[\r\n]/.test(line))) throw new Unclear();
  if (end >= 0) return [lines, end + 4];
  throw isBeginning(lines) ? new Unfinished() : new Unclear();
}

/** Whether nothing but the end is missing to lines that are valid. */
function isBeginning(lines: readonly string[]): boolean {
  const [requestLine = "", ...fields] = lines.slice(0, -1);
  return lines.length > 1 && /^[A-Z]+ \S+ HTTP\/1\.[01]$/.test(requestLine) &&
    fields.every((line) => FIELD.test(line));
}

function readFields(lines: readonly string[]): [name: string, value: string][] {
  return lines.map((line) => {
    const [, name, value = ""] = FIELD.exec(line) ?? [];
    if (name === undefined) throw new Unclear();
    return [name.toLowerCase(), value];
  });
}

function readBody(
  sent: string,
  start: number,
  [length, coding]: [length: string | undefined, coding: string | undefined],
  options: ReadOptions,
): { body: string; end: number } {
  if (coding !== undefined) {
    if (coding !== "chunked" || length !== undefined) throw new Unclear();
    return readChunks(sent, start, options);
  }
  if (length === undefined) return { body: "", end: start };
  if (!/^\d{1,7}$/.test(length) || Number(length) > BODY_BYTES_MAX) throw new Unclear();
  const end = start + Number(length);
  if (end > sent.length) throw new Unfinished();
  return { body: sent.slice(start, end), end };
}

function readChunks(
  sent: string,
  start: number,
  { knowsTrailers }: ReadOptions,
): { body: string; end: number } {
  let body = "";
  for (let at = start;;) {
    const lineEnd = sent.indexOf("\r\n", at);
    const line = lineEnd < 0 ? sent.slice(at) : sent.slice(at, lineEnd);
    if (line.length > CHUNK_LINE_MAX) throw new Unclear();
    const digits = CHUNK.exec(line)?.[1];
    if (lineEnd < 0) {
      throw digits === undefined && line !== "" && line !== "\r" ? new Unclear() : new Unfinished();
    }
    const size = digits === undefined ? NaN : parseInt(digits, 16);
    if (!(body.length + size <= BODY_BYTES_MAX)) throw new Unclear();
    at = lineEnd + 2 + size;
    if (size === 0) return { body, end: readTrailers(sent, at, knowsTrailers) };
    body += sent.slice(lineEnd + 2, at);
    const after = sent.slice(at, at + 2);
    if (!"\r\n".startsWith(after)) throw new Unclear();
    if (after !== "\r\n") throw new Unfinished();
    at += 2;
  }
}

function readTrailers(sent: string, at: number, areKnown: boolean): number {
  if (sent.startsWith("\r\n", at)) return at + 2;
  if (!areKnown) throw new Unclear();
  if (sent.length - at < 2) throw new Unfinished();
  const [lines, end] = readLines(sent, at - 2);
  // Others may be what no trailer must say.
  if (readFields(lines.slice(1)).some(([name]) => !name.startsWith("x-"))) throw new Unclear();
  return end;
}
