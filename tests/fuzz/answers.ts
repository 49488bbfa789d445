/** Answers in the bytes that a server sends on a connection, read as RFC 9112 says. */

/** One answer; interim ones (1xx) are passed over. */
export interface Answer {
  readonly status: number;
  /** In lower case; repeated ones joined. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
  /** Whether it has come to its end. */
  readonly isWhole: boolean;
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d) [\t\x20-\x7e\x80-\xff]*$/;
const FIELD = /^([\w!#$%&'*+.^|~`-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const NO_BODY = { body: "", isWhole: true };

/** Reads answers as they come. */
export class AnswerReader {
  /** Those that are whole, and at the end of the connection what there is of the last. */
  readonly answers: Answer[] = [];
  readonly #methods: readonly string[];
  /** Whether the connection ends when the server has closed it, and not before. */
  readonly #isPatient: boolean;
  #text = "";
  /** Characters without which there is nothing new to be read. */
  #needed = 0;

  /** `methods` are those of the requests, as far as they are known. */
  constructor(methods: readonly string[], options: { readonly isPatient: boolean }) {
    this.#methods = methods;
    this.#isPatient = options.isPatient;
  }

  /**
   * Takes more of the bytes; nothing is the end of the connection.
   *
   * @throws {SyntaxError} if that is not HTTP.
   */
  add(text: string): void {
    this.#text += text;
    const isEnd = text === "";
    if (this.#text.length < this.#needed && !isEnd) return;
    while (this.#text !== "" && this.#readOne(isEnd));
  }

  #readOne(isEnd: boolean): boolean {
    const text = this.#text;
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0) {
      if (!text.startsWith("HTTP/1.") && !"HTTP/1.".startsWith(text)) throw notHttp(text);
      return false;
    }
    const [statusLine = "", ...lines] = text.slice(0, headEnd).split("\r\n");
    const status = Number(STATUS_LINE.exec(statusLine)?.[1] ?? NaN);
    if (Number.isNaN(status)) throw notHttp(text);
    const fields = readFields(lines, text);
    const start = headEnd + 4;
    if (status < 200) {
      this.#text = text.slice(start);
      return true;
    }
    const { end, ...body } = this.#readBody(start, status, fields, isEnd);
    if (!body.isWhole && !isEnd) {
      this.#needed = end;
      return false;
    }
    this.answers.push({ status, fields, ...body });
    this.#text = text.slice(end);
    this.#needed = 0;
    return body.isWhole;
  }

  /** The body from `start` on, and where it ends, or how far it goes at least. */
  #readBody(
    start: number,
    status: number,
    fields: ReadonlyMap<string, string>,
    isEnd: boolean,
  ): { body: string; end: number; isWhole: boolean } {
    const text = this.#text;
    const method = this.#methods[this.answers.length];
    const none = { ...NO_BODY, end: start };
    if (method === "HEAD" || status === 204 || status === 304) return none;
    // Of a request that could not be read, nobody knows whether it was a HEAD.
    if (method === undefined && text.startsWith("HTTP/1.", start)) return none;
    if (method === undefined && isEnd && start === text.length) return none;
    if (fields.has("transfer-encoding")) return readChunks(text, start);
    const length = fields.get("content-length");
    if (length === undefined) {
      return { body: text.slice(start), end: text.length, isWhole: isEnd && this.#isPatient };
    }
    if (!/^\d+$/.test(length)) throw new SyntaxError(`this is no length: "${length}"`);
    const end = start + Number(length);
    return { body: text.slice(start, end), end, isWhole: end <= text.length };
  }
}

function notHttp(text: string): SyntaxError {
  return new SyntaxError(`this is not HTTP: ${JSON.stringify(text.slice(0, 200))}`);
}

function readFields(lines: readonly string[], text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw notHttp(text);
    const before = fields.get(name.toLowerCase());
    fields.set(name.toLowerCase(), before === undefined ? value : `${before}, ${value}`);
  }
  return fields;
}

function readChunks(text: string, start: number): { body: string; end: number; isWhole: boolean } {
  let body = "";
  for (let at = start;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return { body, end: text.length + 1, isWhole: false };
    const line = text.slice(at, lineEnd);
    if (!/^[\da-f]+$/i.test(line)) throw notHttp(text.slice(at));
    const size = parseInt(line, 16);
    const end = lineEnd + 2 + size;
    body += text.slice(lineEnd + 2, end);
    if (text.length < end + 2) return { body, end: end + 2, isWhole: false };
    if (!text.startsWith("\r\n", end)) throw notHttp(text.slice(end));
    at = end + 2;
    if (size === 0) return { body, end: at, isWhole: true };
  }
}
