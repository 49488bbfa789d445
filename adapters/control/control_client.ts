/**
 * The other end of a control socket: asks, and takes an answer apart.
 */

import { once } from "node:events";
import * as fs from "node:fs";
import { connect, type Socket } from "node:net";
import { codeOf } from "../../runtime/log/file_bytes.ts";
import { quoteWords } from "../../runtime/processes/command_line.ts";
import { StartError } from "../cli/exit.ts";
import { surplusOf } from "./socket_path.ts";

/** How an answer ends: `OK`, or why it cannot be done, or that the server has gone. */
export type AnswerEnd = "OK" | `ERROR: ${string}` | "closed";

/** A connection to a control socket. */
export interface ControlConnection {
  /** Asks, and calls `onLine` with each line of the answer but its end, with which it resolves. */
  ask(words: readonly string[], onLine: (line: string) => Promise<void> | void): Promise<AnswerEnd>;
  /** Resolves when there is no connection any more. */
  readonly closed: Promise<void>;
  close(): void;
}

/**
 * Connects to the control socket at `path`.
 *
 * @throws {StartError} if nobody is there, or may be asked; it says in a line why.
 */
export async function connectControl(path: string): Promise<ControlConnection> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    throw new StartError(`cannot connect to "${path}": ${explain(path, error)}`, { cause: error });
  }
  return new Connection(socket);
}

function explain(path: string, error: unknown): string {
  if (surplusOf(path) > 0) return `the path is ${surplusOf(path)} bytes too long for a socket`;
  switch (codeOf(error)) {
    case "ENOENT":
      return "there is no such socket; is the server running, with --ctl-socket?";
    case "ECONNREFUSED":
      return fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false
        ? "it is no socket"
        : "nobody listens; the server that made it has ended";
    case "EACCES":
    case "EPERM":
      return "permission denied; be the server's user";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

class Connection implements ControlConnection {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: AsyncGenerator<string, undefined>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = linesOf(socket);
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => {}); // What it ends, ends as if it had been closed.
  }

  async ask(
    words: readonly string[],
    onLine: (line: string) => Promise<void> | void,
  ): Promise<AnswerEnd> {
    this.#socket.write(`${quoteWords(words)}\n`);
    for (;;) {
      const line = await this.#nextLine();
      if (line === undefined) return "closed";
      if (line === "OK" || isError(line)) return line;
      await onLine(line);
    }
  }

  async #nextLine(): Promise<string | undefined> {
    try {
      return (await this.#lines.next()).value;
    } catch {
      return undefined; // The connection broke.
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

function isError(line: string): line is `ERROR: ${string}` {
  return line.startsWith("ERROR: ");
}

async function* linesOf(socket: Socket): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of socket.setEncoding("utf8") as AsyncIterable<string>) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
