/**
 * A keep-alive HTTP/1.1 connection of a load generator: one request at a time, made of bytes
 * that are ready, and an answer of which no more is read than it must.
 *
 * It is for servers that answer with `content-length`, as those of the benches do.
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

/** A request, ready to be sent, and what it must be answered with. */
export interface ReadyRequest {
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
}

/** What a connection asks of whoever uses it. */
export interface ConnectionUser {
  /** The next request, or `undefined` to end the connection. */
  next(): ReadyRequest | undefined;
  /** An answer has come, in full; `isRight` if it is the one that the request must get. */
  answered(isRight: boolean): void;
}

/** Bytes of an answer. */
const ANSWER_BYTES_MAX = 64 * 1024;

const STATUS = Buffer.from("HTTP/1.1 200");
const HEAD_END = Buffer.from("\r\n\r\n");

/** An open connection. */
export interface Connection {
  /** Sends requests for as long as there are any; resolves when the connection has ended. */
  use(user: ConnectionUser): Promise<void>;
}

/** Opens a connection. */
export function openConnection(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const buffer = Buffer.alloc(ANSWER_BYTES_MAX);
    let filled = 0;
    let user: ConnectionUser | undefined;
    let request: ReadyRequest | undefined;
    const send = (): void => {
      request = user?.next();
      if (request === undefined) socket.end();
      else socket.write(request.bytes);
    };
    const take = (read: number, chunk: Uint8Array): boolean => {
      // Almost always an answer comes in one piece, and is looked at where it lies.
      const whole = filled === 0 ? chunk : buffer;
      if (filled > 0) buffer.set(chunk.subarray(0, read), filled);
      const size = filled + read;
      const seen = Buffer.from(whole.buffer, whole.byteOffset, size);
      const end = endOfAnswer(seen);
      if (end === undefined || size < end) {
        if (filled === 0) buffer.set(seen);
        filled = size;
        return true;
      }
      filled = 0;
      user?.answered(size === end && request !== undefined && isRight(seen, request.body));
      send();
      return true;
    };
    const socket: Socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: { buffer: Buffer.alloc(ANSWER_BYTES_MAX), callback: take },
    });
    socket.once("error", reject);
    socket.once("connect", () =>
      resolve({
        use(givenUser) {
          user = givenUser;
          return new Promise((resolve, reject) => {
            socket.once("error", reject);
            socket.once("close", () =>
              request === undefined
                ? resolve()
                : reject(new Error("Cannot load the server: it closed a connection in use")));
            send();
          });
        },
      }));
  });
}

function isRight(answer: Buffer, body: Uint8Array): boolean {
  return answer.compare(STATUS, 0, STATUS.length, 0, STATUS.length) === 0 &&
    answer.compare(body, 0, body.length, answer.length - body.length) === 0;
}

/** Where the answer at the start of `bytes` ends; `undefined` if its head is not there yet. */
function endOfAnswer(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString("latin1", 0, headEnd))?.[1];
  if (length === undefined) throw new Error("Cannot read an answer: it has no content-length");
  return headEnd + HEAD_END.length + Number(length);
}
