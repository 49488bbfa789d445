/**
 * Where the writer keeps the bytes of events until they are in the log.
 */

/** Bytes of a slab: hundreds of small events, and little to hold on to for one of them. */
const SLAB_BYTES = 64 * 1024;

/**
 * Copies of encoded events, cut from larger buffers: an `ArrayBuffer` for each small event
 * would be a good part of what a write costs.
 */
export class Slab {
  #buffer = new Uint8Array(0);
  #used = 0;

  /** A copy of `bytes` that nobody else changes. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length > SLAB_BYTES / 8) return bytes.slice();
    if (this.#used + bytes.length > this.#buffer.length) {
      this.#buffer = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const copy = this.#buffer.subarray(this.#used, this.#used + bytes.length);
    copy.set(bytes);
    this.#used += bytes.length;
    return copy;
  }
}
