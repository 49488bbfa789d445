/**
 * Writes a model for `model_reader.ts` to read; the layout is in `model_layout.ts`.
 *
 * Beside the bytes it keeps a number for each object, to find those that come again. It changes
 * nothing in the model.
 */

import { Encoder } from "@msgpack/msgpack";
import { type Kind, kindOf } from "./model_kinds.ts";
import {
  DEPTH_MAX,
  ERRORS,
  LAYOUT_VERSION,
  SHORT_STRING_MAX,
  STEP,
  STRING_0,
  VIEWS,
} from "./model_layout.ts";
import { pathText } from "./model_path.ts";

/** Steps in a chunk: what is needed to write or read it is then small beside any model. */
const CHUNK_STEPS = 4096;
/** Text and bytes in a chunk, about: one value more. */
const CHUNK_BYTES = 256 * 1024;
/** Keys of an object that has a shape; larger ones are dictionaries. */
const SHAPE_KEYS_MAX = 64;
/** Shapes in a model: objects whose keys are data would have one each. */
const SHAPES_MAX = 4096;

/** Objects with the same keys in the same order. */
interface Shape {
  readonly id: number;
  readonly keys: readonly string[];
}

type Dictionary = { readonly [key: string]: unknown };

const encoder = new TextEncoder();

export class ModelWriter {
  readonly #messagePack = new Encoder();
  readonly #chunks: Uint8Array[] = [];
  readonly #steps = new Uint8Array(CHUNK_STEPS);
  #step = 0;
  #texts: string[] = [];
  #operands: unknown[] = [];
  /** UTF-16 units and bytes in this chunk. */
  #size = 0;
  /** The number of each object that was met. */
  readonly #numbers = new Map<object, number>();
  /** The numbers of those that were met again. */
  readonly #shared = new Set<number>();
  readonly #shapes = new Map<string, Shape>();
  #shapesWritten = 0;
  #lastShape: Shape = { id: -1, keys: [] };
  /** The objects around what is being written, and where in each of them that is. */
  readonly #around: object[] = [];
  readonly #at: unknown[] = [];

  /** @throws {TypeError} if a part of the model cannot be kept, naming the way to it. */
  encode(model: unknown): Uint8Array {
    this.#value(model);
    this.#endChunk();
    const shared = [...this.#shared].sort((a, b) => a - b);
    return concatenate([this.#messagePack.encode([LAYOUT_VERSION, shared]), ...this.#chunks]);
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.#string(value);
      case "number":
        if (Object.is(value, -0)) return this.#put(STEP.negativeZero);
        return this.#put(STEP.number, value);
      case "boolean":
        return this.#put(value ? STEP.true : STEP.false);
      case "undefined":
        return this.#put(STEP.undefined);
      case "bigint":
        this.#put(STEP.bigint);
        return this.#string(String(value));
      case "object":
        return value === null ? this.#put(STEP.null) : this.#object(value);
      default:
        throw this.#refusal(`is a ${typeof value}, which cannot be kept`);
    }
  }

  /** A step, and an operand if it has one. */
  #put(step: number, operand?: number): void {
    if (this.#step === CHUNK_STEPS || this.#size >= CHUNK_BYTES) this.#endChunk();
    this.#steps[this.#step++] = step;
    if (operand !== undefined) this.#operands.push(operand);
  }

  #string(string: string): void {
    const { length } = string;
    if (length <= SHORT_STRING_MAX) this.#put(STRING_0 + length);
    else this.#put(STEP.string, length);
    this.#text(string);
  }

  #text(string: string): void {
    this.#texts.push(string);
    this.#size += string.length;
  }

  #object(object: object): void {
    const before = this.#numbers.get(object);
    const depth = this.#around.length;
    if (before !== undefined) {
      if (this.#around.includes(object)) throw this.#cycle(object);
      this.#shared.add(before);
      return this.#put(STEP.again, before);
    }
    this.#numbers.set(object, this.#numbers.size);
    const { kind, fault } = kindOf(object);
    if (fault !== undefined) throw this.#refusal(fault);
    if (depth === DEPTH_MAX) throw this.#refusal(`is nested more than ${DEPTH_MAX} levels deep`);
    this.#around.push(object);
    this.#at.push(undefined);
    this.#contents(kind, object, depth);
    this.#around.pop();
    this.#at.pop();
  }

