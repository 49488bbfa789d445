/**
 * Reads a model that `model_writer.ts` wrote; the layout is in `model_layout.ts`.
 *
 * It trusts no size: what is not there is an error, before anything is made of it.
 */

import { decodeMulti } from "@msgpack/msgpack";
import { ERRORS, LAYOUT_VERSION, STEP, STRING_0, VIEWS } from "./model_layout.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Dictionary = { [key: string]: unknown };

/** Objects with the same keys in the same order. */
interface Shape {
  readonly keys: readonly string[];
  /** With all its keys, to begin a copy with. */
  readonly template: Dictionary;
}

export class ModelReader {
  readonly #values: Iterator<unknown>;
  #steps: Uint8Array = new Uint8Array(0);
  #step = 0;
  #text = "";
  #textAt = 0;
  #operands: readonly unknown[] = [];
  #operand = 0;
  readonly #shapes: Shape[] = [];
  /** How many objects have begun. */
  #objects = 0;
  /** The numbers of those that come again, in order. */
  #shared: readonly unknown[] = [];
  #sharedAt = 0;
  #nextShared: unknown;
  readonly #sharedObjects = new Map<number, object>();

  constructor(bytes: Uint8Array) {
    this.#values = decodeMulti(bytes);
  }

  /** The model. @throws {TypeError} if the bytes are none. */
  decode(): unknown {
    const head = this.#values.next().value;
    if (!Array.isArray(head) || !Array.isArray(head[1])) throw damaged("it has no head");
    if (head[0] !== LAYOUT_VERSION) {
      throw new TypeError(
        `Cannot decode model: it has layout "${head[0]}", and only ${LAYOUT_VERSION} is known`,
      );
    }
    this.#shared = head[1];
    this.#nextShared = this.#shared[0];
    const model = this.#value();
    this.#endChunk();
    if (!this.#values.next().done) throw damaged("there is more behind it");
    return model;
  }

  #endChunk(): void {
    const isUsed = this.#step === this.#steps.length && this.#textAt === this.#text.length &&
      this.#operand === this.#operands.length;
    if (!isUsed) throw damaged("there is more in it than it tells of");
  }

