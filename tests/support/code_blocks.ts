/**
 * The code in Markdown: every fenced block of a document, and the modules that its `ts` blocks are.
 *
 * A comment right before a block, which no reader sees, says what the block is not alone:
 * `<!-- file: main.ts -->` gives its module a name, which later blocks of the document can import;
 * `<!-- continues -->` puts it behind the `ts` block before; `<!-- before … -->` has lines that
 * stand before it.
 */

import {
  globSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { importsOf, ROOT } from "../gate/source_files.ts";

/** A document, with its path from the root. */
export interface Document {
  readonly path: string;
  readonly text: string;
}

/** A fenced block. */
export interface CodeBlock {
  /** Where it is: `docs/tutorial.md:12`, the line of its fence. */
  readonly place: string;
  /** What stands behind the fence: `ts`, `console`; nothing, if there is nothing. */
  readonly tag: string;
  readonly text: string;
  /** The comment before it. */
  readonly comment: string;
}

/** A `ts` block as a module. */
export interface BlockModule {
  readonly place: string;
  readonly name: string;
  /** All modules of the document as they are at this place, this one among them, by name. */
  readonly files: ReadonlyMap<string, string>;
  /** Whether it holds tests, and so has to be run by a test runner. */
  readonly isTest: boolean;
}

/** The paths of all documents whose code has to work. */
export function documentPaths(): string[] {
  return ["README.md", "llms.txt", "docs/*.md", "examples/*/README.md"]
    .flatMap((pattern) => globSync(pattern, { cwd: ROOT }).sort());
}

/**
 * The fenced blocks of a document, in order.
 *
 * @throws {SyntaxError} if a fence is not closed, or is of a kind that is not looked into.
 */
export function blocksOf({ path, text }: Document): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { line: number; tag: string; comment: string; lines: string[] } | undefined;
  let comment = "";
  let isInComment = false;
  text.split("\n").forEach((line, index) => {
    const fence = /^\s*(```+|~~~+)(.*)$/.exec(line);
    if (open !== undefined) {
      if (fence === null) open.lines.push(line);
      else {
        const { line, tag, comment, lines } = open;
        const text = lines.map((line) => `${line}\n`).join("");
        blocks.push({ place: `${path}:${line}`, tag, text, comment });
        open = undefined;
      }
      return;
    }
    if (isInComment || line.startsWith("<!--")) {
      comment = isInComment ? `${comment}\n${line}` : line;
      isInComment = !line.endsWith("-->");
    } else if (fence !== null) {
      if (fence[1] !== "```") {
        throw new SyntaxError(`${path}:${index + 1}: a fence is three \`\`\``);
      }
      const inner = comment.replace(/^<!--\s*/, "").replace(/\s*-->$/, "");
      open = { line: index + 1, tag: fence[2]?.trim() ?? "", comment: inner, lines: [] };
      comment = "";
    } else if (line.trim() !== "") comment = "";
  });
  if (open !== undefined) throw new SyntaxError(`${path}: a fence is not closed`);
  return blocks;
}

/** The modules that the `ts` blocks of a document are. */
export function modulesOf(blocks: readonly CodeBlock[]): BlockModule[] {
  const modules: BlockModule[] = [];
  let files: ReadonlyMap<string, string> = new Map();
  for (const block of blocks.filter(({ tag }) => tag === "ts")) {
    const { place, comment } = block;
    const last = modules.at(-1);
    const [name, text] = comment === "continues" && last !== undefined
      ? [last.name, `${last.files.get(last.name)}\n${block.text}`]
      : [fileOf(block) ?? `block_${place.replace(/^.*:/, "")}.ts`, prelude(block) + block.text];
    files = new Map(files).set(name, text);
    const isTest = importsOf(text).some(({ specifier }) => specifier === "node:test");
    modules.push({ place, name, files, isTest });
  }
  return modules;
}

/** The name that a block has been given. */
export function fileOf({ comment }: CodeBlock): string | undefined {
  return /^file: (\S+)$/.exec(comment)?.[1];
}

function prelude({ comment }: CodeBlock): string {
  return comment.startsWith("before\n") ? `${comment.slice("before\n".length)}\n` : "";
}

/**
 * Makes `folder` one in which `"alcedo"`, and what the project itself uses, can be imported: what
 * `npm install` would have made.
 */
export function makeProject(folder: string): void {
  const installed = join(ROOT, "node_modules");
  const links = join(folder, "node_modules");
  mkdirSync(links);
  for (const name of readdirSync(installed).filter((name) => !name.startsWith("."))) {
    symlinkSync(realpathSync(join(installed, name)), join(links, name));
  }
  symlinkSync(ROOT, join(links, "alcedo"));
  // What a document in docs/ names as one of the examples.
  symlinkSync(join(ROOT, "examples"), join(folder, "examples"));
  const { dependencies, type } = { dependencies: { alcedo: ROOT }, type: "module" };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type, dependencies }));
}

/** Writes a module, and the others of its document, to a folder of its own; returns its path. */
export function writeModule(project: string, { place, name, files }: BlockModule): string {
  const folder = join(project, place.replaceAll(/[/:]/g, "_"));
  mkdirSync(folder);
  for (const [file, text] of files) writeFileSync(join(folder, file), text);
  return join(folder, name);
}
