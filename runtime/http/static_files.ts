/**
 * Files as answers: which file a request means, which of its encodings, and what is said of it.
 * Conditions, ranges and bytes are in files of their own; the file system is behind a port.
 *
 * It stands on the parts of `@std/http`. No library does the whole on three runtimes: `serveDir` of
 * `@std/http` and `send` need Deno and Node, and look only at paths, not at where links lead;
 * `sirv` and `serve-static` of Hono know no If-Range, and one of them no validators; `srvx/static`
 * comes nearest, but has no If-Match, no entity tag that a download can go on with, no redirect to
 * a folder, and answers whoever forbids the identity encoding with it.
 */

import { eTag } from "#std/http/etag";
import { acceptsEncodings } from "#std/http/negotiation";
import { FILE_SETTLED_MS, RETRY_AFTER_S } from "../limits.ts";
import { byteRangeOf } from "./byte_range.ts";
import { defaultErrorPage } from "./error_pages.ts";
import { fileBody, FileChanged } from "./file_body.ts";
import type { FileFolder, OpenFile } from "./file_folder.ts";
import { formatHttpDate } from "./http_date.ts";
import { failedPrecondition, rangeIsCurrent, type Validators } from "./preconditions.ts";

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
  const isNormal =
    new URL(prefix.startsWith("/") ? prefix : "/", "http://host").pathname === prefix;
  return isNormal && prefix.endsWith("/") && !prefix.includes("//")
    ? undefined
    : `"${prefix}" is not a path with a slash at its beginning and end; write /static/`;
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
  const site: Site = { folder, cacheControl, dotFiles, now };
  return (request) => {
    const path = pathOf(request.url);
    const isBelow = path.startsWith(prefix);
    if (!isBelow && `${path}/` !== prefix) return undefined;
    const names = namesIn(path.slice(prefix.length));
    if (names === undefined || !mayBeShown(names, site)) return undefined;
    return answer(request, path, names, site);
  };
}

interface Site {
  readonly folder: FileFolder;
  readonly cacheControl: string;
  readonly dotFiles: boolean;
  readonly now: () => number;
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
  try {
    const names = path.replace(/\/$/, "").split("/").map(decodeURIComponent);
    if (names.length === 1 && names[0] === "") return [];
    return names.every((name) =>
        name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name)
      )
      ? names
      : undefined;
  } catch {
    return undefined; // The escapes are not UTF-8, or none.
  }
}

function mayBeShown(names: readonly string[], { dotFiles }: Site): boolean {
  return dotFiles || !names.some((name) => name.startsWith("."));
}

async function answer(
  request: Request,
  path: string,
  names: readonly string[],
  site: Site,
): Promise<Response | undefined> {
  const isFolder = path.endsWith("/");
  const found = await openShown(names, site);
  if (found === undefined) return undefined;
  if (found !== "folder") {
    if (!isFolder) return await respond({ file: found, names }, request, site);
    await found.close();
    return undefined;
  }
  const inside = [...names, FOLDER_INDEX];
  const index = await openShown(inside, site);
  if (index === undefined || index === "folder") return undefined;
  if (isFolder) return await respond({ file: index, names: inside }, request, site);
  await index.close();
  // Its links are relative to the folder.
  const location = `${path}/${/\?[^#]*/.exec(request.url) ?? ""}`;
  return new Response(null, { status: 301, headers: { location } });
}

/** A file, and what it was asked for as. */
interface Asked {
  readonly file: OpenFile;
  readonly names: readonly string[];
}

/** As the folder's `open`, for what may also be shown by the name that links have led to. */
async function openShown(
  names: readonly string[],
  site: Site,
): Promise<OpenFile | "folder" | undefined> {
  const found = await site.folder.open(names);
  if (found === undefined || found === "folder" || mayBeShown(found.names, site)) return found;
  await found.close();
  return undefined;
}

