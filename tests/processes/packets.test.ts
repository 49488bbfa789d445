/** The codec of packets: against packets that others wrote, by its own promises, and fed with anything. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { decodeHex } from "#std/encoding/hex";
import { PACKET_FIELDS_MAX } from "../../runtime/limits.ts";
import { PacketReader } from "../../runtime/processes/packet_reader.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  HEALTH_CHECK,
  type HttpRequest,
  type HttpResponse,
  SIZE_BYTES,
} from "../../runtime/processes/packets.ts";
import { blocksOf } from "../support/code_blocks.ts";
import { holds } from "../support/property.ts";

const BYTES_MAX = 1 << 20;

function vector(name: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(readFileSync(new URL(`../vectors/packets/${name}`, import.meta.url)));
}

const utf8 = (text: string) => Uint8Array.from(Buffer.from(text));
const messageOf = (packet: Uint8Array<ArrayBuffer>) => packet.subarray(SIZE_BYTES);

/** A message of bytes and of texts that have their length before them. */
function message(...parts: (number | string)[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    parts.flatMap((part) => typeof part === "number" ? [part] : [part.length, ...utf8(part)]),
  );
}

const badPacket = (why: RegExp) => ({ name: "AlcedoError", code: "bad_packet", message: why });

const GET: HttpRequest = {
  remoteAddress: "127.0.0.1:40518",
  uri: "http://h/hi?q=1",
  method: "GET",
  headers: new Map([["Host", "h"]]),
  body: new Uint8Array(),
};

const ANSWER: HttpResponse = {
  status: 200,
  headers: new Map([
    ["Content-Type", ["text/plain; charset=utf-8"]],
    ["Set-Cookie", ["a=1", "b=2"]],
    ["x-Lower_case", ["v"]],
  ]),
  body: utf8("hello\n"),
};

const REQUESTS = {
  raw_get: GET,
  raw_head: { ...GET, remoteAddress: "127.0.0.1:40586", uri: "http://h/head", method: "HEAD" },
  raw_post: {
    ...GET,
    remoteAddress: "127.0.0.1:40530",
    uri: "http://h/p",
    method: "POST",
    headers: new Map([["Content-Length", "5"], ["Host", "h"]]),
    body: utf8("hello"),
  },
  healthcheck: HEALTH_CHECK,
} as const;

for (const [name, request] of Object.entries(REQUESTS)) {
  test(`request packet ${name} is written and read as it was captured`, () => {
    const captured = vector(`${name}.request-packet`);
    assert.deepEqual(encodeRequest(request), captured);
    assert.deepEqual(decodeRequest(messageOf(captured)), request);
  });
}

for (const name of ["raw_get", "raw_post"]) {
  test(`response packet ${name} is written and read as it was captured`, () => {
    const captured = vector(`${name}.response-packet`);
    assert.deepEqual(encodeResponse(ANSWER), captured);
    assert.deepEqual(decodeResponse(messageOf(captured)), ANSWER);
  });
}

test("packet lengths are right at each size of their own", () => {
  for (
    const length of [
      0,
      127,
      128,
      255,
      256,
      4080,
      4090,
      4096,
      16_383,
      16_384,
      20_000,
      70_000,
      2_097_152,
    ]
  ) {
    const body = new Uint8Array(length).fill(120);
    const headers = new Map([
      ["X", ["x".repeat(length), "é".repeat(Math.floor(length / 2))]],
      ["Y", ["behind them"]],
    ]);
    const packet = encodeResponse({ status: 200, headers, body });
    assert.equal(new DataView(packet.buffer).getInt32(0, true), packet.length - SIZE_BYTES);
    assert.deepEqual(decodeResponse(messageOf(packet)), { status: 200, headers, body });
  }
});

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The code blocks of docs/workers.md with a tag. */
const documented = (tag: string) =>
  blocksOf({ path: "docs/workers.md", text: read("docs/workers.md") })
    .filter((block) => block.tag === tag).map(({ text }) => text);

/** The bytes that stand before explanations, line by line. */
function bytesIn(text: string): Uint8Array<ArrayBuffer> {
  const lines = text.split("\n").map((line) => /^(?:[0-9a-f]{2} {1,2})*/.exec(line)?.[0] ?? "");
  return decodeHex(lines.join("").replaceAll(" ", ""));
}

test("packets that the documents explain byte by byte are what is said there", () => {
  const headers = new Map([["Set-Cookie", ["a=1", "b=2"]], ["Etag", ['"1"']]]);
  assert.deepEqual(documented("").map(bytesIn), [
    vector("raw_get.request-packet"),
    encodeResponse({ status: 200, headers, body: utf8("hi\n") }),
  ]);
});

