/** Dates in header fields: what is read, what is not, and that what is written is read again. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatHttpDate, parseHttpDate } from "../../runtime/http/http_date.ts";
import { holds } from "../support/property.ts";

const NOW = Date.UTC(2026, 10, 21);

test("a date is read in the three forms of HTTP", () => {
  const moment = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (
    const text of [
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994",
    ]
  ) assert.equal(parseHttpDate(text, NOW), moment, text);
});

test("a year of two digits lies at most 50 years ahead", () => {
  const year = (text: string) =>
    new Date(parseHttpDate(`Sunday, 06-Nov-${text} 08:49:37 GMT`, NOW) ?? NaN).getUTCFullYear();
  assert.deepEqual(["76", "77", "99", "00", "26"].map(year), [2076, 1977, 1999, 2000, 2026]);
});

test("what is no date of HTTP is not read as one", () => {
  for (
    const text of [
      "",
      "0",
      "1994",
      "1994-11-06T08:49:37Z",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 +0000",
      "Sun, 06 Nov 1994 24:49:37 GMT",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "sun, 06 nov 1994 08:49:37 gmt",
      "Thu, 31 Feb 1994 08:49:37 GMT",
      "Thu, 31 Feb 1994 08:49:60 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ]
  ) assert.equal(parseHttpDate(text, NOW), undefined, text);
});

test("what is written is read as the same second", async () => {
  const moments = fc.integer({ min: 0, max: Date.UTC(9999, 0) });
  await holds(200, moments, (ms) => {
    assert.equal(parseHttpDate(formatHttpDate(ms), NOW), Math.floor(ms / 1000) * 1000);
  });
});
