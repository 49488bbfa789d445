/**
 * How the default codec lays out a model: a sequence of MessagePack values.
 *
 * The first is `[version, shared]`, where `shared` lists the numbers of the objects that more than
 * one way leads to; objects are numbered from 0 on as they are first met. Each of the others is a
 * chunk, `[steps, unit, text, operands]`: `steps` (bin) says what comes, a byte a value, in the
 * order of a walk through the model; the texts of all strings stand in `text` (bin), one behind
 * the other, UTF-8 if `unit` is 8 and UTF-16 if it is 16 (for what UTF-8 cannot say: half a pair
 * of surrogates); `operands` are numbers, and the bytes of array buffers.
 *
 * MessagePack is thus asked for few and large values, which is what makes it quick; and it never
 * sees what it has no word for.
 */

/** Written first; another one is not read. */
export const LAYOUT_VERSION = 1;

/**
 * What a step says. "n" is the next operand, "value" a whole value by its own steps. From
 * {@linkcode STRING_0} on a step is a string, and says how long it is.
 */
export const STEP = {
  null: 0,
  undefined: 1,
  true: 2,
  false: 3,
  /** n is the number. */
  number: 4,
  negativeZero: 5,
  /** Of n UTF-16 units. */
  string: 6,
  /** The next value is its text in decimals. */
  bigint: 7,
  /** The object with the number n, which has come already. */
  again: 8,
  /** n keys, then the length of each; their texts; then the values. It is the next shape. */
  firstOfShape: 9,
  /** An object of shape n: a value for each key. */
  ofShape: 10,
  /** n times a key and a value. */
  dictionary: 11,
  /** The same, without a prototype. */
  bareDictionary: 12,
  /** n values. */
  array: 13,
  /** n is its length, the next n how many keys there are: then a key and a value for each. */
  sparseArray: 14,
  /** n times a key and a value. */
  map: 15,
  /** n values. */
  set: 16,
  /** n is its time. */
  date: 17,
  /** Source, flags and `lastIndex` as values. */
  regexp: 18,
  /** n is not a number but its bytes. */
  arrayBuffer: 19,
  /** Which of {@linkcode VIEWS}, byte offset and length: three n. The buffer as a value. */
  view: 20,
  /** Which of {@linkcode ERRORS}, and what it has (1 message, 2 stack, 4 cause): each a value. */
  error: 21,
  /** A primitive value as an object. */
  boxed: 22,
} as const;

/** The step of the empty string; the next 127 are those of longer ones. */
export const STRING_0 = 128;
/** The longest string whose step says how long it is. */
export const SHORT_STRING_MAX: number = 255 - STRING_0;

/** How deep values may be nested: further down, a walk could run out of stack. */
export const DEPTH_MAX = 1000;

type ViewClass = new (buffer: ArrayBuffer, byteOffset: number, length: number) => ArrayBufferView;

/** The kinds of views of an array buffer. New ones go to the end. */
export const VIEWS: readonly ViewClass[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  Float16Array,
];

/** The kinds of errors, as of `structuredClone`. */
export const ERRORS: readonly ErrorConstructor[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];
