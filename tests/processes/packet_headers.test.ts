/** Headers in packets and headers of the Web. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  byteString,
  canonicalName,
  requestFields,
  requestHeaders,
  responseFields,
} from "../../runtime/processes/packet_headers.ts";

const UTF8_BYTES = "caf\u00c3\u00a9"; // "café" in UTF-8, each byte as a character.

test("packet header names have a capital at each word, as captured", () => {
  const names = ["host", "content-type", "x-Lower_case", "SEC-CH-UA", "x--1a-b", "ETag"];
  assert.deepEqual(names.map(canonicalName), [
    "Host",
    "Content-Type",
    "X-Lower_case",
    "Sec-Ch-Ua",
    "X--1a-B",
    "Etag",
  ]);
});

test("packet headers of a request are joined with commas, cookies with semicolons", () => {
  const fields = requestFields([
    ["accept", "text/html"],
    ["cookie", "a=1"],
    ["Accept", "*/*"],
    ["Cookie", "b=2"],
  ]);
  assert.deepEqual([...fields], [["Accept", "text/html, */*"], ["Cookie", "a=1; b=2"]]);
});

test("packet headers of an answer keep each Set-Cookie", () => {
  const headers = new Headers({ "content-type": "text/plain" });
  headers.append("vary", "a");
  headers.append("vary", "b");
  headers.append("set-cookie", "a=1; Expires=Sat, 21 Nov 2026 07:44:13 GMT");
  headers.append("set-cookie", "b=2");
  const fields = responseFields(headers);
  assert.deepEqual(
    fields,
    new Map([
      ["Content-Type", ["text/plain"]],
      ["Set-Cookie", ["a=1; Expires=Sat, 21 Nov 2026 07:44:13 GMT", "b=2"]],
      ["Vary", ["a, b"]],
    ]),
  );
});

test("packet headers are text: UTF-8 where the bytes are, else Latin-1", () => {
  assert.equal(requestFields([["a", UTF8_BYTES]]).get("A"), "café");
  assert.equal(requestFields([["a", "caf\u00e9"]]).get("A"), "café");
  assert.equal(new Headers(requestHeaders(new Map([["A", "café"]]))).get("a"), UTF8_BYTES);
  const bytes = byteString("名");
  assert.equal(bytes, "\u00e5\u0090\u008d");
  assert.deepEqual(responseFields(new Headers({ a: bytes })), new Map([["A", ["名"]]]));
});