  #contents(kind: Kind, object: object, depth: number): void {
    switch (kind) {
      case "plain":
        return this.#plain(object as Dictionary, depth);
      case "array":
        return this.#array(object as unknown[] & Dictionary, depth);
      case "map": {
        const map = object as ReadonlyMap<unknown, unknown>;
        this.#put(STEP.map, map.size);
        let at = 0;
        for (const [key, value] of map) {
          this.#at[depth] = at++;
          this.#value(key);
          this.#at[depth] = at++;
          this.#value(value);
        }
        return;
      }
      case "set": {
        const set = object as ReadonlySet<unknown>;
        this.#put(STEP.set, set.size);
        let at = 0;
        for (const value of set) {
          this.#at[depth] = at++;
          this.#value(value);
        }
        return;
      }
      case "bare":
        return this.#dictionary(
          STEP.bareDictionary,
          object as Dictionary,
          Object.keys(object),
          depth,
        );
      case "date":
        return this.#put(STEP.date, (object as Date).getTime());
      case "boxed":
        this.#put(STEP.boxed);
        return this.#value(object.valueOf());
      case "regexp": {
        const { source, flags, lastIndex } = object as RegExp;
        this.#put(STEP.regexp);
        for (const part of [source, flags, lastIndex]) this.#value(part);
        return;
      }
      case "arrayBuffer": {
        const bytes = new Uint8Array(object as ArrayBuffer);
        this.#put(STEP.arrayBuffer);
        this.#operands.push(bytes);
        this.#size += bytes.length;
        return;
      }
      case "view":
        return this.#view(object as DataView | Uint8Array, depth);
      case "error":
        return this.#error(object as Error, depth);
    }
  }

  #plain(object: Dictionary, depth: number): void {
    const keys = Object.keys(object);
    const shape = isShapeOf(this.#lastShape, keys) ? this.#lastShape : this.#shapeOf(keys);
    if (shape === undefined) return this.#dictionary(STEP.dictionary, object, keys, depth);
    if (shape.id < this.#shapesWritten) this.#put(STEP.ofShape, shape.id);
    else {
      this.#shapesWritten++;
      this.#put(STEP.firstOfShape, keys.length);
      for (const key of keys) {
        this.#operands.push(key.length);
        this.#text(key);
      }
    }
    this.#lastShape = shape;
    for (let i = 0; i < keys.length; i++) {
      const key = this.#at[depth] = shape.keys[i] ?? "";
      this.#value(object[key]);
    }
  }

  #shapeOf(keys: readonly string[]): Shape | undefined {
    const name = keys.join();
    const known = this.#shapes.get(name);
    if (known !== undefined) return isShapeOf(known, keys) ? known : undefined;
    const isFull = this.#shapes.size === SHAPES_MAX || keys.length > SHAPE_KEYS_MAX;
    // Keys that are indices stand first, and are no part of how an object is laid out.
    if (isFull || /^\d+$/.test(keys[0] ?? "") || keys.includes("__proto__")) return undefined;
    const shape = { id: this.#shapes.size, keys };
    this.#shapes.set(name, shape);
    return shape;
  }

  #dictionary(step: number, object: Dictionary, keys: readonly string[], depth: number): void {
    this.#put(step, keys.length);
    for (const key of keys) {
      this.#string(key);
      this.#at[depth] = key;
      this.#value(object[key]);
    }
  }

  #array(array: readonly unknown[] & Dictionary, depth: number): void {
    const { length } = array;
    const keys = Object.keys(array);
    // Indices stand first: as many keys as items, and the last of them an index, are all of them.
    if (keys.length === length && (length === 0 || keys[length - 1] === String(length - 1))) {
      this.#put(STEP.array, length);
      for (let i = 0; i < length; i++) {
        this.#at[depth] = i;
        this.#value(array[i]);
      }
    } else {
      this.#put(STEP.sparseArray, length);
      this.#operands.push(keys.length);
      for (const key of keys) {
        this.#string(key);
        this.#at[depth] = key;
        this.#value(array[key]);
      }
    }
  }

  #view(view: DataView | Uint8Array, depth: number): void {
    const kind = VIEWS.findIndex((View) => view instanceof View);
    this.#put(STEP.view, kind);
    this.#operands.push(view.byteOffset, view instanceof DataView ? view.byteLength : view.length);
    this.#at[depth] = "buffer";
    this.#value(view.buffer);
  }

  #error(error: Error, depth: number): void {
    const kind = ERRORS.findLastIndex((Kind) => error instanceof Kind);
    const parts = (["message", "stack", "cause"] as const).map((name) =>
      Object.hasOwn(error, name) ? name : undefined
    );
    this.#put(STEP.error, kind);
    this.#operands.push(parts.reduce((has, name, i) => has + (name ? 1 << i : 0), 0));
    for (const name of parts) {
      if (name === undefined) continue;
      this.#at[depth] = name;
      this.#value(error[name]);
    }
  }

  #endChunk(): void {
    const text = this.#texts.join("");
    const isWellFormed = text.isWellFormed();
    this.#chunks.push(this.#messagePack.encode([
      this.#steps.subarray(0, this.#step),
      isWellFormed ? 8 : 16,
      isWellFormed ? encoder.encode(text) : utf16(text),
      this.#operands,
    ]));
    this.#step = 0;
    this.#texts = [];
    this.#operands = [];
    this.#size = 0;
  }

  #refusal(fault: string): TypeError {
    return new TypeError(`Cannot encode model: ${pathText(this.#around, this.#at)} ${fault}`);
  }

  #cycle(object: object): TypeError {
    const start = pathText(this.#around.slice(0, this.#around.indexOf(object)), this.#at);
    return this.#refusal(
      `leads back to ${start}: a cycle cannot be kept; refer to it by its key instead`,
    );
  }
}

function isShapeOf(shape: Shape, keys: readonly string[]): boolean {
  if (shape.keys.length !== keys.length || shape.id < 0) return false;
  for (let i = 0; i < keys.length; i++) if (keys[i] !== shape.keys[i]) return false;
  return true;
}

/** The UTF-16 units of a text, lower byte first. */
function utf16(text: string): Uint8Array {
  const bytes = new Uint8Array(2 * text.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true);
  return bytes;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
