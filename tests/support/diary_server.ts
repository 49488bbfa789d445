/**
 * A server of the diary in a process of its own, as its clients and its operator see it.
 */

import type { Health } from "../../runtime/engine.ts";
import { listening, signal, start, type Started, withFolder } from "./server_process.ts";

/** The application. */
export const DIARY = "tests/support/diary_app.ts";

/** A server that listens. */
export interface DiaryServer {
  readonly url: string;
  readonly pid: number | undefined;
  /** Writes an entry; resolves with the status. */
  post(entry: string): Promise<number>;
  entries(): Promise<string[]>;
  health(): Promise<Health>;
  /** What it has printed to standard error. */
  stderr(): string;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Stops it with SIGTERM; resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** Those that have not ended: what a failed test leaves would keep its runner from ending. */
const running = new Set<Started>();

/** Starts a server of the log in `file`. */
export function startDiary(
  file: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Started {
  const server = start(DIARY, diaryArgs(file, args), { env });
  running.add(server);
  server.ended.finally(() => running.delete(server));
  return server;
}

/** Ends a server that may have ended already; resolves with its exit code. */
export async function endDiary(server: Started, by: NodeJS.Signals): Promise<number | null> {
  try {
    if (running.has(server)) signal(server, by);
  } catch {
    // It has ended by itself, a moment ago.
  }
  return (await server.ended).code;
}

/** Calls `body` with a fresh folder, and leaves neither it nor a server behind. */
export function withDiaries<T>(body: (folder: string) => Promise<T>): Promise<T> {
  return withFolder(async (folder) => {
    try {
      return await body(folder);
    } finally {
      await Promise.all([...running].map((server) => endDiary(server, "SIGKILL")));
    }
  });
}

/** The arguments for a server of the log in `file`. */
export function diaryArgs(file: string, args: readonly string[] = []): string[] {
  return ["--addr", "localhost:0", "--events-file", file, ...args];
}

/** Starts a server of the log in `file` and waits until it listens. */
export async function serveDiary(
  file: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<DiaryServer> {
  const server = startDiary(file, args, env);
  const url = await listening(server);
  return {
    url,
    pid: server.child.pid,
    post: async (entry) => (await fetch(url, { method: "POST", body: entry })).status,
    entries: async () => await (await fetch(url)).json(),
    health: async () => await (await fetch(`${url}/health`)).json(),
    stderr: server.stderr,
    async kill(): Promise<void> {
      await endDiary(server, "SIGKILL");
    },
    stop: () => endDiary(server, "SIGTERM"),
  };
}

/** Starts a server that is expected to refuse: what it printed, and its exit code. */
export async function refusedDiary(
  file: string,
  args: readonly string[] = [],
): Promise<{ stderr: string; code: number | null }> {
  const server = startDiary(file, args);
  const isListening = await listening(server).then(() => true, () => false);
  if (isListening) await endDiary(server, "SIGKILL");
  const { code } = await server.ended;
  if (isListening) throw new Error(`it was expected to refuse, but listened: ${server.stderr()}`);
  return { stderr: server.stderr(), code };
}
