/**
 * The access log: a line for each exchange, however it ends, that can be read back whatever the
 * client has sent.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clock } from "../../adapters/clock.ts";
import { listen } from "../../adapters/listen.ts";
import { openEngine } from "../../adapters/open_engine.ts";
import { HttpError } from "../../runtime/errors.ts";
import { type AccessEntry, accessLine } from "../../runtime/http/access_line.ts";
import { accessLogged } from "../../runtime/http/access_log.ts";
import type { FetchHandler } from "../../runtime/http/fetch_handler.ts";
import { memoryLog } from "../../runtime/log/memory_log.ts";
import { aborted, deferred, Trial, until } from "../../adapters/conformance/trial.ts";
import { holds } from "../support/property.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

const ENTRY: AccessEntry = {
  time: "2026-01-02T03:04:05.678Z",
  method: "GET",
  path: "/",
  status: 200,
  duration_ms: 0.25,
  remote: "[::1]:1234",
  trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
  span_id: "00f067aa0ba902b7",
};

/** A line of logfmt, taken apart as its readers do: all values are text. */
function parseLogfmt(line: string): Record<string, string> {
  const fields: Record<string, string> = {};
  const field = /([a-z_]+)=(?:("(?:[^"\\]|\\.)*")|([^\s"=]+))(?: |$)/gy;
  const end = line.length;
  while (field.lastIndex < end) {
    const at = field.lastIndex;
    const [, name = "", quoted, plain] = field.exec(line) ?? [];
    assert.ok(name !== "" && !(name in fields), `${line.slice(at)} is no field`);
    fields[name] = quoted === undefined ? plain ?? "" : JSON.parse(quoted) as string;
  }
  return fields;
}

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(...'a "=\\\n\r\t\0\x7f\x85\u2028\u2029\ud800é') }),
);

test("access log lines say what was sent, and are one line each, whatever it was", async () => {
  const sent = fc.record({ method: anyText, path: anyText, remote: anyText });
  await holds(300, sent, (sent) => {
    const entry = { ...ENTRY, ...sent, bytes: undefined };
    for (const format of ["json", "logfmt"] as const) {
      const line = accessLine(entry, format);
      // All that anybody takes for the end of a line, or that a terminal obeys.
      assert.match(line, /^[^\p{Cc}\u2028\u2029]*\n$/u);
      const read = format === "json" ? JSON.parse(line) : parseLogfmt(line.slice(0, -1));
      const expected = format === "json" ? { ...ENTRY, ...sent } : Object.fromEntries(
        Object.entries({ ...ENTRY, ...sent }).map(([name, value]) => [name, String(value)]),
      );
      assert.deepEqual(read, expected);
    }
  });
});

test("access log lines are quoted only where they must be", () => {
  const line = accessLine({ ...ENTRY, path: "/a b" }, "logfmt");
  assert.equal(
    line,
    'time=2026-01-02T03:04:05.678Z method=GET path="/a b" status=200 duration_ms=0.25 ' +
      `remote=[::1]:1234 trace_id=${ENTRY.trace_id} span_id=${ENTRY.span_id}\n`,
  );
});

/** Asks a handler with a log, and returns what it answered or threw, and the line. */
async function logged(handler: FetchHandler, request: Request) {
  const lines: string[] = [];
  const clock = new SimulatedClock();
  const fetch = accessLogged(handler, {
    format: "json",
    write: (line) => void lines.push(line),
    clock,
    timeOfDay: () => Date.UTC(2026, 0, 2),
  });
  const info = { remoteAddress: "192.0.2.1:1234", signal: new AbortController().signal };
  const answer = await Promise.try(() => fetch(request, info)).catch((error: unknown) => error);
  assert.equal(lines.length, 1);
  return { answer, entry: JSON.parse(lines[0] ?? "") as AccessEntry };
}

test("access log has an exchange once, with the status of what was answered or thrown", async () => {
  const get = new Request("http://test/a/b?token=secret#c", { method: "DELETE" });
  const sized = new Response("four", { status: 201, headers: { "content-length": "4" } });
  const { entry } = await logged(() => sized, get);
  assert.deepEqual(
    { ...entry, trace_id: "", span_id: "" },
    {
      time: "2026-01-02T00:00:00.000Z",
      method: "DELETE",
      path: "/a/b",
      status: 201,
      bytes: 4,
      duration_ms: 0,
      remote: "192.0.2.1:1234",
      trace_id: "",
      span_id: "",
    },
  );
  const late = new Response(null, { status: 204 });
  const statuses = new Map<FetchHandler, number>([
    [() => Promise.resolve(late), 204],
    [() => Promise.reject(new HttpError(409, "taken")), 409],
    [() => Promise.reject(new Error("a defect")), 500],
    [() => {
      throw new HttpError(404, "no such page");
    }, 404],
    // What no type allows, and an adapter answers with 500.
    [() => undefined as never, 500],
  ]);
  for (const [handler, status] of statuses) {
    const { entry } = await logged(handler, new Request("http://test"));
    assert.equal(entry.status, status);
    assert.equal(entry.path, "/");
  }
});

