/**
 * A server of files: real files and sockets, with a hand on the clock and on every read, and with a
 * count of the files that are open.
 */

import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { listen } from "../../adapters/listen.ts";
import { openFolder } from "../../adapters/static_folder.ts";
import type { FileFolder, OpenFile } from "../../runtime/http/file_folder.ts";
import { createFileHandler, type ServeFilesOptions } from "../../runtime/http/static_files.ts";
import { type RunningServer, Trial, until } from "../../adapters/conformance/trial.ts";
import { type RawResponse, valuesOf } from "../../adapters/conformance/raw_client.ts";
import { withFolder } from "./server_process.ts";

/** What is in a folder: texts and bytes by path, and links, as `path -> target`. */
export type Contents = Readonly<Record<string, string | Uint8Array>>;

/** When all files were changed last, but for those that a test changes. */
export const MODIFIED = "Tue, 02 Jan 2024 03:04:05 GMT";

/** Writes files and links below `folder`. */
export function writeContents(folder: string, contents: Contents): void {
  for (const [name, content] of Object.entries(contents)) {
    const [path = "", target] = name.split(" -> ");
    const place = join(folder, path);
    mkdirSync(dirname(place), { recursive: true });
    if (target !== undefined) symlinkSync(target, place);
    else {
      writeFileSync(place, content);
      utimesSync(place, new Date(MODIFIED), new Date(MODIFIED));
    }
  }
}

/**
 * Calls `body` with a server of the files below `shown/`; what is no file is answered with 404 and
 * "none". In the end all files are closed.
 */
export async function withSite(
  contents: Contents,
  body: (site: FileSite) => Promise<void>,
  options: ServeFilesOptions = { prefix: "/" },
): Promise<void> {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "shown"));
    writeContents(folder, contents);
    const site = new FileSite(folder, options);
    await new Trial(listen).withServer(site.answer, async (running) => {
      site.running = running;
      await body(site);
      await until(() => site.openFiles === 0);
    });
  });
}

/** A server of files, and what a test sees and changes of it. */
export class FileSite {
  /** The folder above the one that is shown. */
  readonly folder: string;
  /** Milliseconds that the server's clock is ahead: files that are new are special. */
  aheadMs = 60_000;
  /** Called before each read, with how many there were before. */
  beforeRead: (count: number) => void = () => {};
  /** Files that are open. */
  openFiles = 0;
  /** Bytes that were read. */
  bytesRead = 0;
  readonly #handler: (request: Request) => Promise<Response | undefined> | undefined;
  #reads = 0;
  #running: RunningServer | undefined;

  constructor(folder: string, options: ServeFilesOptions) {
    this.folder = folder;
    const shown = openFolder(join(folder, "shown"));
    const watched: FileFolder = {
      open: async (names) => {
        const found = await shown.open(names);
        return found === undefined || found === "folder" ? found : this.#watch(found);
      },
    };
    this.#handler = createFileHandler(watched, options, () => Date.now() + this.aheadMs);
  }

  set running(running: RunningServer) {
    this.#running = running;
  }

  get running(): RunningServer {
    if (this.#running === undefined) throw new Error("The server does not run yet");
    return this.#running;
  }

  readonly answer = async (request: Request): Promise<Response> =>
    await this.#handler(request) ?? new Response("none", { status: 404 });

  /** Sends a request with exactly this target. */
  async get(target: string, fields: Fields = {}, method = "GET"): Promise<Got> {
    const client = this.running.client();
    const lines = Object.entries({ host: "test", connection: "close", ...fields });
    client.get(target, lines.map((line) => `${line.join(": ")}\r\n`).join(""), method);
    const response = await client.response({ isHead: method === "HEAD" });
    client.leave();
    return new Got(response);
  }

  #watch(file: OpenFile): OpenFile {
    this.openFiles++;
    let isOpen = true;
    const { names, size, modifiedMs, changedMs, version } = file;
    return {
      ...{ names, size, modifiedMs, changedMs, version },
      hasChanged: () => file.hasChanged(),
      read: async (into, offset) => {
        this.beforeRead(this.#reads++);
        const bytes = await file.read(into, offset);
        this.bytesRead += bytes;
        return bytes;
      },
      close: async () => {
        await file.close();
        if (isOpen) this.openFiles--;
        isOpen = false;
      },
    };
  }
}

/** Header fields of a request. */
export type Fields = Readonly<Record<string, string>>;

/** What came back. */
export class Got {
  readonly response: RawResponse;

  constructor(response: RawResponse) {
    this.response = response;
  }

  get status(): number {
    return this.response.status;
  }

  get bytes(): Uint8Array {
    return this.response.body;
  }

  get text(): string {
    return this.response.body.toString();
  }

  /** The value of a field, which may be there once. */
  field(name: string): string | undefined {
    const [value, second] = valuesOf(this.response, name);
    if (second !== undefined) throw new Error(`The field "${name}" is there twice`);
    return value;
  }
}
