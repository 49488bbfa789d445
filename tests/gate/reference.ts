/**
 * The reference, `docs/reference.md`, made of the docstrings of what is public, and of the types
 * that it names. Deno's documentation tool knows the names, the docstrings and the places; what a
 * declaration says is cut out of the source as it was written.
 *
 * `node tests/gate/reference.ts` writes it; the gate looks whether it is as it would be written.
 */

import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installed, runCommand } from "./command.ts";
import { ROOT } from "./source_files.ts";

const REFERENCE: string = join(ROOT, "docs/reference.md");

const HEAD = `# Reference

All that can be imported, and what its docstrings say. This page is made of them by
\`node tests/gate/reference.ts\`; what it is good for is told by the [tutorial](tutorial.md) and the
[guides](README.md).
`;

/** How a kind of names is called here, in the order of the page. */
const SECTIONS: readonly (readonly [title: string, kinds: readonly string[]])[] = [
  ["Functions and values", ["function", "variable"]],
  ["Errors", ["class"]],
  ["Types", ["interface", "typeAlias"]],
];

/** The modules beside `mod.ts` that can be imported: the servers, what they must do, a pool's worker. */
const SUBPATHS = ["deno", "bun", "node", "conformance", "worker"] as const;

interface Tag {
  readonly kind: string;
  readonly doc?: string;
  readonly value?: string;
  readonly tsType?: { readonly repr: string };
}
interface JsDoc {
  readonly doc?: string;
  readonly tags?: readonly Tag[];
}
interface Place {
  readonly filename: string;
  /** From 0. */
  readonly line: number;
  readonly col: number;
}
interface Member {
  readonly name?: string;
  readonly location: Place;
  readonly jsDoc?: JsDoc;
  readonly accessibility?: string;
  readonly isOverride?: boolean;
}
interface Declaration {
  readonly kind: string;
  readonly location: Place;
  readonly jsDoc?: JsDoc;
  readonly def: {
    readonly hasBody?: boolean;
    readonly properties?: readonly Member[];
    readonly methods?: readonly Member[];
    readonly constructors?: readonly Member[];
  };
}
interface DocSymbol {
  readonly name: string;
  readonly declarations: readonly Declaration[];
}
interface DenoDoc {
  readonly nodes: Readonly<Record<string, { readonly symbols: readonly DocSymbol[] }>>;
}

/** What the page is made of. */
interface Entry {
  /** What it is imported as, and under which name: `serve`, `alcedo/node: serve`. */
  readonly title: string;
  readonly symbol: DocSymbol;
}

/** The page as it should be. */
export async function makeReference(): Promise<string> {
  const modules = await denoDoc(["mod.ts", ...SUBPATHS.map((name) => `adapters/${name}.ts`)]);
  const everything = await denoDoc(globSync("{runtime,adapters}/**/*.ts", { cwd: ROOT }).sort(), [
    "--private",
  ]);
  const all = new Map(
    [...everything].flatMap(([file, symbols]) =>
      symbols.map((symbol) => [`${file} ${symbol.name}`, symbol] as const)
    ),
  );
  const [main = [], ...others] = modules.values();
  const entries = main.map((symbol) => ({ title: symbol.name, symbol }));
  const apart = SUBPATHS.map((subpath, i) =>
    (others[i] ?? []).map((symbol) => ({ title: `alcedo/${subpath}: ${symbol.name}`, symbol }))
  );
  const named = namedBy([...main, ...others.flat()], all);
  const sections = [
    ...SECTIONS.map(([title, kinds]) =>
      [
        title,
        entries.filter(({ symbol }) => kinds.includes(symbol.declarations[0]?.kind ?? "")),
      ] as const
    ),
    ["Servers alone", apart.slice(0, 3).flat()],
    ["What a server must do", apart[3] ?? []],
    ["A pool's worker", apart[4] ?? []],
    ["Types that these name, and that cannot be imported", named],
  ] as const;
  const anchors = anchorsOf(sections.flatMap(([title, entries]) => [
    title,
    ...entries.map(({ title }) => title),
  ]));
  const pages = sections.map(([title, entries]) =>
    `## ${title}\n\n${
      entries.toSorted(byTitle).map((entry) => entryText(entry, anchors)).join("\n")
    }`
  );
  return await formatted(`${HEAD}\n${pages.join("\n")}`);
}

/** What is wrong with the page as it is. */
export async function referenceComplaints(): Promise<string[]> {
  return await makeReference() === readFileSync(REFERENCE, "utf8")
    ? []
    : ["docs/reference.md is not what the docstrings say: node tests/gate/reference.ts"];
}

function byTitle(a: Entry, b: Entry): number {
  return a.title.localeCompare(b.title, "en");
}

async function denoDoc(
  paths: readonly string[],
  options: readonly string[] = [],
): Promise<ReadonlyMap<string, readonly DocSymbol[]>> {
  const args = ["doc", "--quiet", "--json", ...options, ...paths] as const;
  const { ok, output } = await runCommand([installed("deno"), ...args]);
  if (!ok) throw new Error(`Cannot read the docstrings: ${output}`);
  const { nodes } = JSON.parse(output) as DenoDoc;
  // In the order of `paths`, which the output does not keep.
  return new Map(paths.map((path) => {
    const url = Object.keys(nodes).find((url) => url.endsWith(`/${path}`)) ?? "";
    return [join(ROOT, path), nodes[url]?.symbols ?? []];
  }));
}