  #nextChunk(): void {
    this.#endChunk();
    const chunk: unknown = this.#values.next().value;
    if (!Array.isArray(chunk)) throw damaged("it ends too early");
    const [steps, unit, text, operands]: unknown[] = chunk;
    const isSound = steps instanceof Uint8Array && text instanceof Uint8Array &&
      Array.isArray(operands) && (unit === 8 || unit === 16) && steps.length > 0;
    if (!isSound) throw damaged("a part of it is not as it should be");
    this.#steps = steps;
    this.#step = 0;
    this.#text = unit === 8 ? utf8.decode(text) : utf16(text);
    this.#textAt = 0;
    this.#operands = operands;
    this.#operand = 0;
  }

  #value(): unknown {
    if (this.#step === this.#steps.length) this.#nextChunk();
    const step = this.#steps[this.#step++] ?? 0;
    if (step >= STRING_0) return this.#slice(step - STRING_0);
    // The usual ones first.
    if (step === STEP.number) return this.#number();
    if (step === STEP.ofShape || step === STEP.firstOfShape) return this.#object(step);
    if (step === STEP.array) return this.#array();
    switch (step) {
      case STEP.null:
        return null;
      case STEP.undefined:
        return undefined;
      case STEP.true:
        return true;
      case STEP.false:
        return false;
      case STEP.negativeZero:
        return -0;
      case STEP.string:
        return this.#slice(this.#number());
      case STEP.bigint:
        return BigInt(this.#string());
      case STEP.again:
        return this.#sharedObjects.get(this.#number()) ?? fail("it names what was not there");
      default:
        return this.#other(step);
    }
  }

  #other(step: number): object {
    const shared = this.#begin();
    const object = this.#make(step);
    if (shared >= 0) this.#sharedObjects.set(shared, object);
    return object;
  }

  #make(step: number): object {
    switch (step) {
      case STEP.dictionary:
        return this.#dictionary({}, this.#number());
      case STEP.bareDictionary:
        return this.#dictionary(Object.create(null), this.#number());
      case STEP.sparseArray: {
        const array: unknown[] = [];
        array.length = this.#number();
        return this.#dictionary(array, this.#number());
      }
      case STEP.map: {
        const map = new Map<unknown, unknown>();
        for (let left = this.#number(); left > 0; left--) map.set(this.#value(), this.#value());
        return map;
      }
      case STEP.set: {
        const set = new Set<unknown>();
        for (let left = this.#number(); left > 0; left--) set.add(this.#value());
        return set;
      }
      case STEP.date:
        return new Date(this.#number());
      case STEP.regexp: {
        const regexp = new RegExp(this.#string(), this.#string());
        regexp.lastIndex = this.#value() as number;
        return regexp;
      }
      case STEP.arrayBuffer: {
        const bytes = this.#operands[this.#operand++];
        if (!(bytes instanceof Uint8Array)) throw damaged("bytes are missing");
        return bytes.slice().buffer;
      }
      case STEP.view: {
        const View = VIEWS[this.#number()] ?? fail("a kind of view is not known");
        const [offset, length] = [this.#number(), this.#number()];
        return new View(this.#value() as ArrayBuffer, offset, length);
      }
      case STEP.error:
        return this.#error();
      case STEP.boxed:
        return Object(this.#value());
      default:
        throw damaged(`step ${step} is not known`);
    }
  }

  /** Begins an object: its number, if it comes again, or -1. */
  #begin(): number {
    const number = this.#objects++;
    if (number !== this.#nextShared) return -1;
    this.#nextShared = this.#shared[++this.#sharedAt];
    return number;
  }

  #object(step: number): object {
    const shared = this.#begin();
    const { keys, template } = step === STEP.firstOfShape
      ? this.#newShape()
      : this.#shapes[this.#number()] ?? fail("a shape is not there");
    const object = { ...template };
    for (const key of keys) object[key] = this.#value();
    if (shared >= 0) this.#sharedObjects.set(shared, object);
    return object;
  }

  #newShape(): Shape {
    const lengths: number[] = [];
    for (let left = this.#number(); left > 0; left--) lengths.push(this.#number());
    const keys = lengths.map((length) => this.#slice(length));
    // What JSON.parse makes is laid out as what the application's own `{ … }` makes.
    const template = JSON.parse(`{${keys.map((key) => `${JSON.stringify(key)}:null`)}}`);
    const shape = { keys, template };
    this.#shapes.push(shape);
    return shape;
  }

  #dictionary<T extends object>(object: T, count: number): T {
    for (; count > 0; count--) {
      const key = this.#string();
      const value = this.#value();
      // To assign it would set the prototype.
      if (key === "__proto__") {
        Object.defineProperty(object, key, {
          value,
          configurable: true,
          enumerable: true,
          writable: true,
        });
      } else (object as Dictionary)[key] = value;
    }
    return object;
  }

  #array(): unknown[] {
    const shared = this.#begin();
    const array = this.#items(this.#number());
    if (shared >= 0) this.#sharedObjects.set(shared, array);
    return array;
  }

  /** Without holes, and no larger than it has to be: what is pushed to has room for 16 more. */
  #items(count: number): unknown[] {
    switch (count) {
      case 0:
        return [];
      case 1:
        return [this.#value()];
      case 2:
        return [this.#value(), this.#value()];
      case 3:
        return [this.#value(), this.#value(), this.#value()];
      case 4:
        return [this.#value(), this.#value(), this.#value(), this.#value()];
    }
    const array: unknown[] = [];
    for (; count > 0; count--) array.push(this.#value());
    return array.length < 100 ? array.slice() : array;
  }

  #error(): Error {
    const Kind = ERRORS[this.#number()] ?? fail("a kind of error is not known");
    const has = this.#number();
    const error = new Kind();
    const set = (name: "message" | "stack" | "cause", value: unknown) =>
      Object.defineProperty(error, name, { value, configurable: true, writable: true });
    if (has & 1) set("message", this.#value());
    set("stack", has & 2 ? this.#value() : undefined);
    if (has & 4) set("cause", this.#value());
    return error;
  }

  #number(): number {
    const number = this.#operands[this.#operand++];
    return typeof number === "number" ? number : fail("a number is missing");
  }

  #string(): string {
    const string = this.#value();
    return typeof string === "string" ? string : fail("a string is missing");
  }

  #slice(length: number): string {
    const start = this.#textAt;
    this.#textAt += length;
    return this.#text.substring(start, this.#textAt);
  }
}

/** What no decoder leaves as it is: half a pair of surrogates. */
function utf16(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 2) {
    parts.push(String.fromCharCode((bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)));
  }
  return parts.join("");
}

function fail(why: string): never {
  throw damaged(why);
}

function damaged(why: string): TypeError {
  return new TypeError(`Cannot decode model: ${why}`);
}
