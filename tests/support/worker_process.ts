/** A worker in a process of its own, and the pool's end of its two pipes: packets go in and come out. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { PacketReader } from "../../runtime/processes/packet_reader.ts";
import {
  decodeResponse,
  encodeRequest,
  type HealthCheck,
  type HttpRequest,
  type HttpResponse,
} from "../../runtime/processes/packets.ts";
import { ROOT } from "./server_process.ts";

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** A request with nothing in it but what a test says. */
export function requestOf(parts: Partial<HttpRequest> = {}): HttpRequest {
  return {
    remoteAddress: "127.0.0.1:40518",
    uri: "http://localhost/",
    method: "GET",
    headers: new Map([["Host", "localhost"]]),
    body: new Uint8Array(),
    ...parts,
  };
}

export class WorkerProcess {
  readonly child: ChildProcess;
  readonly #requests: Writable;
  readonly #answers: Readable;
  readonly #reader = new PacketReader(ANSWER_BYTES_MAX);
  readonly #messages: Uint8Array<ArrayBuffer>[] = [];
  #output = { stdout: "", stderr: "" };
  #hasEnded = false;

  /** Resolves when the process has ended and all it wrote is here. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;

  /** Starts a worker; without `answers` it gets no descriptor 3. */
  constructor(
    [program = "", ...args]: readonly string[],
    { answers = "pipe" }: { answers?: "pipe" | "ignore" } = {},
  ) {
    this.child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "pipe", ...(answers === "pipe" ? [answers] as const : [])],
    });
    const { stdin, stdout, stderr } = this.child;
    const pipe = this.child.stdio[3];
    if (stdin === null || stdout === null || stderr === null) throw new Error("there is no pipe");
    this.#requests = stdin;
    this.#answers = (pipe ?? stdout) as Readable;
    // A worker that has ended takes no more, and that is for the test to find.
    stdin.on("error", () => {});
    this.#answers.on("error", () => {});
    stdout.setEncoding("utf8").on("data", (text: string) => this.#output.stdout += text);
    stderr.setEncoding("utf8").on("data", (text: string) => this.#output.stderr += text);
    if (pipe) {
      this.#answers.on("data", (chunk: Uint8Array) => {
        this.#messages.push(...this.#reader.read(Uint8Array.from(chunk)));
      });
    }
    // Bun may close a process before the last of what it wrote is here.
    const ends = [stdout, stderr, this.#answers].map((stream) => once(stream, "close"));
    this.ended = Promise.all([once(this.child, "close"), ...ends]).then(([[code, signal]]) => {
      this.#hasEnded = true;
      return { code, signal };
    });
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** Answers that were not asked for yet. */
  get surplus(): number {
    return this.#messages.length;
  }

  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void {
    this.#requests.write(bytes);
  }

  send(request: HttpRequest | HealthCheck): void {
    this.write(encodeRequest(request));
  }

  /** The next answer. */
  async answer(): Promise<HttpResponse> {
    await this.until(() => this.#messages.length > 0);
    const [message] = this.#messages.splice(0, 1);
    if (message === undefined) throw new Error(`no answer, and it has ended: ${this.stderr}`);
    return decodeResponse(message);
  }

  ask(request: HttpRequest | HealthCheck): Promise<HttpResponse> {
    this.send(request);
    return this.answer();
  }

  /** Resolves when `condition` holds after something was read, or when the process has ended. */
  async until(condition: () => boolean): Promise<void> {
    const { stdout, stderr } = this.child;
    while (!condition() && !this.#hasEnded) {
      const streams = [stdout, stderr, this.#answers].filter((stream) => stream !== null);
      const waiting = new AbortController();
      const { signal } = waiting;
      const news = streams.map((stream) => once(stream, "data", { signal }).catch(() => {}));
      await Promise.race([...news, this.ended]);
      waiting.abort();
    }
  }

  /** Reads no answers until `resume`. */
  pause(): void {
    this.#answers.pause();
  }

  resume(): void {
    this.#answers.resume();
  }

  /** Closes the pipe that answers come through, as a pool that is gone. */
  dropAnswers(): void {
    this.#answers.destroy();
  }

  /** Closes standard input; resolves when the process has ended. */
  close(): WorkerProcess["ended"] {
    this.#requests.end();
    return this.ended;
  }

  /** Sends a signal, if the process is still there. */
  signal(name: NodeJS.Signals): void {
    if (this.child.pid !== undefined && !this.#hasEnded) process.kill(this.child.pid, name);
  }
}

/** Calls `body` with a worker, and sees to it that nothing is left of it. */
export async function withWorker<T>(
  command: readonly string[],
  body: (worker: WorkerProcess) => Promise<T>,
): Promise<T> {
  const worker = new WorkerProcess(command);
  try {
    return await body(worker);
  } finally {
    worker.signal("SIGKILL");
    await worker.ended;
  }
}
