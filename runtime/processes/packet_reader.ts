/**
 * Finds packets in a stream of bytes that comes in chunks: the size of a message, and the message.
 * A size is believed when its bytes are here: memory grows with what was received, never with what
 * was announced. What is in the messages is `packets.ts`.
 */

import { AlcedoError } from "../errors.ts";
import { SIZE_BYTES } from "./packets.ts";

/** Bytes that the buffer for a packet in several chunks has at least. */
const BUFFER_BYTES = 4096;

/** Reads packets from one stream. */
export class PacketReader {
  readonly #bytesMax: number;
  /** What was received of the packet that is not complete, its size included. */
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array();
  #filled = 0;
  #failure: AlcedoError | undefined;

  /** Creates a reader of packets whose messages have at most `bytesMax` bytes. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that were received of a packet that is not complete: a stream may end only at 0. */
  get bufferedBytes(): number {
    return this.#filled;
  }

  /**
   * The messages that `chunk` completes. To be read to the end before the next chunk is. A message may
   * be a view of the chunk, which therefore must not be used again before the message has been.
   *
   * @throws {AlcedoError} `bad_packet` at a size that is negative or above the bound, and from then on.
   */
  *read(chunk: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>, void> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#filled === 0 && rest.length >= SIZE_BYTES) {
        const end = SIZE_BYTES + this.#sizeAt(rest);
        if (end <= rest.length) {
          const message = rest.subarray(SIZE_BYTES, end);
          rest = rest.subarray(end);
          yield message;
          continue;
        }
      }
      const taken = this.#take(rest);
      rest = rest.subarray(taken);
      if (this.#missing() > 0) continue;
      const message = this.#buffer.subarray(SIZE_BYTES, this.#filled);
      this.#buffer = new Uint8Array();
      this.#filled = 0;
      yield message;
    }
  }

  /** Bytes without which the packet at hand is not complete, or its size not known. */
  #missing(): number {
    if (this.#filled < SIZE_BYTES) return SIZE_BYTES - this.#filled;
    return SIZE_BYTES + this.#sizeAt(this.#buffer) - this.#filled;
  }

  /** Adds what is missing of the packet, or all there is; returns how many bytes that was. */
  #take(bytes: Uint8Array): number {
    const missing = this.#missing();
    const taken = Math.min(missing, bytes.length);
    const needed = this.#filled + taken;
    if (needed > this.#buffer.length) {
      // Doubled, so that a byte is copied once or twice, and never larger than the packet.
      const larger = Math.max(BUFFER_BYTES, 2 * needed);
      const whole = this.#filled < SIZE_BYTES ? larger : this.#filled + missing;
      const buffer = new Uint8Array(Math.min(larger, whole));
      buffer.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = buffer;
    }
    this.#buffer.set(bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    return taken;
  }

  #sizeAt(packet: Uint8Array): number {
    const size = new DataView(packet.buffer, packet.byteOffset).getInt32(0, true);
    if (size >= 0 && size <= this.#bytesMax) return size;
    this.#failure = new AlcedoError(
      "bad_packet",
      `Cannot read packet: its size is ${size}, and not from 0 to ${this.#bytesMax}`,
    );
    throw this.#failure;
  }
}
