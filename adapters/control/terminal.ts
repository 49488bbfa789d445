/**
 * A control socket at a terminal: a prompt with history, and completion of what the server's help
 * names.
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { splitWords } from "../../runtime/processes/command_line.ts";
import { ControlError } from "../../runtime/processes/control_command.ts";
import { StartError } from "../cli/exit.ts";
import { connectControl, type ControlConnection } from "./control_client.ts";

const PROMPT = "> ";
/** For a line in which a command goes on. */
const MORE = "  ";

/**
 * Talks with the server at `path` until one of the two has had enough. Ctrl-C leaves a command that
 * takes its time, else what was typed, else the server.
 *
 * @throws {StartError} if the server is not there, or has gone.
 */
export async function talk(path: string): Promise<void> {
  let connection = await connectControl(path);
  const usages = await usagesOf(connection);
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    completer: (line: string) => completionsOf(line, usages),
    prompt: PROMPT,
  });
  let isAsking = false;
  let cut: ControlConnection | undefined;
  let isGone = false;
  let begun = ""; // The lines of a command that goes on.
  const watch = (watched: ControlConnection) =>
    watched.closed.then(() => {
      if (isAsking || watched === cut) return; // Whoever asks is told.
      isGone = true;
      terminal.close();
    });
  terminal.on("SIGINT", () => {
    if (isAsking) {
      cut = connection;
      connection.close();
    } else if (terminal.line + begun === "") terminal.close();
    else {
      for (const name of ["e", "u"]) terminal.write(null, { ctrl: true, name }); // Empties the line.
      begun = "";
      terminal.setPrompt(PROMPT);
      terminal.prompt();
    }
  });
  let isOver = false;
  terminal.on("close", () => {
    isOver = true;
    if (isAsking) connection.close();
  });
  void watch(connection);
  try {
    terminal.prompt();
    for await (const line of terminal) {
      const goesOn = line.endsWith("\\");
      begun += goesOn ? `${line.slice(0, -1)}\n` : line;
      terminal.setPrompt(goesOn ? MORE : PROMPT);
      if (!goesOn) {
        isAsking = true;
        const end = await ask(connection, begun);
        isAsking = false;
        begun = "";
        if (end === "exit") return;
        if (end === "closed") {
          if (isOver) return;
          if (connection !== cut) throw new StartError("the server closed the connection");
          connection = await connectControl(path);
          void watch(connection);
        }
      }
      terminal.prompt();
    }
    console.log(); // The cursor is behind a prompt.
    if (isGone) throw new StartError("the server closed the connection");
  } finally {
    terminal.close();
    connection.close();
  }
}

/** Asks, and prints the whole answer. */
async function ask(connection: ControlConnection, text: string): Promise<string> {
  try {
    const words = splitWords(text);
    if (words.length === 0) return "";
    const end = await connection.ask(words, (line) => console.log(line));
    if (end !== "closed") console.log(end);
    return end === "closed" && words[0] === "exit" ? "exit" : end;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    console.log(`ERROR: ${error.message}`);
    return "";
  }
}

/** How each command is called, as the server's help has it: `["health", "--json"]`. */
async function usagesOf(connection: ControlConnection): Promise<string[][]> {
  const usages: string[][] = [];
  await connection.ask(["help"], (line) => {
    const [usage = ""] = line.split("  ");
    usages.push(usage.split(" ").map((word) => word.replaceAll(/[[\]]/g, "")));
  });
  return usages;
}

/** For readline: what the line's last word can become, and that word. */
function completionsOf(line: string, usages: readonly string[][]): [string[], string] {
  const words = line.trimStart().split(/ +/);
  const last = words.at(-1) ?? "";
  const options = words.length === 1
    ? usages.map(([name = ""]) => name)
    : usages.find(([name]) => name === words[0])?.filter((word) => word.startsWith("--")) ?? [];
  return [options.filter((option) => option.startsWith(last)).map((option) => `${option} `), last];
}
