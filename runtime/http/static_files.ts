/**
 * Files as answers: which file a request means. What is answered with it is in `file_answer.ts`;
 * the file system is behind a port.
 *
 * It stands on the parts of `@std/http`. No library does the whole on three runtimes: `serveDir` of
 * `@std/http` needs Deno and `send` needs Node, and both follow links out of the folder, as `sirv` and
 * `serve-static` of Hono do, which also know no If-Range; `srvx/static` comes nearest, but has no
 * If-Match, no entity tag that a download can go on with, no redirect to a folder, and answers who
 * refuses the identity encoding with it.
 */

import { answerWithFile, type Found, type FoundFile, isRead, type Site } from "./file_answer.ts";
import type { FileFolder } from "./file_folder.ts";

/** Options of `serveFiles`. */
export interface ServeFilesOptions {
  /**
   * The path under which the files are: it begins and ends with a slash.
   * @default {"/static/"}
   */
  prefix?: string;
  /**
   * What caches are told. For files whose names change with their content:
   * `public, max-age=31536000, immutable`.
   * @default {"no-cache"}: kept, and asked about before each use
   */
  cacheControl?: string;
  /**
   * Serves files and folders whose names begin with a dot, too.
   * @default {false}
   */
  dotFiles?: boolean;
}

/**
 * Answers a request for a file. `undefined`, at once or in the end, where there is none: the
 * request is another's.
 */
export type FileHandler = (request: Request) => Promise<Response | undefined> | undefined;

/** Where files are, if nobody says so. */
export const STATIC_PREFIX = "/static/";
const CACHE_CONTROL = "no-cache";
const FOLDER_INDEX = "index.html";

/** Says what keeps `prefix` from being one, or `undefined` if nothing does. */
export function faultOfPrefix(prefix: string): string | undefined {
  const isNormal = URL.parse(`http://host${prefix}`)?.href === `http://host${prefix}`;
  return isNormal && /^\/(?:[^/?#]+\/)*$/.test(prefix)
    ? undefined
    : `"${prefix}" is no path with a slash at its beginning and end; write /static/`;
}

/**
 * Makes a handler of what is in `folder`.
 *
 * @param now The time of day, in milliseconds since 1970
 * @throws {TypeError} if the prefix is none.
 */
export function createFileHandler(
  folder: FileFolder,
  options: ServeFilesOptions,
  now: () => number = Date.now,
): FileHandler {
  const { prefix = STATIC_PREFIX, cacheControl = CACHE_CONTROL, dotFiles = false } = options;
  const fault = faultOfPrefix(prefix);
  if (fault !== undefined) throw new TypeError(`Cannot serve files: ${fault}`);
  const mayBeShown = (names: readonly string[]) =>
    dotFiles || !names.some((name) => name.startsWith("."));
  const site: Site = { open: (names) => openShown(folder, names, mayBeShown), cacheControl, now };
  return (request) => {
    const path = pathOf(request.url);
    if (!path.startsWith(prefix) && `${path}/` !== prefix) return undefined;
    const names = namesIn(path.slice(prefix.length));
    if (names === undefined || !mayBeShown(names)) return undefined;
    return answer(request, path, names, site);
  };
}

/** The path in a normalised URL. */
function pathOf(url: string): string {
  const rest = url.slice(url.indexOf("/", url.indexOf("://") + 3));
  const end = rest.search(/[?#]/);
  return end === -1 ? rest : rest.slice(0, end);
}

/**
 * The names in a path, one for each segment, or `undefined` where one of them could be no file's.
 * A slash at the end is not a name.
 */
function namesIn(path: string): string[] | undefined {
  if (path === "") return [];
  try {
    const names = path.replace(/\/$/, "").split("/").map(decodeURIComponent);
    return names.every(isName) ? names : undefined;
  } catch {
    return undefined; // The escapes are none, or not UTF-8.
  }
}

function isName(name: string): boolean {
  return !["", ".", ".."].includes(name) && !/[/\\\0]/.test(name);
}

/** As the folder's `open`, for what may also be shown by the name that links have led to. */
async function openShown(
  folder: FileFolder,
  names: readonly string[],
  mayBeShown: (names: readonly string[]) => boolean,
): Promise<Found> {
  const found = await folder.open(names);
  if (found === undefined || found === "folder" || mayBeShown(found.names)) return found;
  await found.close();
  return undefined;
}

async function answer(
  request: Request,
  path: string,
  names: readonly string[],
  site: Site,
): Promise<Response | undefined> {
  const isFolder = path.endsWith("/");
  const found = await site.open(names);
  if (found === undefined) return undefined;
  if (found !== "folder") {
    if (!isFolder) return await answerWithFile({ file: found, names }, request, site);
    await found.close();
    return undefined;
  }
  const inside = [...names, FOLDER_INDEX];
  const index = await site.open(inside);
  if (index === undefined || index === "folder") return undefined;
  const page: FoundFile = { file: index, names: inside };
  // What is no GET is refused with or without the slash.
  if (isFolder || !isRead(request)) return await answerWithFile(page, request, site);
  await index.close();
  // Its links are relative to the folder.
  const location = `${path}/${/\?[^#]*/.exec(request.url) ?? ""}`;
  return new Response(null, { status: 301, headers: { location } });
}