/** Answers with a file, and closes it, or leaves that to the answer's body. */
async function respond(asked: Asked, request: Request, site: Site): Promise<Response> {
  const { method } = request;
  if (method !== "GET" && method !== "HEAD") {
    await asked.file.close();
    return defaultErrorPage(405, { allow: "GET, HEAD" });
  }
  const vary = { vary: "accept-encoding" };
  const chosen = await represent(asked, request, site);
  if (chosen === undefined) return defaultErrorPage(406, vary);
  let isTaken = false;
  try {
    const { headers, validators } = await describe(chosen, asked.names.at(-1) ?? "", site);
    const now = site.now();
    const { size } = chosen.file;
    const failed = failedPrecondition(request.headers, validators, now);
    if (failed === 412) return defaultErrorPage(412, vary);
    if (failed === 304) {
      const { "content-type": _, "content-encoding": __, ...kept } = headers;
      return new Response(null, { status: 304, headers: kept });
    }
    if (method === "HEAD") {
      return new Response(null, { headers: { ...headers, "content-length": String(size) } });
    }
    const wanted = request.headers.get("range");
    const range = wanted !== null && rangeIsCurrent(request.headers, validators, now)
      ? byteRangeOf(wanted, size)
      : undefined;
    if (range === "unsatisfiable") {
      return defaultErrorPage(416, { ...vary, "content-range": `bytes */${size}` });
    }
    isTaken = true;
    const body = await fileBody(chosen.file, range ?? { first: 0, length: size });
    headers["content-length"] = String(range?.length ?? size);
    if (range === undefined) return new Response(body, { headers });
    const last = range.first + range.length - 1;
    headers["content-range"] = `bytes ${range.first}-${last}/${size}`;
    return new Response(body, { status: 206, headers });
  } catch (error) {
    if (!(error instanceof FileChanged)) throw error;
    return defaultErrorPage(503, { "retry-after": String(RETRY_AFTER_S) });
  } finally {
    if (!isTaken) await chosen.file.close();
  }
}

/** A file, or one beside it that holds the same in fewer bytes. */
interface Representation {
  readonly file: OpenFile;
  readonly encoding: Encoding;
}

type Encoding = "br" | "gzip" | "identity";

/** What is looked for beside a file; the smallest first. */
const ENCODINGS: readonly Encoding[] = ["br", "gzip", "identity"];
const SUFFIXES = { br: ".br", gzip: ".gz" };

/**
 * What the client likes best of `file` and its encodings, or `undefined` if it takes none. All
 * files but that one are closed.
 */
async function represent(
  { file, names }: Asked,
  request: Request,
  site: Site,
): Promise<Representation | undefined> {
  let offered = ENCODINGS;
  try {
    for (;;) {
      const encoding = preferred(request, offered);
      if (encoding === "identity") return { file, encoding };
      if (encoding === undefined) break;
      const encoded = await openShown(
        [...names.slice(0, -1), names.at(-1) + SUFFIXES[encoding]],
        site,
      );
      if (encoded !== undefined && encoded !== "folder") {
        if (isAsNew(encoded, file)) {
          await file.close();
          return { file: encoded, encoding };
        }
        await encoded.close();
      }
      offered = offered.filter((other) => other !== encoding);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

/**
 * The best of what is `offered`. Without a field, and with an empty one, that is the file as it
 * is. Among equals the order of the field would decide, in which browsers name gzip first; it is
 * put into ours.
 */
function preferred(request: Request, offered: readonly Encoding[]): Encoding | undefined {
  const field = request.headers.get("accept-encoding")?.trim() ?? "";
  if (field === "") return "identity";
  const rank = (item: string): number => {
    const index = ENCODINGS.findIndex((encoding) => item.trim().toLowerCase().startsWith(encoding));
    return index === -1 ? ENCODINGS.length : index;
  };
  const ordered = field.split(",").sort((a, b) => rank(a) - rank(b)).join();
  const headers = new Headers({ "accept-encoding": ordered });
  return acceptsEncodings({ headers }, ...offered) as Encoding | undefined; // One of them.
}

/** Whether `encoded` is not older than `file`: else it was made of another state of it. */
function isAsNew(encoded: OpenFile, file: OpenFile): boolean {
  return inSeconds(encoded.modifiedMs) >= inSeconds(file.modifiedMs);
}

/** What is said of a representation of the file that is called `name`. */
async function describe(
  { file, encoding }: Representation,
  name: string,
  { now, cacheControl }: Site,
): Promise<{ headers: Record<string, string>; validators: Validators }> {
  const present = now();
  // Of a file that was changed just now, there may be two states that nothing tells apart.
  const isSettled = present - Math.max(file.modifiedMs, file.changedMs) >= FILE_SETTLED_MS;
  const tag = await eTag(`${file.version} ${encoding}`, { weak: !isSettled });
  const modifiedMs = inSeconds(Math.min(file.modifiedMs, present)) * 1000;
  const headers: Record<string, string> = {
    "content-type": await typeOf(name),
    etag: tag,
    "last-modified": formatHttpDate(modifiedMs),
    "accept-ranges": "bytes",
    vary: "accept-encoding",
    "cache-control": cacheControl,
    "x-content-type-options": "nosniff",
  };
  if (encoding !== "identity") headers["content-encoding"] = encoding;
  return { headers, validators: { etag: tag, modifiedMs, isStrongDate: isSettled } };
}

function inSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}

/** The table of types is large, and loaded when the first file is served. */
async function typeOf(name: string): Promise<string> {
  const { contentType } = await import("#std/media_types/content_type");
  const extension = /\.([^.]+)$/.exec(name)?.[1];
  return (extension && contentType(extension)) ?? "application/octet-stream";
}
