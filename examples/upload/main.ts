/**
 * Files of any size: PUT or POST /files/NAME takes one, GET sends it back, whole or a range of it,
 * DELETE removes it; GET / lists them.
 *
 * A write handler gets its body whole, so a large one is streamed to disk by a lifecycle step,
 * before; what the handler saves is one small event.
 */

import process from "node:process";
import { defineApp, HttpError, type LifecycleStep, type RequestStep, serve } from "alcedo";
import { type StoredFile, StoredFiles } from "./stored_files.ts";

/** What can happen: a file has come, or gone. */
type FileEvent =
  | ({ readonly name: string; readonly at: string } & StoredFile)
  | { readonly removed: string };

type Uploaded = Extract<FileEvent, StoredFile>;

type Files = ReadonlyMap<string, Uploaded>;

const files = new StoredFiles(process.env.UPLOAD_FOLDER ?? "uploads");
const bytesMax = Number(process.env.UPLOAD_BYTES_MAX ?? 2 ** 36);

/** What the step has taken for the handler, by the exchange. */
const arrived = new WeakMap<object, StoredFile>();
/** What nobody needs any more once the exchange has gone well. */
const replaced = new WeakMap<object, StoredFile>();

const uploads: LifecycleStep<Files, FileEvent> = {
  async start(app) {
    const ids = await app.read((files) => new Set([...files.values()].map(({ id }) => id)));
    await files.keepOnly(ids);
  },
  async request(request, { method, locals }) {
    if (method !== "PUT" && method !== "POST") return;
    nameOf(request);
    const { url, headers, body } = request;
    if (Number(headers.get("content-length")) > bytesMax) throw new HttpError(413, "too large");
    arrived.set(locals, await files.receive(body ?? new Blob().stream(), bytesMax));
    return new Request(url, { method, headers });
  },
  async finish(_request, { ok, status }, { locals }) {
    // 503 may mean that the event is on disk after all: the next start will know.
    const surplus = ok ? replaced.get(locals) : status === 503 ? undefined : arrived.get(locals);
    if (surplus !== undefined) await files.remove(surplus.id);
  },
};

const accessLog: RequestStep = {
  finish({ method, url }, { status }, { isComplete }) {
    console.log(`${method} ${new URL(url).pathname} ${status}${isComplete ? "" : " (cut off)"}`);
  },
};

const app = defineApp({
  initModel: (): Files => new Map(),

  updateModel(files, events: readonly FileEvent[]) {
    const next = new Map(files);
    for (const event of events) {
      if ("removed" in event) next.delete(event.removed);
      else next.set(event.name, event);
    }
    return next;
  },

  async handleRequest(request, model, { method, saveEvent, locals }) {
    if (saveEvent === undefined) {
      if (method !== "GET" && method !== "HEAD") throw notAllowed();
      if (new URL(request.url).pathname === "/") return Response.json([...model.values()]);
      return await send(request, fileOf(request, model));
    }
    const name = nameOf(request);
    const before = model.get(name);
    if (before !== undefined) replaced.set(locals, before);
    if (method === "DELETE") {
      fileOf(request, model);
      saveEvent({ removed: name });
      return new Response(null, { status: 204 });
    }
    const file = arrived.get(locals);
    if (file === undefined) throw notAllowed();
    const uploaded = { name, ...file, at: new Date().toISOString() };
    saveEvent(uploaded);
    return Response.json(uploaded, { status: before === undefined ? 201 : 200 });
  },

  lifecycle: [accessLog, uploads],
  modelVersion: "1",
});
export default app;

function notAllowed(): HttpError {
  return new HttpError(405, "", { headers: { allow: "GET, HEAD, PUT, POST, DELETE" } });
}

/** The name in a path: one segment, as long as names of files may be. */
function nameOf({ url }: Request): string {
  const [, encoded = ""] = /^\/files\/([^/]+)$/.exec(new URL(url).pathname) ?? [];
  try {
    const name = decodeURIComponent(encoded);
    if (name !== "" && name.length <= 255) return name;
  } catch {
    // It is no name, either.
  }
  throw new HttpError(404, "write /files/NAME");
}

function fileOf(request: Request, model: Files): Uploaded {
  const file = model.get(nameOf(request));
  if (file === undefined) throw new HttpError(404, "no such file");
  return file;
}

/** A file, or the part of it that is asked for. */
async function send(request: Request, { id, size, sha256 }: Uploaded): Promise<Response> {
  const etag = `"${sha256}"`;
  const headers = new Headers({
    etag,
    "accept-ranges": "bytes",
    // Whatever it is, it was sent by a stranger: browsers shall keep it, not show it.
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
    "x-content-type-options": "nosniff",
  });
  const condition = request.headers.get("if-range") ?? etag;
  const range = condition === etag ? rangeOf(request.headers.get("range"), size) : undefined;
  if (range === "none") {
    throw new HttpError(416, "", { headers: { "content-range": `bytes */${size}` } });
  }
  const [start, end] = range ?? [0, size];
  headers.set("content-length", `${end - start}`);
  if (range !== undefined) headers.set("content-range", `bytes ${start}-${end - 1}/${size}`);
  const status = range === undefined ? 200 : 206;
  if (request.method === "HEAD") return new Response(null, { status, headers });
  return new Response(await files.send(id, start, end), { status, headers });
}

/**
 * Where one range of bytes begins and ends (RFC 9110, section 14.1.2); `none` if the file has none
 * of them, `undefined` if all is asked for, or several ranges, which nobody has to send.
 */
function rangeOf(header: string | null, size: number): [number, number] | "none" | undefined {
  const [matched, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (matched === undefined || matched === "bytes=-") return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (first !== "" && last !== "" && Number(last) < start) return undefined;
  return start < end ? [start, end] : "none";
}

if (import.meta.main) await serve(app, { module: import.meta.url });
