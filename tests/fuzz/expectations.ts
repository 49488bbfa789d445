/** What `fuzzed_app.ts` has to do for a request: what it answers, saves and reports. */

import { isWriteMethod } from "../../runtime/http/methods.ts";
import type { Answer } from "./answers.ts";
import type { ReadRequest } from "./reading.ts";
import { FILES } from "./requests.ts";

/** What becomes of a request. */
export interface Expectation {
  /** Says what is wrong with an answer to it, if anything is. */
  readonly faultOf: (answer: Answer) => string | undefined;
  /** What is in the model afterwards. */
  readonly entry?: string;
  /** What is reported. */
  readonly report?: string;
  /** Whether what is reported happens behind the beginning of its answer. */
  readonly isLate?: boolean;
  /** Whether its answer ends with the connection, before its own end. */
  readonly isCut?: boolean;
  /** Whether it has a body that nobody reads. */
  readonly isUnread?: boolean;
}

/** What has to become of `request`. */
export function expectationOf(request: ReadRequest): Expectation {
  const isRead = isWriteMethod(request.method) && !request.path.startsWith("/static/");
  return { ...outcomeOf(request), isUnread: request.body !== "" && !isRead };
}

function outcomeOf(request: ReadRequest): Expectation {
  const { method, path, query, body } = request;
  const writes = isWriteMethod(method);
  const route = path.split("/")[1] ?? "";
  const report = `planted: ${path}`;
  switch (route) {
    case "echo":
    case "late":
      return is(200, `${method} ${path}${query}${writes ? ` ${body.length}` : ""}`, request);
    case "write":
      if (!writes) break;
      return { ...is(200, `saved ${path} ${body.length}`, request), entry: `${path} ${body}` };
    case "upload":
      if (!writes || !path.startsWith("/upload/")) break;
      return is(200, `took ${path} ${body.length}`, request);
    case "stream":
      return is(200, path.repeat(3), request);
    case "throw":
      return { ...is(500, `500 ${path}`, request), report };
    case "broken":
      return { ...is(200, path, request, { isCut: method !== "HEAD" }), report, isLate: true };
    case "static": {
      const name = path.slice("/static/".length);
      if (name in FILES) return { faultOf: (answer) => faultOfFile(answer, name, request) };
    }
  }
  return is(404, `404 ${path}`, request);
}

function is(
  status: number,
  body: string,
  { method }: ReadRequest,
  { isCut = false } = {},
): Expectation {
  const text = method === "HEAD" ? "" : body;
  return {
    isCut,
    faultOf({ status: found, body, isWhole }) {
      if (found !== status) return `it is ${found}, not ${status}`;
      const isRight = isWhole && !isCut ? body === text : text.startsWith(body);
      return isRight ? undefined : `it says ${show(body)}, not ${show(text)}`;
    },
  };
}

const ERROR_PAGES = [405, 406, 412, 416];

/** Which of them it is depends on conditions; that is for the tests of static files. */
function faultOfFile(
  { status, fields, body, isWhole }: Answer,
  name: string,
  { method }: ReadRequest,
): string | undefined {
  if (ERROR_PAGES.includes(status)) {
    return method === "HEAD" || body.startsWith(`${status} `) ? undefined : `it says ${show(body)}`;
  }
  if (![200, 206, 304].includes(status)) return `${status} is no status for a file`;
  if (method === "HEAD" || status === 304) return undefined;
  const file = FILES[fields.get("content-encoding") === "gzip" ? `${name}.gz` : name] ?? "";
  const [, first = 0, last = Infinity] =
    /^bytes (\d+)-(\d+)\//.exec(fields.get("content-range") ?? "") ?? [];
  if ((status === 206) !== fields.has("content-range")) return "it is of no certain range";
  const text = file.slice(Number(first), Number(last) + 1);
  const isRight = isWhole ? body === text : text.startsWith(body);
  return isRight ? undefined : `it says ${show(body)}, not ${show(text)}`;
}

function show(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
