/**
 * A client for HTTP/1.1, over TLS or not, that sends exactly the bytes it is told to, and shows what came back,
 * whole or not: what a test needs where the bytes matter.
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface RawResponse {
  readonly status: number;
  /** In lower case and in order, repeated names repeated. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** Whether the message came to its end, rather than the connection. */
  readonly isWhole: boolean;
}

/** The values of all fields called `name`. */
export function valuesOf(response: RawResponse, name: string): string[] {
  return response.fields.filter(([field]) => field === name).map(([, value]) => value);
}

/** What is kept of all that a connection received. */
const BEGINNING_BYTES = 64 * 1024;

/** Options of a {@linkcode RawClient}. */
export interface RawClientOptions {
  /** @default {"127.0.0.1"} */
  host?: string;
  /** Whether it speaks TLS. */
  isSecure?: boolean;
}

/** One connection. */
export class RawClient {
  /** What TCP has. */
  readonly #connection: Socket;
  /** What it carries. */
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #beginning = "";
  #isOver = false;
  #wake: () => void = () => {};
  /** Resolves when the connection is closed, by either side or by an error. */
  readonly closed: Promise<void>;
  readonly #ready: "connect" | "secureConnect";
  #isReady = false;

  constructor(port: number, { host = "127.0.0.1", isSecure = false }: RawClientOptions = {}) {
    this.#connection = connect({ port, host, allowHalfOpen: true });
    // Whose certificate it is is no question of the bytes.
    const tls = { socket: this.#connection, allowHalfOpen: true, rejectUnauthorized: false };
    this.#socket = isSecure ? connectTls(tls) : this.#connection;
    this.#ready = isSecure ? "secureConnect" : "connect";
    this.#socket.once(this.#ready, () => this.#isReady = true);
    const over = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    this.#socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      if (this.#beginning.length < BEGINNING_BYTES) {
        this.#beginning += data.toString("latin1", 0, BEGINNING_BYTES);
      }
      this.#wake();
    });
    this.#socket.on("end", () => {
      over();
      this.#socket.end();
    });
    this.#socket.on("error", over);
    this.closed = new Promise((resolve) =>
      this.#socket.on("close", () => {
        over();
        resolve();
      })
    );
  }

  /** Resolves once the connection stands. */
  connected(): Promise<this> {
    return new Promise((resolve, reject) => {
      if (this.#isReady) return resolve(this);
      this.#socket.once(this.#ready, () => resolve(this));
      this.#socket.once("error", reject);
    });
  }

  /** Where this end is, as `host:port`. */
  get localAddress(): string {
    return `${this.#socket.localAddress}:${this.#socket.localPort}`;
  }

  send(data: string | Uint8Array): this {
    this.#socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    return this;
  }

  /** Sends a request without a body. */
  get(target: string, fields = "host: test\r\n", method = "GET"): this {
    return this.send(`${method} ${target} HTTP/1.1\r\n${fields}\r\n`);
  }

  /** Leaves, without waiting for anything. */
  leave(): void {
    this.#socket.destroy();
  }

  /** Leaves with a reset instead of an end. */
  reset(): void {
    this.#connection.resetAndDestroy();
  }

  /** Takes no more bytes; what the server sends fills its buffers. */
  pause(): this {
    this.#socket.pause();
    return this;
  }

  /** Takes bytes again. */
  resume(): this {
    this.#socket.resume();
    return this;
  }

  /** Sends no more, and goes on receiving: half of a close. */
  end(): this {
    this.#socket.end();
    return this;
  }

  /** Bytes that were sent and that the system has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** All that was received, from the beginning, as text. */
  get received(): string {
    return this.#beginning;
  }

  /** What was received and not yet made a response of, as text. */
  get pending(): string {
    return this.#received.toString("latin1");
  }

  /** Resolves when `text` has been received, or rejects when the connection ends before. */
  async receive(text: string): Promise<void> {
    while (!this.pending.includes(text)) {
      if (this.#isOver) {
        throw new Error(`The connection ended after ${JSON.stringify(this.pending)}`);
      }
      await this.#more();
    }
  }

  /** The next response; one without a whole head rejects. */
  async response(options: { isHead?: boolean } = {}): Promise<RawResponse> {
    await this.receive("\r\n\r\n");
    const headEnd = this.#received.indexOf("\r\n\r\n");
    const [statusLine = "", ...lines] = this.#received.subarray(0, headEnd).toString("latin1")
      .split("\r\n");
    const fields = lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
    this.#received = this.#received.subarray(headEnd + 4);
    const status = Number(statusLine.split(" ")[1]);
    const head = { status, fields, body: Buffer.alloc(0), isWhole: true };
    if (options.isHead || status === 204 || status === 304) return head;
    const isChunked = valuesOf(head, "transfer-encoding").includes("chunked");
    const length = valuesOf(head, "content-length")[0];
    return {
      ...head,
      ...await (isChunked ? this.#chunks() : this.#bytes(Number(length ?? Infinity))),
    };
  }

  async #bytes(length: number): Promise<{ body: Buffer; isWhole: boolean }> {
    while (this.#received.length < length && !this.#isOver) await this.#more();
    const body = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(body.length);
    return { body, isWhole: body.length === length || length === Infinity };
  }

  async #chunks(): Promise<{ body: Buffer; isWhole: boolean }> {
    const chunks: Buffer[] = [];
    for (;;) {
      const lineEnd = this.#received.indexOf("\r\n");
      const size = parseInt(this.#received.subarray(0, Math.max(0, lineEnd)).toString(), 16);
      if (lineEnd !== -1 && this.#received.length >= lineEnd + 2 + size + 2) {
        chunks.push(this.#received.subarray(lineEnd + 2, lineEnd + 2 + size));
        this.#received = this.#received.subarray(lineEnd + 2 + size + 2);
        if (size === 0) return { body: Buffer.concat(chunks), isWhole: true };
      } else if (this.#isOver) return { body: Buffer.concat(chunks), isWhole: false };
      else await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }
}
