/**
 * What a reader types at a terminal: `console` blocks (`$ command`, and what it prints), which are
 * played, and the commands of `sh` blocks, which are looked at.
 *
 * Played are the runtime under test wherever it says `node`, servers in the background, requests,
 * signals, and `alcedo`; a free port stands for 9000. In what is printed, `…` stands for anything,
 * and on a line of its own for any number of lines.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { COMMANDS } from "../../adapters/cli/events/main.ts";
import { readCall } from "../../adapters/cli/events/command.ts";
import { readCommandLine, resolveSettings } from "../../adapters/cli/options.ts";
import { poolCommands } from "../../adapters/cli/pool/commands.ts";
import { readPoolCall } from "../../adapters/cli/pool/options.ts";
import { serverCommands } from "../../adapters/control/server_commands.ts";
import { checkArguments as checkControlArguments } from "../../runtime/processes/control_command.ts";
import { type CodeBlock, fileOf } from "./code_blocks.ts";
import {
  listening,
  ROOT,
  signal,
  start,
  type Started,
  type StartOptions,
} from "./server_process.ts";

/** A line of a transcript, and what it prints. */
interface Exchange {
  readonly command: string;
  readonly printed: string;
}

/**
 * Plays the transcripts of a document from top to bottom, in a folder that it makes, with the files
 * that the document has named so far; returns where something else was printed.
 */
export async function playTranscripts(
  folder: string,
  blocks: readonly CodeBlock[],
): Promise<string[]> {
  mkdirSync(folder);
  const terminal = new Terminal(folder);
  const complaints: string[] = [];
  try {
    for (const block of blocks) {
      const file = fileOf(block);
      if (file !== undefined) writeFileSync(join(folder, file), block.text);
      if (block.tag !== "console") continue;
      for (const { command, printed } of exchangesOf(block.text)) {
        const actual = await terminal.run(command).catch((error: Error) => error.message);
        if (!isPrinted(actual, printed)) {
          complaints.push(`${block.place}: "${command}" does not print what is said:\n${actual}`);
        }
      }
    }
  } finally {
    await terminal.close();
  }
  return complaints;
}

/** The exchanges of a `console` block. */
function exchangesOf(text: string): Exchange[] {
  const joined = text.replaceAll(/ \\\n\s*/g, " ");
  if (!joined.startsWith("$ ")) throw new SyntaxError('A transcript begins with "$ "');
  return joined.split(/^\$ /m).slice(1).map((part) => {
    const end = part.indexOf("\n");
    return { command: part.slice(0, end), printed: part.slice(end + 1) };
  });
}

/** Whether `actual` is what a transcript says is printed. */
export function isPrinted(actual: string, expected: string): boolean {
  const pattern = expected.trimEnd().split("\n").map((line) =>
    line.trim() === "…"
      ? "(?:.*\\n)*?"
      : `${line.split("…").map((part) => RegExp.escape(part)).join(".*?")}\\n`
  ).join("");
  return new RegExp(`^${pattern}$`).test(`${actual.trimEnd()}\n`);
}

/** The words of a command: quotes and backslashes as a shell reads them, and no more. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/g)].map(([word]) =>
    word.replaceAll(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_all, double, single, escaped) => {
      return double?.replaceAll(/\\(["\\$`])/g, "$1") ?? single ?? escaped;
    })
  );
}

/** How a runtime is told to run a file. */
const RUNTIMES = [["node"], ["bun", "run"], ["deno", "run", "-A"]];

/** What follows the runtime, if the command starts with one. */
function afterRuntime(words: readonly string[]): readonly string[] | undefined {
  const runtime = RUNTIMES.find((runtime) => runtime.every((word, i) => words[i] === word));
  return runtime && words.slice(runtime.length);
}

/** What is run as it is: what reads and moves files. */
const PLAIN = ["cat", "cp", "ls", "mv", "rm"];