test("packet schema in the documents is the one that the codec follows", () => {
  assert.deepEqual(documented("bare"), [read("runtime/processes/packets.bare")]);
});

const LONG = "x".repeat(1000);

/** What no message may be, and why. */
const BAD_ANSWERS: Record<string, [Uint8Array<ArrayBuffer>, RegExp]> = {
  "is empty": [message(), /missing bytes/],
  "has a reserved tag": [message(1, 200, 1, 0, 0), /tag 1 is reserved/],
  "has a status below 200": [message(0, 100, 0, 0), /status 100 is not from/],
  "has a status above 599": [message(0, 0xd8, 4, 0, 0), /status 600 is not from/],
  "has a status that is no number": [message(0, ...new Array(10).fill(255), 0, 0), /too large/],
  "ends in its status": [message(0, 200), /missing bytes/],
  "ends in its headers": [message(0, 200, 1, 1, "A", 2, "b"), /missing bytes/],
  "ends in its body": [message(0, 200, 1, 0, 5, 104), /missing bytes/],
  "has bytes behind its body": [message(0, 200, 1, 0, 0, 0), /more bytes follow at byte 5/],
  "has a header name with a colon": [message(0, 200, 1, 1, "A:", 1, "b", 0), /no token/],
  "has an empty header name": [message(0, 200, 1, 1, "", 1, "b", 0), /no token/],
  "has a header name beyond ASCII": [message(0, 200, 1, 1, 2, 195, 169, 1, "b", 0), /no token/],
  "has a line break in a value": [message(0, 200, 1, 1, "A", 1, "b\r\nC: d", 0), /control/],
  "has a NUL in a value": [message(0, 200, 1, 1, "A", 1, "\0", 0), /control character at byte 7/],
  "has a header twice": [message(0, 200, 1, 2, "A", 1, "b", "A", 1, "c", 0), /A is there twice/],
  "has bad UTF-8": [message(0, 200, 1, 1, "A", 1, 2, 0xc3, 0x28, 0), /UTF-8/],
  "has a surrogate": [message(0, 200, 1, 1, "A", 1, 3, 0xed, 0xa0, 0x80, 0), /UTF-8/],
  "has bad UTF-8 in a long text": [
    message(0, 200, 1, 1, "A", 1, 0xe9, 7, ...utf8(LONG), 0xff, 0),
    /UTF-8/,
  ],
  "says it has very many headers": [message(0, 200, 1, 255, 255, 127), /headers are too many/],
  "says it has a very large body": [message(0, 200, 1, 0, 255, 255, 255, 255, 15), /missing bytes/],
};

for (const [what, [bytes, why]] of Object.entries(BAD_ANSWERS)) {
  test(`response packet is refused that ${what}`, () => {
    assert.throws(() => decodeResponse(bytes), badPacket(why));
  });
}

test("request packet is refused that has a reserved tag, or more bytes than it says", () => {
  assert.throws(() => decodeRequest(message(2)), badPacket(/tag 2 is reserved/));
  assert.throws(() => decodeRequest(message(1, 0)), badPacket(/more bytes follow at byte 1/));
  const header = message(0, "", "http://h/", "GET", 1, "A", "\n", 0);
  assert.throws(() => decodeRequest(header), badPacket(/control character/));
});

test("packet is not written with a status that is no answer's", () => {
  for (const status of [101, 199, 600, 200.5, NaN]) {
    assert.throws(() => encodeResponse({ ...ANSWER, status }), RangeError);
  }
});

const bytesOf = (maxLength: number) => fc.uint8Array({ maxLength });
const text = fc.string({ unit: "grapheme", maxLength: 300 });
const value = text.map((text) => text.replaceAll(/[^\t\x20-\x7e\u00a0-\u{10ffff}]/gu, ""));
const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
const entries = <T>(values: fc.Arbitrary<T>) =>
  fc.uniqueArray(fc.tuple(name, values), { maxLength: 8, selector: ([name]) => name })
    .map((pairs) => new Map(pairs));

const requests: fc.Arbitrary<HttpRequest> = fc.record({
  remoteAddress: text,
  uri: text,
  method: text,
  headers: entries(value),
  body: bytesOf(500),
}, { noNullPrototype: true });
const responses: fc.Arbitrary<HttpResponse> = fc.record({
  status: fc.integer({ min: 200, max: 599 }),
  headers: entries(fc.array(value, { maxLength: 4 })),
  body: bytesOf(500),
}, { noNullPrototype: true });

test("packets are read as they were written", async () => {
  await holds(200, fc.tuple(requests, responses), ([request, response]) => {
    assert.deepEqual(decodeRequest(messageOf(encodeRequest(request))), request);
    assert.deepEqual(decodeResponse(messageOf(encodeResponse(response))), response);
  });
});

