/**
 * Events and commits as text: for people, and as JSON for programs.
 */

import { encodeBase64Url } from "#std/encoding/base64url";
import { encodeHex } from "#std/encoding/hex";
import type { StoredCommit } from "../../../runtime/log/event_log.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as text; `undefined` if they are none. */
function textIn(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** JSON text in one line, as it is written otherwise; `undefined` if it is none. */
function jsonIn(text: string): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  // In a string they would have to be escaped: so these stand between values.
  return text.replaceAll(/[\n\r\t]/g, " ").trim();
}

/** What would move the cursor, or begin a line. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

/** Bytes for people: text in one line, else hexadecimal. */
export function bytesAsText(bytes: Uint8Array): string {
  if (bytes.length === 0) return "(empty)";
  const text = textIn(bytes);
  const line = text === undefined ? undefined : CONTROL.test(text) ? jsonIn(text) : text;
  return line === undefined || CONTROL.test(line) ? `hex ${encodeHex(bytes)}` : line;
}

/** Bytes for programs: `{"json":…}`, `{"text":…}` or `{"base64url":…}`, as they can be said. */
export function bytesAsJson(bytes: Uint8Array): string {
  const text = textIn(bytes);
  if (text === undefined) return JSON.stringify({ base64url: encodeBase64Url(bytes) });
  // As it is written: a parsed number could be another one.
  const json = jsonIn(text);
  return json === undefined ? JSON.stringify({ text }) : `{"json":${json}}`;
}

/** A commit for people: a line for each event, and one for what was noted with it. */
export function commitAsText({ sequence, time, meta, events }: StoredCommit): string {
  const start = time === undefined ? `${sequence}` : `${sequence}  ${timeAsText(time)}`;
  const lines = events.map((event) => `${start}  ${bytesAsText(event)}`);
  if (meta.length > 0) lines.unshift(`${start}  (noted: ${bytesAsText(meta)})`);
  else if (lines.length === 0) lines.push(`${start}  (no events)`);
  return lines.join("\n");
}

/** A commit for programs, in a line. */
export function commitAsJson({ sequence, time, meta, events }: StoredCommit): string {
  const when = JSON.stringify(time === undefined ? null : timeAsText(time));
  const noted = meta.length === 0 ? "null" : bytesAsJson(meta);
  return `{"sequence":${sequence},"time":${when},"meta":${noted},` +
    `"events":[${events.map(bytesAsJson).join(",")}]}`;
}

/** What the fields of {@linkcode commitAsJson} mean. */
export const COMMIT_FIELDS = `With --json, a commit is a line:
  sequence  its number
  time      when it was written (ISO 8601), or null where the format does not know
  meta      what the runtime noted with it, or null
  events    an array. Each event (and meta) is an object with one member:
              json       the event, where it is JSON, as it is written in the log
              text       the event, where it is other text in UTF-8
              base64url  its bytes, where it is neither`;

/** A time in milliseconds since 1970, in ISO 8601. */
export function timeAsText(time: number): string {
  return new Date(time).toISOString();
}
