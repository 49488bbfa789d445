/**
 * Files on disk, by an id of their own: taken from a stream, sent as one, a chunk at a time. Which
 * of them count, the model knows; nothing here does.
 */

import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { HttpError } from "alcedo";

/** Bytes that are read from a file at a time. */
const CHUNK_BYTES = 64 * 1024;

/** A file that has arrived, or a part of one; others in the folder are none of ours. */
const OWN_NAME = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:\.part)?$/;

/** What has arrived. */
export interface StoredFile {
  /** Its name in the folder. */
  readonly id: string;
  readonly size: number;
  /** Of its bytes, in hexadecimal. */
  readonly sha256: string;
}

/** A folder of such files. */
export class StoredFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes `body` to the disk as it comes. When it resolves, the file survives a crash; when it
   * rejects, there is none.
   *
   * @throws {HttpError} 413 if it has more than `bytesMax` bytes, 400 if it does not come to its end.
   */
  async receive(body: ReadableStream<Uint8Array>, bytesMax: number): Promise<StoredFile> {
    const id = randomUUID();
    const part = this.#path(`${id}.part`);
    const hash = createHash("sha256");
    let size = 0;
    try {
      const file = await open(
        part,
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
        0o600,
      );
      try {
        for await (const chunk of endingWith400(body)) {
          size += chunk.length;
          if (size > bytesMax) throw new HttpError(413, `the file has more than ${bytesMax} bytes`);
          hash.update(chunk);
          await file.writeFile(chunk);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, this.#path(id));
      await this.#sync();
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
    return { id, size, sha256: hash.digest("hex") };
  }

  /** The bytes of a file from `start` to `end`, which is not included, as they are asked for. */
  async send(id: string, start: number, end: number): Promise<ReadableStream<Uint8Array>> {
    const file = await this.#openToSend(id);
    let at = start;
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
          const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
          if (bytesRead < chunk.length) throw new Error(`file ${id} ends before ${end}`);
          at += bytesRead;
          if (bytesRead > 0) controller.enqueue(chunk);
          if (at < end) return;
          await file.close();
          controller.close();
        } catch (error) {
          await file.close();
          throw error;
        }
      },
      cancel: () => file.close(),
    }, { highWaterMark: 0 });
  }

  /** Removes a file, if it is there. */
  async remove(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  /** Makes the folder, and removes files that are not among `ids`: what a crash has left. */
  async keepOnly(ids: ReadonlySet<string>): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    for (const name of await readdir(this.#folder)) {
      if (OWN_NAME.test(name) && !ids.has(name)) await this.remove(name);
    }
  }

  async #openToSend(id: string): Promise<FileHandle> {
    try {
      return await open(this.#path(id));
    } catch (cause) {
      throw new HttpError(404, "it has been removed meanwhile", { cause });
    }
  }

  /** A name in a folder is on disk when the folder is. */
  async #sync(): Promise<void> {
    const folder = await open(this.#folder);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** `body`; that it ends early is its client's doing. */
async function* endingWith400(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        throw new HttpError(400, "the upload was cut off", { cause });
      });
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {}); // Of no use if it has ended.
  }
}