/** What a decoder makes of bytes: a message, or the one error that it may throw. */
function outcome<T>(
  decode: (message: Uint8Array<ArrayBuffer>) => T,
  bytes: Uint8Array<ArrayBuffer>,
) {
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "bad_packet") return "bad";
    throw error;
  }
}

test("packets that were changed anywhere are messages again, or bad ones, and nothing else", async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  let bad = 0;
  await holds(500, fc.tuple(responses, changes, fc.nat()), ([response, changes, cut]) => {
    const bytes = messageOf(encodeResponse(response));
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
    const whole = outcome(decodeResponse, bytes);
    if (whole === "bad") bad++;
    else {
      assert.deepEqual(decodeResponse(messageOf(encodeResponse(whole))), whole);
      // Of a bad one, the beginning can be a message: it may just be too long.
      assert.equal(outcome(decodeResponse, bytes.subarray(0, cut % bytes.length)), "bad");
    }
    outcome(decodeRequest, bytes);
  });
  assert.ok(bad > 0);
});

/** The messages in a stream that comes in chunks of these sizes, again and again; and how it ends. */
function readAll(stream: Uint8Array<ArrayBuffer>, sizes: readonly number[], bytesMax = BYTES_MAX) {
  const reader = new PacketReader(bytesMax);
  const messages: Uint8Array[] = [];
  try {
    for (let at = 0, turn = 0; at < stream.length; turn++) {
      const chunk = stream.slice(at, at + (sizes[turn % sizes.length] ?? 1));
      at += chunk.length;
      for (const message of reader.read(chunk)) messages.push(message.slice());
    }
    return { messages, end: reader.bufferedBytes };
  } catch (error) {
    assert.equal(error instanceof Error && "code" in error && error.code, "bad_packet");
    return { messages, end: "bad" };
  }
}

const chunkSizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 });

test("packet reader finds the same messages however the stream is cut", async () => {
  const bodies = fc.array(bytesOf(6000), { maxLength: 6 });
  await holds(100, fc.tuple(bodies, bytesOf(3), chunkSizes), ([bodies, rest, sizes]) => {
    const stream = Buffer.concat([...bodies.flatMap((body) => [int32(body.length), body]), rest]);
    assert.deepEqual(readAll(Uint8Array.from(stream), sizes), {
      messages: bodies,
      end: rest.length,
    });
  });
});

test("packet reader ends the same way on any bytes, however they are cut", async () => {
  const pieces = fc.array(fc.oneof(bytesOf(20), fc.nat(40).map(int32)), { maxLength: 10 });
  const ends = new Set<unknown>();
  await holds(200, fc.tuple(pieces, chunkSizes), ([pieces, sizes]) => {
    const stream = Uint8Array.from(Buffer.concat(pieces));
    const { messages, end } = readAll(stream, sizes, 32);
    ends.add(end === "bad" || end === 0 ? end : "more");
    assert.deepEqual(readAll(stream, [1], 32), { messages, end });
    for (const message of messages) assert.ok(message.length <= 32);
  });
  assert.deepEqual(ends, new Set(["bad", 0, "more"]));
});

function int32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

test("packet reader refuses a size that is negative or too large as soon as it is there", () => {
  for (const size of [-1, -(2 ** 31), 1001, 2 ** 31 - 1]) {
    const reader = new PacketReader(1000);
    const why = badPacket(new RegExp(`size is ${size}, and not from 0 to 1000`));
    assert.deepEqual([...reader.read(int32(size).subarray(0, 3))], []);
    assert.throws(() => [...reader.read(int32(size).subarray(3))], why);
    assert.throws(() => [...reader.read(int32(1))], why);
  }
});

test("packet reader takes no memory for what was only announced", () => {
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 100 }, () => new PacketReader(2 ** 31 - 1));
  for (const reader of readers) assert.deepEqual([...reader.read(int32(2 ** 31 - 1))], []);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
  assert.deepEqual(readers.map((reader) => reader.bufferedBytes), new Array(100).fill(4));
});

test("packet is refused that has more headers than the bound, and taken with as many", () => {
  const many = (count: number) =>
    new Map(Array.from({ length: count }, (_, index) => [`H${index}`, [""]]));
  const packet = (count: number) => messageOf(encodeResponse({ ...ANSWER, headers: many(count) }));
  assert.equal(decodeResponse(packet(PACKET_FIELDS_MAX)).headers.size, PACKET_FIELDS_MAX);
  assert.throws(() => decodeResponse(packet(PACKET_FIELDS_MAX + 1)), badPacket(/too many/));
});
