/**
 * The answer that a file makes: which of its encodings, what is said of it, and which of its bytes.
 * Whatever is answered, every file is closed, or its closing is left to the answer's body.
 */

import { eTag } from "#std/http/etag";
import { acceptsEncodings } from "#std/http/negotiation";
import { FILE_SETTLED_MS, RETRY_AFTER_S } from "../limits.ts";
import { type ByteRange, byteRangeOf } from "./byte_range.ts";
import { defaultErrorPage } from "./error_pages.ts";
import { fileBody, FileChanged } from "./file_body.ts";
import type { OpenFile } from "./file_folder.ts";
import { formatHttpDate } from "./http_date.ts";
import { failedPrecondition, rangeIsCurrent, type Validators } from "./preconditions.ts";

/** What there is under some names. */
export type Found = OpenFile | "folder" | undefined;

/** A file, and the names that it was asked for by. */
export interface FoundFile {
  readonly file: OpenFile;
  readonly names: readonly string[];
}

/** Where files come from, and what is said of them all. */
export interface Site {
  /** Opens what may be shown. */
  readonly open: (names: readonly string[]) => Promise<Found>;
  readonly cacheControl: string;
  /** The time of day, in milliseconds since 1970. */
  readonly now: () => number;
}

/** Whether `request` is one that files answer. */
export function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

/** What every answer depends on. */
const VARY = { vary: "accept-encoding" };

/** Answers a request for a file. */
export async function answerWithFile(
  found: FoundFile,
  request: Request,
  site: Site,
): Promise<Response> {
  if (!isRead(request)) {
    await found.file.close();
    return defaultErrorPage(405, { allow: "GET, HEAD" });
  }
  const chosen = await represent(found, request, site);
  if (chosen === undefined) return defaultErrorPage(406, VARY);
  let isHandedOn = false;
  try {
    const now = site.now();
    const validators = await validatorsOf(chosen, now);
    const failed = failedPrecondition(request.headers, validators, now);
    if (failed === 412) return defaultErrorPage(412, VARY);
    const headers = {
      ...VARY,
      etag: validators.etag,
      "last-modified": formatHttpDate(validators.modifiedMs),
      "cache-control": site.cacheControl,
    };
    if (failed === 304) return new Response(null, { status: 304, headers });
    const { file, encoding } = chosen;
    const described = {
      ...headers,
      ...encoding !== "identity" && { "content-encoding": encoding },
      "content-type": await typeOf(found.names.at(-1) ?? ""),
      "accept-ranges": "bytes",
      "x-content-type-options": "nosniff",
    };
    if (request.method === "HEAD") {
      const length = { "content-length": String(file.size) };
      return new Response(null, { headers: { ...described, ...length } });
    }
    const wanted = request.headers.get("range");
    const range = wanted !== null && rangeIsCurrent(request.headers, validators, now)
      ? byteRangeOf(wanted, file.size)
      : undefined;
    if (range === "unsatisfiable") {
      return defaultErrorPage(416, { ...VARY, "content-range": `bytes */${file.size}` });
    }
    isHandedOn = true;
    return await bytesAnswer(file, range, described);
  } finally {
    if (!isHandedOn) await chosen.file.close();
  }
}

/** The bytes of `range`, or all. The file is closed when they have been read. */
async function bytesAnswer(
  file: OpenFile,
  range: ByteRange | undefined,
  described: Readonly<Record<string, string>>,
): Promise<Response> {
  const { first, length } = range ?? { first: 0, length: file.size };
  const headers = { ...described, "content-length": String(length) };
  try {
    const body = await fileBody(file, { first, length });
    if (range === undefined) return new Response(body, { headers });
    const place = { "content-range": `bytes ${first}-${first + length - 1}/${file.size}` };
    return new Response(body, { status: 206, headers: { ...headers, ...place } });
  } catch (error) {
    if (!(error instanceof FileChanged)) throw error;
    return defaultErrorPage(503, { "retry-after": String(RETRY_AFTER_S) });
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
 * What the client likes best of the file and its encodings, or `undefined` if it takes none. All
 * files but that one are closed.
 */
async function represent(
  { file, names }: FoundFile,
  request: Request,
  site: Site,
): Promise<Representation | undefined> {
  let chosen: Representation | undefined;
  try {
    for (const encoding of preferences(request)) {
      if (encoding === "identity") return chosen = { file, encoding };
      const path = [...names.slice(0, -1), `${names.at(-1)}${SUFFIXES[encoding]}`];
      const encoded = await site.open(path);
      if (encoded === undefined || encoded === "folder") continue;
      if (isAsNew(encoded, file)) return chosen = { file: encoded, encoding };
      await encoded.close();
    }
    return undefined;
  } finally {
    if (chosen?.file !== file) await file.close();
  }
}

/**
 * The encodings that the client takes, the best first. Without a field, or with an empty one, that
 * is the file as it is. Among equals the order of the field would decide, in which browsers name
 * gzip first; so it is put into ours.
 */
function preferences(request: Request): Encoding[] {
  const field = request.headers.get("accept-encoding")?.trim() ?? "";
  if (field === "") return ["identity"];
  const rank = (item: string): number => {
    const index = ENCODINGS.findIndex((encoding) => item.trim().toLowerCase().startsWith(encoding));
    return index === -1 ? ENCODINGS.length : index;
  };
  const ordered = field.split(",").sort((a, b) => rank(a) - rank(b)).join();
  const headers = new Headers({ "accept-encoding": ordered });
  const found: Encoding[] = [];
  for (let left = ENCODINGS; left.length > 0;) {
    const best = acceptsEncodings({ headers }, ...left);
    const encoding = left.find((encoding) => encoding === best);
    if (encoding === undefined) break;
    found.push(encoding);
    left = left.filter((other) => other !== encoding);
  }
  return found;
}

/** Whether `encoded` is not older than `file`: else it was made of another state of it. */
function isAsNew(encoded: OpenFile, file: OpenFile): boolean {
  return inSeconds(encoded.modifiedMs) >= inSeconds(file.modifiedMs);
}

/**
 * The tag is strong, so that a download can go on where it ended, but for a file that was changed
 * just now: of that there may be two states that no time tells apart.
 */
async function validatorsOf(
  { file, encoding }: Representation,
  now: number,
): Promise<Validators> {
  const isSettled = now - Math.max(file.modifiedMs, file.changedMs) >= FILE_SETTLED_MS;
  return {
    etag: await eTag(`${file.version} ${encoding}`, { weak: !isSettled }),
    // Never in the future (RFC 9110, section 8.8.2.1).
    modifiedMs: inSeconds(Math.min(file.modifiedMs, now)) * 1000,
    isStrongDate: isSettled,
  };
}

function inSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}

/** The table of types is large, and loaded when the first file is served. */
async function typeOf(name: string): Promise<string> {
  const { contentType } = await import("#std/media_types/content_type");
  const extension = /\.([^.]+)$/.exec(name)?.[1] ?? "";
  return contentType(extension) ?? "application/octet-stream";
}