/** The types that `symbols` name, directly or through others, and that are not among them. */
function namedBy(symbols: readonly DocSymbol[], all: ReadonlyMap<string, DocSymbol>): Entry[] {
  const key = (symbol: DocSymbol) => `${fileOf(symbol)} ${symbol.name}`;
  const seen = new Set(symbols.map(key));
  const found: Entry[] = [];
  const queue = [...symbols];
  for (const symbol of queue) { // Grows while it is read: what they name names others.
    const file = fileOf(symbol);
    const look = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      const { resolution, typeName } = value as {
        resolution?: { kind: string; specifier?: string; name?: string };
        typeName?: string;
      };
      if (resolution?.kind === "local" || resolution?.specifier?.startsWith(".") === true) {
        const target = join(file, "..", resolution.specifier ?? file.replace(/^.*\//, ""));
        const name = resolution.name ?? typeName ?? "";
        const named = all.get(`${target} ${name}`);
        if (named !== undefined && !seen.has(key(named))) {
          seen.add(key(named));
          queue.push(named);
          found.push({ title: typeName ?? name, symbol: named });
        }
      }
      Object.values(value).forEach(look);
    };
    // How a thing is done, in a body or behind a "#", names what is nobody's business.
    symbol.declarations.filter(({ kind }) => kind !== "class").forEach(look);
  }
  return found;
}

function fileOf(symbol: DocSymbol): string {
  const url = symbol.declarations[0]?.location.filename;
  return url === undefined ? "" : fileURLToPath(url);
}

/** Where each title can be found on the page, as GitHub names it: the second of a name ends in -1. */
function anchorsOf(titles: readonly string[]): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  return new Map(titles.map((title) => {
    const anchor = title.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-");
    const count = counts.get(anchor) ?? 0;
    counts.set(anchor, count + 1);
    return [title, count === 0 ? anchor : `${anchor}-${count}`];
  }));
}

function entryText({ title, symbol }: Entry, anchors: ReadonlyMap<string, string>): string {
  const { declarations } = symbol;
  // Of an overloaded function, the body's own signature is nobody's to call.
  const shown = declarations.length === 1
    ? declarations
    : declarations.filter(({ def }) => !def.hasBody);
  const path = fileOf(symbol).slice(ROOT.length);
  const parts = shown.flatMap((declaration) => [
    `\`\`\`ts signature\n${signatureOf(declaration)}\n\`\`\``,
    docText(declaration.jsDoc, anchors),
    unionText(declaration, anchors),
    membersOf(declaration).map((member) => memberText(member, anchors)).join("\n"),
    examplesOf(declaration.jsDoc),
    ...membersOf(declaration).map(({ jsDoc }) => examplesOf(jsDoc)),
  ]);
  const text = parts.filter((part) => part !== "").join("\n\n");
  return `### ${title}\n\n${text}\n\nSource: [${path}](../${path})\n`;
}

function docText(jsDoc: JsDoc | undefined, anchors: ReadonlyMap<string, string>): string {
  const { doc = "", tags = [] } = jsDoc ?? {};
  const defaults = tags.filter(({ kind }) => kind === "default").map(({ value, doc = "" }) =>
    `Default: ${value === undefined ? doc : `\`${value}\`${doc}`}.`
  );
  const throws = tags.filter(({ kind }) => kind === "throws").map(({ tsType, doc = "" }) =>
    `Throws \`${tsType?.repr ?? "Error"}\`: ${doc.trim()}`
  );
  return linked([[doc.trim(), ...defaults].join(" ").trim(), ...throws], anchors);
}

function linked(paragraphs: readonly string[], anchors: ReadonlyMap<string, string>): string {
  return paragraphs.filter((text) => text !== "").join("\n\n")
    .replaceAll(/\{@linkcode ([\w.]+)\}/g, (_all, name: string) => {
      const [owner = ""] = name.split(".");
      const anchor = anchors.get(owner);
      return anchor === undefined ? `\`${name}\`` : `[\`${name}\`](#${anchor})`;
    });
}

/** The words of a union that have a docstring each. */
function unionText(declaration: Declaration, anchors: ReadonlyMap<string, string>): string {
  return declaration.kind === "typeAlias"
    ? wordsText(sourceOf(declaration.location, ";"), anchors)
    : "";
}

