/**
 * Every code block of the documents works: what is TypeScript runs, a transcript prints what it
 * says, and commands name what exists. No block escapes: what is only there to be looked at is
 * listed here, with the reason. (The types are the gate's to check: `tests/gate/documentation.ts`.)
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { COMMANDS } from "../../adapters/cli/events/main.ts";
import { describeOptions } from "../../adapters/cli/options.ts";
import { describePoolOptions } from "../../adapters/cli/pool/options.ts";
import {
  blocksOf,
  type CodeBlock,
  type Document,
  documentPaths,
  makeProject,
  modulesOf,
  writeModule,
} from "../support/code_blocks.ts";
import { RUNTIME } from "../support/runtime.ts";
import { ROOT, withFolder } from "../support/server_process.ts";
import { commandComplaints, isPrinted, playTranscripts } from "../support/transcript.ts";

/** Transcripts that are not played: the document, their first line, and why. */
const NOT_PLAYED: Readonly<Record<string, string>> = {
  "README.md: $ curl localhost:9000": "tests/examples/hello_world.test.ts does the same",
  "docs/pool.md: $ alcedo pool --max-pool-size 4 -- python3 examples/pool/worker.py &":
    "tests/cli/pool.test.ts does the same",
  "docs/workers.md: $ printf '\\1\\0\\0\\0\\1' | python3 examples/pool/worker.py 3>&1 | od -An -tx1":
    "tests/examples/pool.test.ts asks the same",
  "examples/renamed_field/README.md: $ node examples/renamed_field/version_1.ts --events-file book.events &":
    "tests/examples/renamed_field.test.ts does the same",
  "examples/upload/README.md: $ node examples/upload/main.ts --events-file files.events &":
    "tests/examples/upload.test.ts does the same, with files that are there",
};

/** Blocks that are only looked at, by document and kind: how many, if that is known, and what they are. */
const ONLY_SHOWN: Readonly<Record<string, readonly [count: number | undefined, what: string]>> = {
  "README.md: (none)": [1, "options, as --help prints them"],
  "docs/architecture.md: (none)": [1, "the map"],
  "docs/backing_up.md: ini": [2, "systemd's units"],
  "docs/coming_from.md: roc": [1, "Kingfisher's face, which needs another language"],
  "docs/control_socket.md: apache": [1, "collectd's configuration"],
  "docs/deploying.md: caddyfile": [1, "a proxy's configuration"],
  "docs/deploying.md: dockerfile": [1, "an image, which would be built from the network"],
  "docs/deploying.md: ini": [1, "systemd's unit"],
  "docs/deploying.md: nginx": [1, "a proxy's configuration"],
  "docs/deploying.md: yaml": [1, "probes of Kubernetes"],
  "docs/evolving_events.md: (none)": [1, "a message"],
  "docs/limits.md: caddyfile": [1, "a proxy's limits"],
  "docs/limits.md: nginx": [2, "a proxy's limits, and its fields"],
  "docs/log_format.md: (none)": [3, "grammar"],
  "docs/metrics.md: yaml": [2, "what Prometheus is told"],
  "docs/reference.md: ts signature": [undefined, "made of the sources, which compile"],
  "docs/snapshot_format.md: (none)": [1, "grammar"],
  "docs/workers.md: (none)": [2, "packets, which tests/processes/packets.test.ts reads"],
  "docs/workers.md: bare": [1, "the schema, which the same test compares"],
};

/** Programs that commands may name beside ours: what they do is not looked at. */
const PROGRAMS: ReadonlySet<string> = new Set([
  "bun build",
  "bun test",
  "cd",
  "deno compile",
  "deno test",
  "docker",
  "echo",
  "find",
  "journalctl",
  "mkdir",
  "nc",
  "node --build-sea",
  "node --test",
  "npm create",
  "npm init",
  "npm install",
  "npm pkg",
  "npm run",
  "npm start",
  "npm test",
  "rsync",
  "seq",
  "set",
  "split",
  "systemctl",
]);

/** Flags that documents may name beside ours. */
const FLAGS: readonly string[] = [
  "build-sea",
  "compile",
  "data-binary",
  "data-urlencode",
  "exclude-unused-npm",
  "filter",
  "import-map",
  "init",
  "max-old-space-size",
  "max-semi-space-size",
  "name",
  "now",
  "omit",
  "only",
  "outfile",
  "output",
  "target",
  "test",
  "v8-flags",
];

const documents: readonly Document[] = documentPaths().map((path) => ({
  path,
  text: readFileSync(join(ROOT, path), "utf8"),
}));
const blocks: readonly CodeBlock[] = documents.flatMap(blocksOf);

