/**
 * The types of the code in the documents, as strict as those of the project: `ts` blocks are
 * written to files, and compiled. That they run is a test's business.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import {
  blocksOf,
  type Document,
  documentPaths,
  makeProject,
  modulesOf,
  writeModule,
} from "../support/code_blocks.ts";
import { installed, runCommand } from "./command.ts";
import { ROOT } from "./source_files.ts";

/** What does not compile in the documents of the project, by document and line. */
export function documentationComplaints(): Promise<string[]> {
  return typeComplaints(
    documentPaths().map((path) => ({
      path,
      text: readFileSync(join(ROOT, path), "utf8"),
    })),
  );
}

/** What does not compile in these documents. */
export async function typeComplaints(documents: readonly Document[]): Promise<string[]> {
  const project = mkdtempSync(join(tmpdir(), "alcedo-documents-"));
  try {
    makeProject(project);
    const modules = documents.flatMap((document) => modulesOf(blocksOf(document)));
    const paths = modules.map((module) => writeModule(project, module));
    const tsconfig = {
      extends: join(ROOT, "tests/gate/tsconfig.json"),
      // Not all files: while a document changes them one by one, they need not fit together.
      files: [join(ROOT, "runtime/std.d.ts"), ...paths],
      include: [],
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify(tsconfig));
    const { ok, output } = await runCommand([
      installed("tsc"),
      "--project",
      join(project, "tsconfig.json"),
    ]);
    if (ok) return [];
    const places = modules.map(({ place }, i) =>
      [basename(dirname(paths[i] ?? "")), place] as const
    );
    return [places.reduce((text, [folder, place]) => text.replaceAll(folder, place), output)];
  } finally {
    rmSync(project, { recursive: true });
  }
}
