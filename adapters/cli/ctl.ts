/**
 * `mod.ts ctl SOCKET [COMMAND ARG…]`: tells a running server what to do, at its control socket.
 */

import process from "node:process";
import { readCommands } from "../../runtime/processes/command_line.ts";
import { ControlError } from "../../runtime/processes/control_command.ts";
import { connectControl, type ControlConnection } from "../control/control_client.ts";
import { talk } from "../control/terminal.ts";
import { NobodyReads, Output } from "./events/output.ts";
import { StartError } from "./exit.ts";
import { UsageError } from "./options.ts";

const HELP = `Usage: mod.ts ctl SOCKET [COMMAND ARG…]

Tells the server whose control socket is SOCKET (its --ctl-socket) what to do, and prints what it
answers. Without COMMAND, commands are read from a terminal, with completion, or from standard input,
one a line, up to the first that fails. "help" is a command, which prints what others there are.

It ends with 0 if the server did it, with 1 and a message if it did not or cannot be reached, with 2 if
this was called in a wrong way.`;

/**
 * Runs the command with its arguments.
 *
 * @throws {UsageError} if it was called in a wrong way.
 * @throws {StartError} if there is no server, or it says that it cannot be done.
 */
export async function runCtl(args: readonly string[]): Promise<void> {
  const [path, ...command] = args;
  if (path === "--help" || path === "-h") return console.log(HELP);
  if (path === undefined) throw new UsageError("which socket? write ctl SOCKET; see ctl --help");
  if (path === "" || path.startsWith("-")) {
    throw new UsageError(`"${path}" is no socket; see ctl --help`);
  }
  if (command.length === 0 && process.stdin.isTTY) return await talk(path);
  const connection = await connectControl(path);
  const output = new Output();
  try {
    if (command.length > 0) await ask(connection, command, output);
    else await askAll(connection, output);
  } catch (error) {
    if (error instanceof NobodyReads) process.exit(0);
    throw error;
  } finally {
    connection.close();
  }
}

/** Asks what stands on standard input. */
async function askAll(connection: ControlConnection, output: Output): Promise<void> {
  for await (const words of readCommands(process.stdin)) {
    if (words instanceof ControlError) throw new StartError(words.message);
    if (words.length === 0) continue;
    await ask(connection, words, output);
    if (words[0] === "exit") return;
  }
}

async function ask(
  connection: ControlConnection,
  words: readonly string[],
  output: Output,
): Promise<void> {
  const end = await connection.ask(words, (line) => {
    output.print(line);
    return output.flush();
  });
  if (end === "OK" || end === "closed" && words[0] === "exit") return;
  throw new StartError(
    end === "closed"
      ? "the server closed the connection before it had answered"
      : end.slice("ERROR: ".length),
  );
}
