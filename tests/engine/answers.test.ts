/**
 * What an application's handlers get and may answer with, and what becomes of errors: pages,
 * reports, and nothing that leaks.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Context } from "../../runtime/app.ts";
import { HttpError } from "../../runtime/errors.ts";
import type { HttpErrorOptions } from "../../runtime/errors.ts";
import { ask, run, words } from "../support/running.ts";

const failing = (error: unknown, more: Parameters<typeof words>[2] = {}) =>
  words("pure", () => {
    throw error;
  }, more);

async function answerTo(app: ReturnType<typeof words>, method = "GET") {
  const running = await run(app);
  const answer = ask(running, method, "/");
  await running.clock.settle();
  return { ...running, answer: answer.value };
}

test("engine gives saveEvent to POST, PUT, PATCH and DELETE, and to no other method", async () => {
  const seen: Record<string, boolean> = {};
  const running = await run(words("pure", (_request, _model, context: Context<string>) => {
    seen[context.method] = "saveEvent" in context;
    return new Response();
  }));
  for (const method of ["GET", "HEAD", "OPTIONS", "PROPFIND", "POST", "PUT", "PATCH", "DELETE"]) {
    ask(running, method, "/");
  }
  await running.clock.settle();
  assert.deepEqual(seen, {
    GET: false,
    HEAD: false,
    OPTIONS: false,
    PROPFIND: false,
    POST: true,
    PUT: true,
    PATCH: true,
    DELETE: true,
  });
});

test("engine answers 501 to an unknown method, and calls no handler", async () => {
  const { answer, reported } = await answerTo(failing(new Error("called")), "BREW");
  assert.equal(answer?.status, 501);
  assert.deepEqual(reported, []);
});

test("handler gets the peer's address", async () => {
  const { answer } = await answerTo(
    words("pure", (_request, _model, { remoteAddress }) => new Response(remoteAddress ?? null)),
  );
  assert.equal(answer?.text, "192.0.2.1:1234");
});

test("an HttpError below 500 is answered with a plain page, and not reported", async () => {
  for (const method of ["GET", "POST"]) {
    const options: HttpErrorOptions = { headers: { allow: "GET" } };
    const { answer, reported } = await answerTo(
      failing(new HttpError(405, "secret", options)),
      method,
    );
    assert.equal(answer?.status, 405);
    assert.equal(answer?.text, "405 Method Not Allowed\n");
    assert.equal(answer?.headers.get("allow"), "GET");
    assert.deepEqual(reported, []);
  }
});

test("whatever else is thrown is a 500 that leaks nothing, and is reported once", async () => {
  for (const thrown of [new Error("secret"), new HttpError(502, "secret"), "secret", undefined]) {
    for (const method of ["GET", "POST"]) {
      const { answer, reported } = await answerTo(failing(thrown), method);
      assert.equal(answer?.status, thrown instanceof HttpError ? 502 : 500);
      assert.doesNotMatch(answer?.text ?? "secret", /secret/);
      assert.deepEqual(reported, [thrown]);
    }
  }
});

test("a handler that rejects is treated as one that throws", async () => {
  for (const method of ["GET", "POST"]) {
    const rejected = new HttpError(404);
    const { answer } = await answerTo(words("pure", () => Promise.reject(rejected)), method);
    assert.equal(answer?.status, 404);
  }
});

test("errors has a page for a status, and a default one for the others", async () => {
  const errors = {
    404: (error: HttpError, request: Request, model: readonly string[]) =>
      new Response(`${error.message} at ${new URL(request.url).pathname}, ${model.length} words`),
    default: (error: HttpError) => new Response(`default ${error.status}`, { status: 418 }),
  };
  const missing = await answerTo(failing(new HttpError(404, "no such book"), { errors }));
  assert.equal(missing.answer?.status, 404, "the page does not say 200");
  assert.equal(missing.answer?.text, "no such book at /, 0 words");
  const other = await answerTo(failing(new HttpError(409), { errors }));
  assert.deepEqual([other.answer?.status, other.answer?.text], [418, "default 409"]);
});

test("errors of the engine itself take the application's pages, too", async () => {
  const errors = { default: (error: HttpError) => new Response(`page ${error.status}`) };
  const unknown = await answerTo(failing(new Error(), { errors }), "BREW");
  assert.equal(unknown.answer?.text, "page 501");
  const running = await run(words("pure", () => new Promise<never>(() => {}), { errors }), {
    requestTimeoutMs: 10,
    writeQueueMax: 1,
    bodyBytesMax: 1,
  });
  const asked = [
    ask(running, "POST", "/", { body: "long" }),
    ask(running, "GET", "/"),
    ask(running, "POST", "/"),
    ask(running, "POST", "/"),
    ask(running, "POST", "/"),
  ];
  await running.clock.advance(10);
  await running.clock.advance(10);
  assert.deepEqual(
    asked.map(({ value }) => value?.text),
    ["page 413", "page 504", "page 504", "page 504", "page 503"],
  );
});

test("a page that throws is replaced by the default one, and is reported", async () => {
  const broken = new Error("broken page");
  const errors = {
    404: () => {
      throw broken;
    },
  };
  const { answer, reported } = await answerTo(failing(new HttpError(404), { errors }));
  assert.deepEqual([answer?.status, answer?.text], [404, "404 Not Found\n"]);
  assert.deepEqual(reported, [broken]);
});

test("an answer that is no Response is a 500, and saves nothing", async () => {
  // A mistake that an application in JavaScript can make.
  const nonsense = { status: 200 } as unknown as Response;
  for (const method of ["GET", "POST"]) {
    const { answer, reported, engine } = await answerTo(
      words("pure", (_request, _model, { saveEvent }) => {
        saveEvent?.("a");
        return nonsense;
      }),
      method,
    );
    assert.equal(answer?.status, 500);
    assert.equal(reported.length, 1);
    assert.equal(engine.health().applied, 0);
  }
});

test("a read handler that takes too long is answered with 504", async () => {
  const running = await run(words("pure", () => new Promise<never>(() => {})), {
    requestTimeoutMs: 10,
  });
  const read = ask(running, "GET", "/");
  await running.clock.advance(9);
  assert.equal(read.isSettled, false);
  await running.clock.advance(1);
  assert.equal(read.value?.status, 504);
});

test("updateModel that returns nothing, or a promise, is a 500, and the model stays", async () => {
  for (const nothing of [undefined, Promise.resolve(["later"])]) {
    const { answer, engine } = await answerTo(
      words("pure", (_request, _model, { saveEvent }) => {
        saveEvent?.("a");
        return new Response();
      }, {
        // A mistake that an application in JavaScript can make.
        updateModel: () => nothing as unknown as string[],
      }),
      "POST",
    );
    assert.equal(answer?.status, 500);
    assert.equal(engine.health().applied, 0);
  }
});
