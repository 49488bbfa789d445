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

/** How many chunks are taken slowly: for so long, a server that does not wait fills its memory. */
const SLOW_CHUNKS = 200;

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

/** Sends a file, and resolves with the whole answer; or sends `sent` bytes of it, and leaves. */
export async function sendFile(url: string, size: number, sent = size): Promise<string> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const answer = textOf(socket);
  socket.write(
    `PUT ${pathname} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n`,
  );
  for (const piece of fileBytes(0, sent)) {
    if (!socket.write(piece)) await Promise.race([once(socket, "drain"), answer]);
  }
  if (sent < size) socket.write("", () => socket.destroy());
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
  readonly status: number;
  readonly headers: Headers;
  readonly size: number;
  readonly sha256: string;
}

/** Takes a file, slowly at first: the server has to wait. */
export async function takeFile(url: string, headers: Record<string, string> = {}): Promise<Taken> {
  const response = await fetch(url, { headers });
  const hash = createHash("sha256");
  let size = 0;
  let chunks = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    hash.update(chunk);
    if (chunks++ < SLOW_CHUNKS) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { status: response.status, headers: response.headers, size, sha256: hash.digest("hex") };
}

/** Bytes of memory that a process has now, and the most that it has had (Linux). */
export function memoryOf(pid: number | undefined): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
  return { now: bytes("VmRSS"), most: bytes("VmHWM") };
}
