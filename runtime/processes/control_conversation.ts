/**
 * A client of the control socket, from its first command to its last: each is read, run and answered
 * before the next. Where the bytes come from and go to is the adapter's business.
 */

import { messageOf } from "../errors.ts";
import { readCommands } from "./command_line.ts";
import {
  checkArguments,
  ClientGone,
  type ControlCommand,
  ControlError,
  type ControlOutput,
  usageOf,
} from "./control_command.ts";

/** A client, as the conversation sees it. */
export interface ControlClient {
  /** What it sends, read as it is asked for; it ends when the client has said all, or `signal` aborts. */
  readonly input: AsyncIterable<Uint8Array>;
  /**
   * Sends text; resolves when it is on its way.
   *
   * @throws {ClientGone} if it cannot be sent any more.
   */
  write(text: string): Promise<void>;
  /**
   * Aborts when the client has left, with a `ClientGone`, or when the server stops, with a
   * `ControlError` that the client is told.
   */
  readonly signal: AbortSignal;
}

/** What ends a conversation: the one command that is never answered. */
const EXIT: ControlCommand = {
  name: "exit",
  parameters: [],
  summary: "Closes this connection.",
  run() {},
};

/**
 * Answers a client's commands, in order, until it has said all, or `exit`, or the signal aborts.
 * `report` is called with what a command throws that is no `ControlError`.
 *
 * @throws {ClientGone} if the client has left before its last answer.
 */
export async function converse(
  client: ControlClient,
  given: readonly ControlCommand[],
  report: (error: unknown) => void,
): Promise<void> {
  const commands: ControlCommand[] = [...given, helpOn(() => commands), EXIT];
  const { signal } = client;
  for await (const words of readCommands(client.input)) {
    if (signal.aborted) return; // What was read may be half a line.
    try {
      if (words instanceof ControlError) throw words;
      const [name, ...args] = words;
      if (name === EXIT.name) return;
      if (name !== undefined) await run(commandOf(name, commands), args, client, report);
      await client.write("OK\n");
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      await client.write(`ERROR: ${inALine(error.message)}\n`);
    }
  }
}

function helpOn(commands: () => readonly ControlCommand[]): ControlCommand {
  return {
    name: "help",
    parameters: [],
    summary: "Prints this.",
    async run(_args, { print }) {
      const width = Math.max(...commands().map((command) => usageOf(command).length));
      for (const command of commands()) {
        await print(`${usageOf(command).padEnd(width)}  ${command.summary}`);
      }
    },
  };
}

function commandOf(name: string, commands: readonly ControlCommand[]): ControlCommand {
  const command = commands.find((command) => command.name === name);
  if (command !== undefined) return command;
  const names = commands.map(({ name }) => name).join("|");
  throw new ControlError(`unknown command, want ${names}`);
}

/** Runs a command until it is done, or nobody waits for it any more. */
async function run(
  command: ControlCommand,
  args: readonly string[],
  client: ControlClient,
  report: (error: unknown) => void,
): Promise<void> {
  checkArguments(command, args);
  const { signal } = client;
  const output: ControlOutput = {
    signal,
    async print(line) {
      signal.throwIfAborted();
      await client.write(`${asText(line)}\n`);
    },
  };
  const { promise: isOver, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([done(command, args, output, report), isOver]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** What a command throws is reported here, also when its client has left long since. */
async function done(
  command: ControlCommand,
  args: readonly string[],
  output: ControlOutput,
  report: (error: unknown) => void,
): Promise<void> {
  try {
    await command.run(args, output);
  } catch (error) {
    if (error instanceof ControlError || error instanceof ClientGone) throw error;
    report(error);
    throw new ControlError(messageOf(error), { cause: error });
  }
}

/** A line that a client cannot take for the end of the answer. */
function asText(line: string): string {
  const text = inALine(line);
  return text === "OK" || text.startsWith("ERROR: ") ? ` ${text}` : text;
}

function inALine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ");
}
