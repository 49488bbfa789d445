/**
 * The types of what Alcedo uses of the standard library (`@std`, which npm has as `deno-std`,
 * without its types). Signatures are those of the source; where those come in several shapes,
 * the one that is used here. Nothing else may be declared in this file.
 *
 * Where the code comes from is said in package.json and, for Deno, in deno.json.
 */

declare module "#std/assert/equal" {
  /** Deep equality, of anything. */
  export function equal(a: unknown, b: unknown): boolean;
}

declare module "#std/cli/parse_args" {
  /** What {@linkcode parseArgs} finds: positional arguments in `_`, options by their name. */
  export interface Args {
    _: (string | number)[];
    [name: string]: unknown;
  }

  export interface ParseOptions {
    /** Whether what follows `--` goes to the member `--`, rather than to `_`. */
    "--"?: boolean;
    alias?: Record<string, string | readonly string[]>;
    boolean?: boolean | string | readonly string[];
    default?: Record<string, unknown>;
    /** Whether to read no options after the first positional argument. */
    stopEarly?: boolean;
    /** Options that are never read as numbers. `_` stands for the positional ones. */
    string?: string | readonly string[];
    /** Options that may be given more than once, and are arrays. */
    collect?: string | readonly string[];
    /** Options that `--no-NAME` sets to false. */
    negatable?: string | readonly string[];
    /** Called with what no other member names; `false` drops it. */
    unknown?: (argument: string, key?: string, value?: unknown) => unknown;
  }

  export function parseArgs(args: readonly string[], options?: ParseOptions): Args;
}

declare module "#std/data_structures/binary_heap" {
  /** Values of which the one that `compare` puts first is always at hand. */
  export class BinaryHeap<T> {
    constructor(compare: (a: T, b: T) => number);
    peek(): T | undefined;
    pop(): T | undefined;
    push(...values: T[]): number;
    clear(): void;
  }
}

declare module "#std/encoding/base64url" {
  export function encodeBase64Url(data: string | Uint8Array | ArrayBuffer): string;
  /** @throws {TypeError} If the input is malformed. */
  export function decodeBase64Url(text: string): Uint8Array<ArrayBuffer>;
}

declare module "#std/encoding/hex" {
  export function encodeHex(data: string | Uint8Array | ArrayBuffer): string;
  /** @throws {TypeError} If the input is malformed. */
  export function decodeHex(text: string): Uint8Array<ArrayBuffer>;
}

declare module "#std/encoding/varint" {
  export const MaxUint64: bigint;
  export const MaxVarintLen64: number;
  export const MaxVarintLen32: number;

  /**
   * Reads a varint at `offset`: the number, and the offset after it.
   *
   * @throws {RangeError} If the input is cut short, or no 64-bit number.
   */
  export function decodeVarint(buffer: Uint8Array, offset?: number): [bigint, number];
  /** As {@linkcode decodeVarint}, for numbers of 32 bits. */
  export function decodeVarint32(buffer: Uint8Array, offset?: number): [number, number];

  /**
   * Writes a varint at `offset`: its bytes, and the offset after it.
   *
   * @throws {RangeError} If the number is negative, above 64 bits, or too long for `buffer`.
   */
  export function encodeVarint(
    number: bigint | number,
    buffer?: Uint8Array,
    offset?: number,
  ): [Uint8Array<ArrayBuffer>, number];
}

declare module "#std/http/etag" {
  /** An entity tag of the text or bytes; strong, unless `weak` says otherwise. */
  export function eTag(entity: string | Uint8Array, options?: { weak?: boolean }): Promise<string>;
  /** Whether the field If-Match allows what has the tag; never if the tag is weak. */
  export function ifMatch(value: string | null, etag: string | undefined): boolean;
  /** Whether the field If-None-Match allows what has the tag. */
  export function ifNoneMatch(value: string | null, etag: string | undefined): boolean;
}

declare module "#std/http/negotiation" {
  /** The encoding that the request likes best; the first where it does not say. */
  export function acceptsEncodings(
    request: { readonly headers: Headers },
    ...encodings: string[]
  ): string | undefined;
}

declare module "#std/http/status" {
  /** The status texts, by status; nothing for a status that has no name. */
  export const STATUS_TEXT: { readonly [status: number]: string };
}

declare module "#std/media_types/content_type" {
  /** The media type of a file name extension, with its charset, if it is known. */
  export function contentType(extensionOrType: string): string | undefined;
}