test("access log leaves answers on the wire as they are, and knows the size of those that say it", async () => {
  const plain = { "content-type": "text/plain", "content-length": "4" };
  const answers: Readonly<Record<string, () => Response>> = {
    text: () => new Response("four"),
    bytes: () => new Response(Uint8Array.of(1, 2, 3, 4)),
    empty: () => new Response(null, { status: 204 }),
    record: () => new Response("four", { headers: plain }),
    headers: () => new Response("four", { headers: new Headers(plain) }),
    json: () => Response.json({ four: 4 }),
    stream: () => new Response(new Blob(["four"]).stream()),
  };
  const { fetch: handler } = await openEngine({
    initModel: () => 0,
    updateModel: (model) => model,
    handleRequest: (request) =>
      answers[new URL(request.url).pathname.slice(1)]?.() ?? new Response(null, { status: 404 }),
    // Whoever wants to know when an exchange is over is told by the server.
    lifecycle: [{ finish() {} }],
  }, { log: memoryLog() });
  const lines: AccessEntry[] = [];
  const handlers = [
    handler,
    accessLogged(handler, {
      format: "json",
      write: (line) => void lines.push(JSON.parse(line)),
      clock,
      timeOfDay: Date.now,
    }),
  ];
  const wires: unknown[][] = [];
  for (const handler of handlers) {
    const wire: unknown[] = [];
    await new Trial(listen).withServer(handler, async ({ client, reports }) => {
      const connection = client();
      for (const name of Object.keys(answers)) {
        const { status, fields, body } = await connection.get(`/${name}`).response();
        wire.push([name, status, fields.filter(([name]) => name !== "date"), body.toString("hex")]);
      }
      assert.deepEqual(reports, []);
    });
    wires.push(wire);
  }
  assert.deepEqual(wires[1], wires[0]);
  assert.deepEqual(
    lines.filter(({ bytes }) => bytes !== undefined).map(({ path, bytes }) => [path, bytes]),
    [["/record", 4], ["/headers", 4]],
  );
});

test("access log leaves it to the server to say when an exchange is over", async () => {
  const ends: (readonly boolean[])[] = [];
  const log = { format: "json", write: () => {}, clock, timeOfDay: Date.now } as const;
  for (
    const around of [
      (fetch: FetchHandler) => fetch,
      (fetch: FetchHandler) => accessLogged(fetch, log),
    ]
  ) {
    const said: boolean[] = [];
    const called = deferred();
    const fetch = around(async (_, info) => {
      info.onOver?.((isComplete) => said.push(isComplete));
      called.resolve();
      await aborted(info.signal);
      return new Response("too late");
    });
    await new Trial(listen).withServer(fetch, async ({ client }) => {
      const connection = client().get("/");
      await called.promise;
      connection.leave();
      await until(() => said.length > 0);
    });
    ends.push(said);
  }
  assert.deepEqual(ends, [[false], [false]]);
  const around = accessLogged((_, info) => new Response(String(info.onOver)), log);
  const info = { remoteAddress: undefined, signal: new AbortController().signal };
  const response = await around(new Request("http://test/"), info);
  assert.equal(await response.text(), "undefined", "of a server that does not tell");
});

test("access log hands on what was answered and thrown as it is", async () => {
  const response = new Response("one");
  const request = new Request("http://test/");
  assert.equal((await logged(() => response, request)).answer, response);
  assert.equal((await logged(() => Promise.resolve(response), request)).answer, response);
  const error = new Error("a defect");
  assert.equal((await logged(() => Promise.reject(error), request)).answer, error);
});

test("access log is under the id of the client's trace, and the handler knows its own", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const seen: (string | undefined)[] = [];
  const handler: FetchHandler = (_request, info) => {
    seen.push(info.traceparent);
    return new Response();
  };
  const client = new Request("http://test/", { headers: { traceparent } });
  const { entry } = await logged(handler, client);
  assert.equal(entry.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(entry.parent_id, "00f067aa0ba902b7");
  assert.notEqual(entry.span_id, entry.parent_id);
  assert.deepEqual(seen, [`00-${entry.trace_id}-${entry.span_id}-01`]);
  const forged = new Request("http://test/", { headers: { traceparent: `${traceparent}-x` } });
  const { entry: own } = await logged(handler, forged);
  assert.notEqual(own.trace_id, entry.trace_id);
  assert.equal(own.parent_id, undefined);
  assert.equal(seen[1], `00-${own.trace_id}-${own.span_id}-00`);
});