/** A terminal in a folder; one server at a time runs in its background. */
class Terminal {
  readonly #folder: string;
  #server: Started | undefined;
  #url = "";

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs a command, and returns what it prints. */
  async run(command: string): Promise<string> {
    const isBackground = command.endsWith(" &");
    const words = wordsOf(isBackground ? command.slice(0, -2) : command);
    const [program = "", ...args] = words;
    const [file, ...rest] = afterRuntime(words) ?? [];
    if (file !== undefined && isBackground) return await this.#serve(file, rest);
    if (file !== undefined) return await this.#output(start(this.#path(file), rest, this.#place));
    if (program === "alcedo") return await this.#output(start("mod.ts", args, this.#place));
    if (program === "curl") return await curl(args, this.#url);
    if (program === "kill") return await this.#kill(args);
    if (PLAIN.includes(program)) return await shell(command, this.#folder);
    throw new Error(`"${program}" is not among what a transcript can run`);
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    if (this.#server !== undefined) await this.#kill(["-9", "%1"]);
  }

  get #place(): StartOptions {
    // Node keeps there what it has made of the sources: a quarter of the processor time of a start.
    const NODE_COMPILE_CACHE = join(this.#folder, "../cache");
    return { cwd: this.#folder, env: { ALCEDO_ADDR: "localhost:0", NODE_COMPILE_CACHE } };
  }

  #path(file: string): string {
    const own = join(this.#folder, file);
    return existsSync(own) ? own : resolve(ROOT, file);
  }

  async #serve(file: string, args: readonly string[]): Promise<string> {
    if (this.#server !== undefined) throw new Error("a server is running already");
    this.#server = start(this.#path(file), args, this.#place);
    this.#url = await listening(this.#server);
    return "";
  }

  async #output(started: Started): Promise<string> {
    await started.ended;
    return started.stdout() + started.stderr();
  }

  async #kill(args: readonly string[]): Promise<string> {
    const server = this.#server;
    if (args.at(-1) !== "%1" || server === undefined) throw new Error("there is no such job");
    this.#server = undefined;
    signal(server, args.includes("-9") ? "SIGKILL" : "SIGTERM");
    await server.ended;
    return server.stderr();
  }
}

async function shell(command: string, cwd: string): Promise<string> {
  const child = spawn("sh", ["-c", command], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`it ended with ${code}`);
  return output;
}

/** A request as curl would make it, of the options that the documents use. */
async function curl(args: readonly string[], url: string): Promise<string> {
  let path: string | undefined;
  let method: string | undefined;
  let shownHead = false;
  const headers = new Headers();
  const data: string[] = [];
  for (const rest = [...args]; rest.length > 0;) {
    const option = rest.shift() ?? "";
    const value = () => rest.shift() ?? "";
    if (option === "-i") shownHead = true;
    else if (option === "-X") method = value();
    else if (option === "-d") data.push(value());
    else if (option === "--data-urlencode") {
      const [name = "", ...text] = value().split("=");
      data.push(`${name}=${encodeURIComponent(text.join("="))}`);
    } else if (option === "-H") {
      const [name = "", text = ""] = value().split(": ");
      headers.set(name, text);
    } else if (option.startsWith("localhost:9000")) path = option.slice("localhost:9000".length);
    else throw new Error(`curl's "${option}" is not among what a transcript can use`);
  }
  if (path === undefined) throw new Error("curl asks nobody but localhost:9000");
  if (data.length > 0 && !headers.has("content-type")) {
    headers.set("content-type", "application/x-www-form-urlencoded");
  }
  const response = await fetch(url + path, {
    method: method ?? (data.length > 0 ? "POST" : "GET"),
    headers,
    redirect: "manual",
    ...(data.length > 0 ? { body: data.join("&") } : {}),
  });
  const fields = [...response.headers].map(([name, value]) => `${name}: ${value}\n`).join("");
  const head = `HTTP/1.1 ${response.status} ${response.statusText}\n${fields}\n`;
  return (shownHead ? head : "") + await response.text();
}

/** What stands between the commands of a script. */
const SEPARATORS = /\s+&&\s+|\s+\|\|\s+|\s*;\s+|\s+\|\s+|\s+&$|\n/;

/** What is wrong with the commands of an `sh` block; `known` are programs that are not ours. */
export function commandComplaints(text: string, known: ReadonlySet<string>): string[] {
  const script = text.replaceAll(/(?:^|\s)#.*$/gm, "").replaceAll(/ \\\n\s*/g, " ");
  return script.split(SEPARATORS).map((command) => command.trim()).filter((command) =>
    command !== ""
  ).flatMap((command) => {
    try {
      checkCommand(wordsOf(command).filter((word) => !/^\[.*\]$/.test(word)), known);
      return [];
    } catch (error) {
      return [`${command}: ${(error as Error).message}`];
    }
  });
}

function checkCommand(words: readonly string[], known: ReadonlySet<string>): void {
  const [program = "", ...args] = words;
  if (/^\w+=/.test(program)) return args.length === 0 ? undefined : checkCommand(args, known);
  const [file, ...rest] = afterRuntime(words) ?? [];
  if (program === "alcedo" || file === "mod.ts") {
    return checkArguments(program === "alcedo" ? args : rest);
  }
  if (file?.endsWith(".ts") === true) return checkOptions(rest);
  if (!known.has(words.slice(0, 2).join(" ")) && !known.has(program)) {
    throw new Error(`"${program}" is no program that the documents may name`);
  }
}

/** @throws {UsageError} if `mod.ts` would not take these arguments. */
function checkArguments(args: readonly string[]): void {
  const [first, name, ...rest] = args;
  if (first === "pool") return void readPoolCall(args.slice(1), {});
  if (first === "ctl") return checkCommandOfServer(name, rest);
  if (first !== "events") return checkOptions(args);
  if (name === "COMMAND") return;
  const command = COMMANDS.find((command) => command.name === name);
  if (command === undefined) throw new Error(`there is no command "events ${name}"`);
  readCall(command, rest);
}

/** What the control sockets of servers and pools take; nothing is asked here. */
const SERVER_COMMANDS = [
  ...serverCommands({ look: nobody, snapshots: undefined }),
  ...poolCommands(nobody),
];

function nobody(): never {
  throw new Error("Nobody looks");
}

function checkCommandOfServer(socket: string | undefined, words: readonly string[]): void {
  if (socket === undefined) throw new Error("there is no socket");
  const [name, ...args] = words;
  if (name === undefined || name === "help" || name === "exit") return;
  const command = SERVER_COMMANDS.find((command) => command.name === name);
  if (command === undefined) throw new Error(`there is no command "ctl ${socket} ${name}"`);
  checkControlArguments(command, args);
}

function checkOptions(args: readonly string[]): void {
  resolveSettings(readCommandLine(args).flags, {}, {});
}
