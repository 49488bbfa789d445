/**
 * Where a worker's requests come from, and its answers go to: standard input and file descriptor 3.
 * What happens to either is told to one who listens; what the bytes mean is `worker.ts`.
 */

import { once } from "node:events";
import { fstatSync, write, writeSync } from "node:fs";
import { Socket } from "node:net";
import process from "node:process";
import type { Readable } from "node:stream";
import { runtimeName } from "./listen.ts";

/** The descriptor that answers are written to: standard output stays the program's own. */
const ANSWERS_FD = 3;

/** Bytes that are written at once where that stops all else until they are taken: a pipe's worth. */
const WRITE_AT_ONCE_BYTES = 64 * 1024;

/** A worker's two ends. */
export interface WorkerChannel {
  readonly requests: Readable;
  /**
   * Writes all of `packet`; where it cannot be written at once, resolves when it was.
   *
   * @throws an error whose `code` is `"EPIPE"` if nobody reads.
   */
  write(packet: Uint8Array): Promise<void> | undefined;
  /** Resolves when all that was written is on its way: the process may end. */
  close(): Promise<void>;
}

/** Opens both ends, or returns `undefined` if nobody has given this process a descriptor 3. */
export function openWorkerChannel(): WorkerChannel | undefined {
  return runtimeName() === "deno" ? openSockets() : openDescriptors();
}

/** By `node:fs`; an answer that does not fit into a pipe is written in the background. */
function openDescriptors(): WorkerChannel | undefined {
  if (!isGiven(ANSWERS_FD)) return undefined;
  return {
    requests: process.stdin,
    write(packet) {
      if (packet.length > WRITE_AT_ONCE_BYTES) return writeInBackground(packet);
      for (let at = 0; at < packet.length;) at += writeSync(ANSWERS_FD, packet, at);
      return undefined;
    },
    close: () => Promise.resolve(),
  };
}

/** Whether a descriptor came with this process: the runtimes' own of this number are of no kind. */
function isGiven(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket() || stat.isFile() || stat.isCharacterDevice();
  } catch {
    return false;
  }
}

async function writeInBackground(packet: Uint8Array): Promise<void> {
  for (let at = 0; at < packet.length;) {
    at += await new Promise<number>((resolve, reject) => {
      write(
        ANSWERS_FD,
        packet,
        at,
        (error, written) => error === null ? resolve(written) : reject(error),
      );
    });
  }
}

/**
 * As sockets. Deno's `node:fs` knows a descriptor 3 only if another Deno says so in the environment,
 * and its `process.stdin` takes three times as long.
 */
function openSockets(): WorkerChannel | undefined {
  let answers: Socket;
  try {
    answers = new Socket({ fd: ANSWERS_FD, readable: false, writable: true });
  } catch {
    return undefined; // Neither a pipe nor a socket.
  }
  let failure: Error | undefined;
  answers.on("error", (error) => failure = error);
  return {
    requests: openRequests(),
    write(packet) {
      if (failure !== undefined) throw failure;
      return answers.write(packet) ? undefined : once(answers, "drain").then(() => {});
    },
    async close() {
      if (!answers.destroyed) await once(answers.end(), "close").catch(() => {});
    },
  };
}

function openRequests(): Readable {
  try {
    return new Socket({ fd: 0, readable: true, writable: false });
  } catch {
    return process.stdin; // A file: somebody tries a packet by hand.
  }
}
