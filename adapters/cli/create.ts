/**
 * `mod.ts create FOLDER`: writes a small application, with a test, for the three runtimes. Its code is
 * `examples/starter`, as it stands there; the few files around it are made here.
 */

import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "#std/cli/parse_args";
import about from "../../package.json" with { type: "json" };
import { StartError } from "./exit.ts";
import { UsageError } from "./options.ts";

const HELP = `Usage: mod.ts create FOLDER

Writes a small application into a new folder: main.ts, a test, and what Node, Bun and Deno need to
run them. The folder's name is that of the application.

  --help, -h  print this and exit`;

const STARTER = new URL("../../examples/starter/", import.meta.url);
const CODE = ["main.ts", "main.test.ts"];

/** What npm takes for the name of a new package; the folder of a scope is none of its name. */
const NAME = /^[a-z0-9-][a-z0-9._-]{0,213}$/;

/** Its own name would hide the package that it imports; the other is where packages are. */
const NAMES_TAKEN = [about.name, "node_modules"];

/**
 * Runs the command with its arguments.
 *
 * @throws {UsageError} if it was called in a wrong way.
 * @throws {StartError} if it cannot be done, such as where the folder is not empty.
 */
export function runCreate(args: readonly string[]): void {
  const found = parseArgs(args, {
    boolean: ["help"],
    string: ["_"],
    alias: { help: "h" },
    unknown(argument, key) {
      if (key !== undefined) throw new UsageError(`unknown option ${argument}; see create --help`);
      return true;
    },
  });
  if (found["help"] === true) return console.log(HELP);
  const [path, surplus] = found._.map(String);
  if (path === undefined) throw new UsageError("which folder? write create FOLDER");
  if (surplus !== undefined) {
    throw new UsageError(`unknown argument "${surplus}"; see create --help`);
  }
  const folder = resolve(path);
  const name = basename(folder);
  if (!NAME.test(name) || NAMES_TAKEN.includes(name)) {
    throw new UsageError(
      `cannot create "${path}": "${name}" cannot be the name of a package; write small letters, ` +
        `digits and hyphens, such as my-app`,
    );
  }
  create(folder, name);
  console.log(nextSteps(name, relative(process.cwd(), folder)));
}

function create(folder: string, name: string): void {
  if (STARTER.protocol !== "file:" || !existsSync(STARTER)) {
    throw new StartError(`cannot create "${name}" from here; run npm create alcedo ${name}`);
  }
  try {
    mkdirSync(folder, { recursive: true });
    if (readdirSync(folder).length > 0) {
      throw new StartError(`cannot create "${folder}": the folder is not empty`);
    }
    for (const file of CODE) {
      copyFileSync(fileURLToPath(new URL(file, STARTER)), join(folder, file));
    }
    for (const [file, text] of Object.entries(filesFor(name))) {
      writeFileSync(join(folder, file), text, { flag: "wx" });
    }
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    throw new StartError(`cannot create "${folder}": ${error.message}`, { cause: error });
  }
}

/** What is around the code. */
function filesFor(name: string): Readonly<Record<string, string>> {
  return {
    "package.json": json({
      name,
      private: true,
      type: "module",
      scripts: { start: "node main.ts", test: "node --test", check: "tsc" },
      dependencies: { alcedo: `^${about.version}` },
      devDependencies: { "@types/node": "^26.0.0", typescript: "^7.0.0" },
    }),
    "deno.json": json({
      fmt: { lineWidth: 100 },
      tasks: {
        start: "deno run -A main.ts",
        test: "deno test -A",
      },
    }),
    "tsconfig.json": json({
      compilerOptions: {
        noEmit: true,
        target: "ESNext",
        module: "NodeNext",
        types: ["node"],
        strict: true,
        // What runs unbuilt on three runtimes.
        erasableSyntaxOnly: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
      },
    }),
    ".gitignore": "node_modules/\ndb.events*\n",
    "README.md": readme(name),
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function readme(name: string): string {
  return `# ${name}

A list of notes, on Alcedo: the list is in memory, and every change of it is on disk, in
\`db.events\`, before the answer leaves.

|          | Node          | Bun               | Deno              |
| -------- | ------------- | ----------------- | ----------------- |
| once     | \`npm install\` | \`bun install\`     | \`deno install\`    |
| to serve | \`npm start\`   | \`bun run main.ts\` | \`deno task start\` |
| to test  | \`npm test\`    | \`bun test\`        | \`deno task test\`  |

\`\`\`sh
curl -d "buy milk" localhost:9000   # adds a note
curl localhost:9000                 # shows them
curl -X DELETE localhost:9000/1     # removes one
\`\`\`

\`node main.ts --help\` lists the options.
`;
}

function nextSteps(name: string, folder: string): string {
  const enter = folder === "" ? "" : `  cd ${folder}\n`;
  return `Created ${name}. What next:

${enter}  npm install && npm start          # with Node
  bun install && bun run main.ts    # with Bun
  deno install && deno task start   # with Deno`;
}
