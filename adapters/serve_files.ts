/** The public `serveFiles`: files of a real folder as answers. */

import { fileURLToPath } from "node:url";
import {
  createFileHandler,
  type FileHandler,
  type ServeFilesOptions,
} from "../runtime/http/static_files.ts";
import { openFolder } from "./static_folder.ts";

/**
 * Makes a handler that answers requests with the files in `folder`, a path or a `file:` URL:
 * with entity tags and dates, ranges, files beside them that are compressed already (`.br`,
 * `.gz`), the `index.html` of folders, and nothing that lies outside of the folder.
 *
 * It answers `undefined` for what is no file of it, so that others can; an answer that is not
 * returned must be cancelled (`response.body?.cancel()`), for it may hold a file open.
 *
 * @throws {TypeError} if the prefix is no path.
 * @throws an error whose `code` is `"ENOENT"` or `"ENOTDIR"` if there is no such folder.
 *
 * @example
 * ```ts
 * const files = serveFiles(new URL("./", import.meta.url), { prefix: "/files/" });
 * const handler = async (request: Request) =>
 *   await files(request) ?? new Response("no such page\n", { status: 404 });
 * if (import.meta.main) await serve(handler);
 * ```
 */
export function serveFiles(folder: string | URL, options: ServeFilesOptions = {}): FileHandler {
  const path = typeof folder === "string" ? folder : fileURLToPath(folder);
  return createFileHandler(openFolder(path), options);
}
