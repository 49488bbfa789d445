/**
 * The bytes of a file as a response's body: never more than one chunk in memory, none before the
 * client takes it, and the file closed however that ends.
 */

import { FILE_CHUNK_BYTES } from "../limits.ts";
import type { ByteRange } from "./byte_range.ts";
import type { OpenFile } from "./file_folder.ts";

/** The file was changed while it was read, and what was read is of no state of it. */
export class FileChanged extends Error {
  override readonly name = "FileChanged";

  constructor({ names }: OpenFile) {
    super(`Cannot send "${names.join("/")}": it has changed while it was read`);
  }
}

/**
 * Some bytes of `file`, at once if they are few, else as a stream. The file is closed when they
 * have been read, or nobody wants them any more.
 *
 * @throws {FileChanged} if the file changes meanwhile: here, or as what ends the stream.
 */
export async function fileBody(
  file: OpenFile,
  range: ByteRange,
): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>> {
  if (range.length > FILE_CHUNK_BYTES) return fileStream(file, range);
  try {
    const bytes = new Uint8Array(range.length);
    for (let at = 0; at < bytes.length;) at += await readSome(file, bytes.subarray(at), range, at);
    return bytes;
  } finally {
    await file.close();
  }
}

function fileStream(file: OpenFile, range: ByteRange): ReadableStream<Uint8Array> {
  let at = 0;
  let reading: Promise<number> = Promise.resolve(0);
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      try {
        const chunk = new Uint8Array(Math.min(FILE_CHUNK_BYTES, range.length - at));
        reading = readSome(file, chunk, range, at);
        const size = await reading;
        at += size;
        controller.enqueue(chunk.subarray(0, size));
        if (at < range.length) return;
        await file.close();
        controller.close();
      } catch (error) {
        await file.close();
        throw error;
      }
    },
    async cancel(): Promise<void> {
      // Its number is the next file's as soon as it is closed.
      await reading.catch(() => {});
      await file.close();
    },
  }, { highWaterMark: 0 });
}

/** Reads on in `range`; with its last byte, all that was read is known to be of one state. */
async function readSome(
  file: OpenFile,
  into: Uint8Array,
  range: ByteRange,
  at: number,
): Promise<number> {
  const size = await file.read(into, range.first + at);
  const isLast = at + size === range.length;
  if (size === 0 || (isLast && await file.hasChanged())) throw new FileChanged(file);
  return size;
}
