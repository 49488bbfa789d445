/**
 * Models as bytes: the codec that an application gets if it does not bring its own.
 *
 * It takes what `structuredClone` takes, and refuses what would come back as something else,
 * naming the way to it. An object that two ways lead to comes back as one. How a model is laid
 * out is in `model_layout.ts`; `model_writer.ts` writes it and `model_reader.ts` reads it.
 *
 * Its bytes are MessagePack, by a library, but what they mean is said here: msgpackr 2.1 and cbor-x
 * 1.6, which know most of these values, lose `-0`, half a pair of surrogates, a first U+FEFF, the key
 * `__proto__` and which views share a buffer. cbor-x gives back wrong objects if more than 65536 are in
 * several places; msgpackr cannot read what its `bundleStrings` writes of much Chinese text, and is
 * slower than this without it. Both ask for native packages, and Deno does not start where one of
 * them is missing.
 */

import type { ModelCodec } from "./codec.ts";
import { ModelReader } from "./model_reader.ts";
import { ModelWriter } from "./model_writer.ts";

/**
 * Any value that `structuredClone` takes: what JSON takes, and `undefined`, `NaN`, `-0`, bigint,
 * `Map`, `Set`, `Date`, `RegExp`, `ArrayBuffer` and its views, errors, sparse arrays, in any
 * nesting up to 1000 levels, and with any object in several places.
 *
 * As with `structuredClone`, an instance of a class that only has fields comes back as a plain
 * object. Refused with the way to it, such as `model.users.get("ann").friend`, are: cycles,
 * functions, symbols, instances of classes with methods (they would come back without), properties
 * that do not belong to a kind of object (of a `Map`, say), `SharedArrayBuffer` and `ArrayBuffer`s
 * that can be resized, and what belongs to a platform, such as `Blob`.
 */
export const modelCodec: ModelCodec<never> & { encode(model: unknown): Uint8Array } = {
  encode: (model: unknown): Uint8Array => new ModelWriter().encode(model),
  decode: (bytes: Uint8Array): never => new ModelReader(bytes).decode() as never,
};