/** Calls `body` with a folder in which "alcedo" can be imported. */
function withProject<T>(body: (folder: string) => Promise<T>): Promise<T> {
  return withFolder((folder) => {
    makeProject(folder);
    return body(folder);
  });
}

/** Runs the modules of a document's `ts` blocks in this process; returns which throw. */
async function moduleComplaints(project: string, blocks: readonly CodeBlock[]): Promise<string[]> {
  const complaints: string[] = [];
  for (const module of modulesOf(blocks).filter(({ isTest }) => !isTest)) {
    try {
      await import(pathToFileURL(writeModule(project, module)).href);
    } catch (error) {
      complaints.push(`${module.place}: ${error}`);
    }
  }
  return complaints;
}

/** How each runtime runs files with tests. */
const TEST_RUNNERS = {
  node: ["--test"],
  bun: ["test", "--timeout=60000"],
  deno: ["test", "--allow-all", "--no-check"],
};

/** Runs those that hold tests, with the runtime's own runner. */
async function testComplaints(project: string, blocks: readonly CodeBlock[]): Promise<string[]> {
  const files = modulesOf(blocks).filter(({ isTest }) => isTest)
    .map((module) => writeModule(project, module));
  if (files.length === 0) return [];
  // Node's runner refuses to run below another one.
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: "1" };
  delete env.NODE_TEST_CONTEXT;
  const args = [...TEST_RUNNERS[RUNTIME], ...files];
  const child = spawn(process.execPath, args, { cwd: project, env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  const [code] = await once(child, "close");
  return code === 0 ? [] : [output];
}

const isPlayed = ({ place, text, tag }: CodeBlock): boolean => {
  const [path] = place.split(":");
  return tag === "console" && !(`${path}: ${text.split("\n")[0]}` in NOT_PLAYED);
};

test("documents: every module runs", async () => {
  await withProject(async (project) => {
    const complaints = [];
    for (const document of documents) {
      complaints.push(...await moduleComplaints(project, blocksOf(document)));
    }
    assert.deepEqual(complaints, []);
  });
});

test("documents: every module that holds tests passes them", async () => {
  await withProject(async (project) => {
    assert.deepEqual(await testComplaints(project, documents.flatMap(blocksOf)), []);
  });
});

test("documents: every transcript prints what it says", async () => {
  await withProject(async (project) => {
    const played = documents.map((document) => ({ document, blocks: blocksOf(document) }))
      .filter(({ blocks }) => blocks.some(isPlayed));
    const complaints = await Promise.all(played.map(({ document, blocks }) =>
      playTranscripts(
        join(project, document.path.replaceAll("/", "_")),
        blocks.filter((block) => block.tag !== "console" || isPlayed(block)),
      )
    ));
    assert.deepEqual(complaints.flat(), []);
  });
});

test("documents: every command names what exists", () => {
  const complaints = blocks.filter(({ tag }) => tag === "sh").flatMap(({ place, text }) =>
    commandComplaints(text, PROGRAMS).map((complaint) => `${place}: ${complaint}`)
  );
  assert.deepEqual(complaints, []);
});

test("documents: every option and every variable exists", () => {
  const server = [...(describeOptions() + describePoolOptions()).matchAll(/--([\w-]+)/g)]
    .map(([, flag = ""]) => flag);
  const events = COMMANDS.flatMap(({ options }) => options.map(({ flag }) => flag));
  const flags = new Set([...server, ...events, ...FLAGS]);
  const variables = new Set(server.map((flag) => flag.toUpperCase().replaceAll("-", "_")));
  const unknown = documents.flatMap(({ path, text }) =>
    [
      ...[...text.matchAll(/(?<=[` ])--([a-z][\w-]*)/g)].filter(([, flag = ""]) =>
        !flags.has(flag)
      ),
      ...[...text.matchAll(/ALCEDO_(\w+)/g)].filter(([, name = ""]) => !variables.has(name)),
    ].map(([name]) => `${path}: ${name}`)
  );
  assert.deepEqual(unknown, []);
});

test("documents: every piece of JSON is JSON", () => {
  for (const { place, text } of blocks.filter(({ tag }) => tag === "json")) {
    assert.doesNotThrow(() => JSON.parse(text), place);
  }
});

test("documents have no block that escapes", () => {
  const shown: Record<string, number> = {};
  for (const { place, tag } of blocks) {
    if (["ts", "sh", "console", "json"].includes(tag)) continue;
    const kind = `${place.split(":")[0]}: ${tag || "(none)"}`;
    shown[kind] = (shown[kind] ?? 0) + 1;
  }
  const listed = Object.entries(ONLY_SHOWN).map(([kind, [count]]) => [kind, count ?? shown[kind]]);
  assert.deepEqual(shown, Object.fromEntries(listed));
  const firstLines = blocks.filter(({ tag }) => tag === "console").map(({ place, text }) =>
    `${place.split(":")[0]}: ${text.split("\n")[0]}`
  );
  for (const block of Object.keys(NOT_PLAYED)) assert.ok(firstLines.includes(block), block);
});

/** What the headings of a document are linked to by, as GitHub makes it of them. */
function anchorsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  const anchors = headings.map((heading) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
  );
  return anchors.map((anchor, i) => {
    const before = anchors.slice(0, i).filter((other) => other === anchor).length;
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

test("documents have no link that leads nowhere", () => {
  const anchors = new Map(documents.map(({ path, text }) => [path, anchorsOf(text)]));
  const broken = documents.flatMap(({ path, text }) =>
    [...text.replaceAll(/^```[^]*?^```/gm, "").matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file = "", anchor] = target.split("#");
        const linked = file === "" ? path : join(dirname(path), file);
        return !existsSync(join(ROOT, linked)) ||
          anchor !== undefined && anchors.get(linked)?.includes(anchor) !== true;
      })
      .map((target) => `${path}: ${target}`)
  );
  assert.deepEqual(broken, []);
});

const FENCE = "```";
const planted = (tag: string, text: string, comment = "") =>
  blocksOf({ path: "a.md", text: `${comment}\n\n${FENCE}${tag}\n${text}\n${FENCE}\n` });

test("documents: a module that throws, and one that imports what is not there, are found", async () => {
  await withProject(async (project) => {
    const blocks = [
      ...planted("ts", "const text: string = head;", "<!-- before\nconst head = 'x';\n-->"),
      ...planted("ts", "throw new Error('planted');").map((block) => ({ ...block, place: "b:1" })),
      ...planted("ts", "import './none.ts';").map((block) => ({ ...block, place: "c:1" })),
    ];
    const complaints = await moduleComplaints(project, blocks);
    assert.deepEqual(complaints.map((complaint) => complaint.slice(0, 4)), ["b:1:", "c:1:"]);
  });
});

test("documents: a test that fails is found", async () => {
  const text = 'import { test } from "node:test";\ntest("planted", () => { throw new Error(); });';
  await withProject(async (project) => {
    assert.match((await testComplaints(project, planted("ts", text))).join(), /planted/);
  });
});

test("documents: a transcript that prints something else is found", async () => {
  await withFolder(async (folder) => {
    const text = "$ ls\na.ts\n$ cat a.ts\nother\n$ unknown";
    const blocks = [...planted("ts", "1;", "<!-- file: a.ts -->"), ...planted("console", text)];
    const complaints = await playTranscripts(join(folder, "played"), blocks);
    assert.deepEqual(complaints.map((complaint) => complaint.split('"')[1]), [
      "cat a.ts",
      "unknown",
    ]);
  });
});

test("documents: what is printed may differ where it says so, and nowhere else", () => {
  assert.ok(isPrinted("a 1 b\nc\nd\ne\n", "a … b\n…\ne"));
  assert.ok(isPrinted("", ""));
  for (const expected of ["", "a", "a … c\n…\ne", "a … b\nc\nd", "a 1 b\nc\n…\nd"]) {
    assert.ok(!isPrinted("a 1 b\nc\nd\ne\n", expected), expected);
  }
});

test("documents: commands that would be refused are found", () => {
  const known = new Set(["cat"]);
  const good = [
    "node mod.ts app.ts --addr :9000 | cat",
    "bun run app.ts --durability no # a comment",
    "alcedo events verify --app app.ts db.events && cat x",
    "ALCEDO_ADDR=:1 deno run -A mod.ts events tail -f db.events",
    "alcedo ctl a.sock && alcedo ctl a.sock collectd-metrics 1 label",
  ];
  for (const command of good) assert.deepEqual(commandComplaints(command, known), [], command);
  const bad = [
    "node mod.ts app.ts --adr :9000",
    "node app.ts --durability sometimes",
    "cat x && alcedo events verfy db.events",
    "alcedo events backup db.events",
    "alcedo events verify --ap app.ts db.events",
    "deno mod.ts",
    "alcedo ctl",
    "alcedo ctl a.sock snapshots",
    "alcedo ctl a.sock stats now",
  ];
  for (const command of bad) assert.equal(commandComplaints(command, known).length, 1, command);
});
