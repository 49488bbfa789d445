/**
 * A client that sends and takes files of any size, byte by byte known, in little memory; and what
 * the server's process has of it.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";

/** A block of bytes that are like no other; files are made of it, each block with its number. */
const BLOCK = Buffer.alloc(1024 * 1024);
for (let i = 0, state = 1; i < BLOCK.length; i += 4) {
  state = Math.imul(state, 1664525) + 1013904223 >>> 0; // A linear congruential generator.
  BLOCK.writeUInt32LE(state, i);
}

/** The bytes of a file from `start` to `end`, which is not included. */
export function* fileBytes(start: number, end: number): Generator<Buffer> {
  for (let at = start; at < end;) {
    const number = Math.floor(at / BLOCK.length);
    const block = Buffer.from(BLOCK);
    block.writeUInt32LE(number, 0);
    const from = at - number * BLOCK.length;
    const piece = block.subarray(from, Math.min(block.length, from + end - at));
    yield piece;
    at += piece.length;
  }
}

/** The SHA-256 of such bytes, in hexadecimal. */
export function fileHash(start: number, end: number): string {
  const hash = createHash("sha256");
  for (const piece of fileBytes(start, end)) hash.update(piece);
  return hash.digest("hex");
}

/** Sends a file, or only its first `sent` bytes, and then leaves. Resolves with the whole answer. */
export async function sendFile(
  url: string,
  size: number,
  options: { sent?: number; method?: string } = {},
): Promise<string> {
  const { sent = size, method = "PUT" } = options;
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const answer = textOf(socket);
  socket.write(
    `${method} ${pathname} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n`,
  );
  for (const piece of fileBytes(0, sent)) {
    if (!socket.write(piece)) await Promise.race([once(socket, "drain"), answer]);
  }
  if (sent < size) {
    // Behind the last bytes, so that the server has got them.
    socket.end();
    await answer;
    socket.destroy();
  }
  return await answer;
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("error", () => {}); // The answer is not whole then.
  socket.setEncoding("latin1").on("data", (data: string) => text += data);
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

/** What a server has sent of a file. */
export interface Taken {
  readonly head: string;
  readonly size: number;
  readonly sha256: string;
}

/**
 * Takes a file with a few header fields more. It reads no byte before `begin` has resolved: the
 * server has to wait.
 */
export async function takeFile(
  url: string,
  fields = "",
  begin: Promise<void> = Promise.resolve(),
): Promise<Taken> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n${fields}\r\n`);
  await begin;
  const hash = createHash("sha256");
  let head = Buffer.alloc(0);
  let headEnd = -1;
  let size = 0;
  for await (const data of socket as AsyncIterable<Buffer>) {
    let body = data;
    if (headEnd === -1) {
      head = Buffer.concat([head, data]);
      headEnd = head.indexOf("\r\n\r\n");
      if (headEnd === -1) continue;
      body = head.subarray(headEnd + 4);
    }
    size += body.length;
    hash.update(body);
  }
  return { head: head.subarray(0, headEnd).toString(), size, sha256: hash.digest("hex") };
}

/** Bytes of memory that a process has now, and the most that it has had. */
export function memoryOf(pid: number | undefined): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
  return { now: bytes("VmRSS"), most: bytes("VmHWM") };
}
