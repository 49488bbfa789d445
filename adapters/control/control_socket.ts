/**
 * A control socket: a Unix socket at which a running server takes commands, one a line, from those
 * who may do with its process what they like anyway. What it says to them is in
 * `runtime/processes/control_conversation.ts`; whose the path is, in `socket_path.ts`.
 */

import { createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import {
  ClientGone,
  type ControlCommand,
  ControlError,
} from "../../runtime/processes/control_command.ts";
import { converse } from "../../runtime/processes/control_conversation.ts";
import { clock } from "../clock.ts";
import { type HeldPath, listenAtPath } from "./socket_path.ts";

/** Clients that may be connected: scripts that forget to leave should not take all descriptors. */
const CLIENTS_MAX = 64;

/** Milliseconds that a client may leave a line lying before it is taken for dead. */
const STALL_MS = 60_000;

/** Milliseconds that a client gets to take its last answer, and to leave by itself. */
const LAST_WORDS_MS = 250;

/** Options of {@linkcode openControlSocket}. */
export interface ControlSocketOptions {
  /** What it can be told, beside `help` and `exit`, in the order of the help. */
  readonly commands: readonly ControlCommand[];
  /** Called with what a command throws that is no `ControlError`. */
  readonly report: (error: unknown) => void;
}

/** A control socket that takes commands. */
export interface ControlSocket {
  /** Where it is, as it was given. */
  readonly path: string;
  /**
   * Takes no more commands, removes the socket, and resolves when its clients are gone: commands
   * that are being done are not waited for, and clients not for more than a moment.
   */
  close(): Promise<void>;
}

/**
 * Opens a control socket at `path`, for the process's user alone.
 *
 * @throws {StartError} if it cannot; it says in a line why.
 */
export async function openControlSocket(
  path: string,
  { commands, report }: ControlSocketOptions,
): Promise<ControlSocket> {
  const clients = new Set<Client>();
  // A client may have said all, and still wait for the answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (clients.size >= CLIENTS_MAX) return refuse(socket);
    const client = new Client(socket);
    clients.add(client);
    client.serve(commands, report).finally(() => clients.delete(client));
  });
  const held = await listenAtPath(server, path);
  server.on("error", report);
  const forget = removeAtEnd(held);
  let closing: Promise<void> | undefined;
  return {
    path,
    close() {
      forget();
      return closing ??= close(server, held, clients);
    },
  };
}

/** Removes the socket however the process ends, as long as it can do anything about it. */
function removeAtEnd(held: HeldPath): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  // A server that is still about to start leaves them to the system, which does not ask.
  const onSignal = (signal: NodeJS.Signals) => {
    if (process.listenerCount(signal) > 1) return;
    held.remove();
    forget();
    process.kill(process.pid, signal);
  };
  const forget = () => {
    process.off("exit", held.remove);
    for (const signal of signals) process.off(signal, onSignal);
  };
  process.on("exit", held.remove);
  for (const signal of signals) process.on(signal, onSignal);
  return forget;
}

async function close(server: Server, held: HeldPath, clients: ReadonlySet<Client>): Promise<void> {
  held.remove();
  const closed = new Promise((resolve) => server.close(resolve));
  for (const client of clients) client.stop();
  const cancel = clock.after(LAST_WORDS_MS, () => {
    for (const client of clients) client.destroy();
  });
  await closed; // All its connections are closed then, too.
  cancel();
  held.release();
}

function refuse(socket: Socket): void {
  socket.on("error", () => {}); // It has gone by itself.
  socket.write("ERROR: too many clients\n");
  hangUp(socket);
}

/** Ends a connection. What still comes is dropped: left unread, it would cut the last answer off. */
function hangUp(socket: Socket): void {
  socket.resume();
  socket.end();
  socket.once("close", clock.after(LAST_WORDS_MS, () => socket.destroy()));
}

/** A connection, as a conversation needs it. */
class Client {
  readonly #socket: Socket;
  readonly #ended = new AbortController();
  readonly signal: AbortSignal = this.#ended.signal;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {}); // That it has gone is told by its close.
    socket.on("close", () => this.#ended.abort(new ClientGone("The client has left")));
  }

  /** Resolves when all is said; never rejects. */
  async serve(
    commands: readonly ControlCommand[],
    report: (error: unknown) => void,
  ): Promise<void> {
    try {
      await converse(this, commands, report);
    } catch (error) {
      if (!(error instanceof ClientGone)) report(error);
    }
    if (!this.#socket.destroyed) hangUp(this.#socket);
  }

  /** What is being done goes on, but is not waited for; the client is told. */
  stop(): void {
    this.#ended.abort(new ControlError("the server is stopping"));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The bytes that come; the socket's own iterator would close it with the last of them. */
  get input(): AsyncIterable<Uint8Array> {
    return this.#chunks();
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    const socket = this.#socket;
    const { signal } = this;
    let wake = () => {};
    const woken = () => wake();
    const events = ["readable", "end", "close"] as const;
    for (const event of events) socket.on(event, woken);
    signal.addEventListener("abort", woken, { once: true });
    try {
      while (!signal.aborted) {
        const changed = new Promise<void>((resolve) => wake = resolve);
        const chunk: Uint8Array | null = socket.read();
        if (chunk !== null) yield chunk;
        else if (socket.readableEnded) return;
        else await changed;
      }
    } finally {
      for (const event of events) socket.off(event, woken);
      signal.removeEventListener("abort", woken);
    }
  }

  async write(text: string): Promise<void> {
    const socket = this.#socket;
    const { promise: sent, resolve, reject } = Promise.withResolvers<void>();
    const onClose = () => reject(new ClientGone("The client has left"));
    const cancel = clock.after(STALL_MS, () => socket.destroy());
    socket.once("close", onClose);
    if (socket.destroyed) onClose();
    else socket.write(text, (error) => error ? onClose() : resolve());
    try {
      await sent;
    } finally {
      cancel();
      socket.off("close", onClose);
    }
  }
}
