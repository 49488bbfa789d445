/**
 * Where the bytes of events are kept until they are in the log: cut from larger buffers, since
 * an `ArrayBuffer` for each small event would be a good part of what a write costs.
 */

import type { Codec } from "./codec.ts";

/** Bytes of a buffer: hundreds of small events, and little to hold on to for one of them. */
const SLAB_BYTES = 64 * 1024;

/** A new buffer is begun when less is free; what is larger gets one of its own. */
const FREE_BYTES_MIN = SLAB_BYTES / 8;

/** Encodes events into buffers of its own. */
export class Slab {
  #free: Uint8Array = new Uint8Array(0);

  /**
   * The bytes of an event, which nobody else changes.
   *
   * @throws {TypeError} if the codec returns what it must not, and whatever the codec throws.
   */
  encode<Event>(codec: Codec<Event>, event: Event): Uint8Array {
    if (this.#free.length < FREE_BYTES_MIN) this.#free = new Uint8Array(SLAB_BYTES);
    if (codec.encodeInto !== undefined) {
      const size = codec.encodeInto(event, this.#free);
      if (size >= 0 && size <= this.#free.length) return this.#cut(size);
    }
    const encoded: unknown = codec.encode(event);
    if (!(encoded instanceof Uint8Array)) {
      throw new TypeError("Cannot save event: the codec's encode returned no Uint8Array");
    }
    // A copy in any case: the codec may use its buffer again, or the handler own the bytes.
    if (encoded.length > this.#free.length) return encoded.slice();
    this.#free.set(encoded);
    return this.#cut(encoded.length);
  }

  #cut(size: number): Uint8Array {
    const cut = this.#free.subarray(0, size);
    this.#free = this.#free.subarray(size);
    return cut;
  }
}