function wordsText(source: string, anchors: ReadonlyMap<string, string>): string {
  return [...source.matchAll(/\/\*\*([^]*?)\*\/\s*\|?\s*("[^"]*")/g)].map(([, doc = "", word]) =>
    `- \`${word}\`: ${linked([withoutStars(doc)], anchors)}`
  ).join("\n");
}

function withoutStars(doc: string): string {
  return doc.replaceAll(/\n\s*\*/g, "").trim();
}

function membersOf({ kind, def }: Declaration): Member[] {
  if (kind !== "interface" && kind !== "class") return [];
  return [...def.constructors ?? [], ...def.properties ?? [], ...def.methods ?? []]
    .filter(({ accessibility, isOverride }) => accessibility !== "private" && isOverride !== true)
    .toSorted((a, b) => a.location.line - b.location.line);
}

function memberText(member: Member, anchors: ReadonlyMap<string, string>): string {
  const source = sourceOf(member.location, ";={");
  const words = wordsText(source, anchors);
  const doc = docText(member.jsDoc, anchors);
  const text = doc === "" ? "" : `: ${doc}`;
  const lines = `- \`${onOneLine(source)}\`${text}${words === "" ? "" : `\n\n${words}`}`.split(
    "\n",
  );
  return lines.map((line, i) => i === 0 || line === "" ? line : `  ${line}`).join("\n");
}

const COMMENTS = /\s*\/\/[^\n]*|\s*\/\*[^]*?\*\//g;

/** What a declaration says, without what it does, and without the comments in it. */
function signatureOf({ kind, location }: Declaration): string {
  const ends = kind === "typeAlias" ? ";" : kind === "function" ? ";{" : "={";
  // Of a variable, the place is that of its name.
  const source = sourceOf({ ...location, col: 0 }, ends).replace(/^export (async )?/, "");
  const end = kind === "interface" || kind === "class" ? " { … }" : ";";
  return source.replaceAll(COMMENTS, "") + end;
}

function onOneLine(source: string): string {
  return source.replaceAll(COMMENTS, "").replaceAll(/\s+/g, " ")
    .replaceAll("( ", "(").replaceAll(", )", ")").replaceAll(/([:=]) \| /g, "$1 ");
}

/**
 * The source from a place on, up to the first character of `ends` that stands in no brackets. A
 * type may begin with a brace, so one ends it only behind a space and where no type can stand.
 */
function sourceOf({ filename, line, col }: Place, ends: string): string {
  const lines = readFileSync(fileURLToPath(filename), "utf8").split("\n").slice(line);
  const text = lines.join("\n").slice(col);
  const tokens = /\/\*[^]*?\*\/|"[^"\n]*"|`[^`]*`|=>|[()[\]{}<>;=]/g;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(tokens)) {
    const before = text.slice(0, index).trimEnd();
    const isBody = token !== "{" || !/[:=|&(,<]$|=>$/.test(before);
    if (depth === 0 && ends.includes(token) && isBody) return before;
    if ("([{<".includes(token)) depth++;
    else if (")]}>".includes(token)) depth--;
  }
  throw new Error(`Cannot find the end of what begins at ${filename}:${line + 1}`);
}

/** What examples take for granted, by name: put before them, where no reader sees it. */
const GIVEN: readonly (readonly [name: string, declaration: string])[] = [
  ["assert", 'import assert from "node:assert/strict";'],
  [
    "app",
    `const app = defineApp({
  initModel: () => 0,
  updateModel: (sum, events: readonly ({ deposit: number } | { withdraw: number })[]) =>
    events.reduce((sum, event) => sum + ("deposit" in event ? event.deposit : -event.withdraw), sum),
  handleRequest: (_request, sum) => new Response(String(sum)),
});`,
  ],
  ["engine", "const engine = await openEngine(app, { log: memoryLog() });"],
  ["last", "let last: string | undefined;"],
  [
    "tell",
    `await engine.write((_sum, { saveEvent }) => saveEvent({ deposit: 1 }));
const tell = async (_events: unknown): Promise<void> => void engine.close();`,
  ],
];

function examplesOf(jsDoc: JsDoc | undefined): string {
  return (jsDoc?.tags ?? []).filter(({ kind }) => kind === "example").map(({ doc = "" }) => {
    const code = doc.replace(/^```ts\n/, "").replace(/\n```\s*$/, "");
    const needs = (text: string, name: string) =>
      new RegExp(`\\b${name}\\b`).test(text) &&
      !new RegExp(`(?:const|using|import) ${name}\\b`).test(text);
    let given = "";
    for (const [name, declaration] of GIVEN.toReversed()) {
      if (needs(given + code, name)) given = `${declaration}\n${given}`;
    }
    const values = [
      "checkApp",
      "defineApp",
      "HttpError",
      "memoryLog",
      "openEngine",
      "serve",
      "serveFiles",
    ]
      .filter((name) => needs(given + code, name));
    const imported = code.includes("import ")
      ? ""
      : `import { ${values.join(", ")} } from "alcedo";\n`;
    const before = `${imported}${given}`;
    const comment = before === "" ? "" : `<!-- before\n${before}-->\n\n`;
    return `${comment}\`\`\`ts\n${code}\n\`\`\``;
  }).join("\n\n");
}

async function formatted(markdown: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "alcedo-reference-"));
  const path = join(folder, "reference.md");
  try {
    writeFileSync(path, markdown);
    const config = join(ROOT, "deno.json");
    const { ok, output } = await runCommand([installed("deno"), "fmt", "--config", config, path]);
    if (!ok) throw new Error(`Cannot format the reference: ${output}`);
    return readFileSync(path, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) writeFileSync(REFERENCE, await makeReference());
