/**
 * Hono applications as handlers: they do what the same handler written by hand does, and keep
 * what Hono's users rely on.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Context as HonoContext, Hono, type MiddlewareHandler } from "hono";
import { setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { methodOverride } from "hono/method-override";
import { routePath } from "hono/route";
import { streamText } from "hono/streaming";
import {
  type App,
  type DeepReadonly,
  type Engine,
  type Handler,
  type HonoEnv,
  honoHandler,
  HttpError,
  memoryLog,
  openEngine,
} from "../../mod.ts";
import { ask, run, words } from "../support/running.ts";

type Words = readonly string[];
type WordsEnv = HonoEnv<Words, string>;
type Style = "pure" | "in place";

const STYLES: readonly Style[] = ["pure", "in place"];

/** Runs `body` against an application whose model is a list of words. */
async function withWords(
  handleRequest: Handler<Words, string>,
  body: (running: Running) => Promise<void>,
  style: Style = "pure",
): Promise<void> {
  const reported: unknown[] = [];
  const app: App<Words, string> = {
    initModel: () => [],
    updateModel: (words, events) => {
      if (style === "pure") return [...words, ...events];
      (words as string[]).push(...events); // It was made by `initModel`.
      return words;
    },
    handleRequest,
    errors: { default: (error) => new Response(`page for ${error.status}: ${error.message}`) },
  };
  const report = (error: unknown) => void reported.push(error);
  await using engine = await openEngine(app, { log: memoryLog(), report, warn: () => {} });
  const ask = async (method: string, path = "/") => {
    const response = await engine.fetch(new Request(`http://test${path}`, { method }));
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
  await body({ engine, ask, reported, saved: () => engine.read((words) => [...words]) });
}

interface Running {
  readonly engine: Engine<Words, string>;
  readonly reported: unknown[];
  ask(method: string, path?: string): Promise<{ status: number; text: string; headers: Headers }>;
  saved(): Promise<string[]>;
}

const thrown = new Error("secret");

type Make = (words: DeepReadonly<Words>) => Response;

/** How a handler may end, whoever calls it. `respond` answers with what is made of the model. */
const ENDS: Record<string, <T>(words: DeepReadonly<Words>, respond: (make: Make) => T) => unknown> =
  {
    "an answer": (words) => new Response(words.join(), { status: 201, headers: { "x-a": "b" } }),
    "an answer that is an error": (words) => new Response(words.join(), { status: 404 }),
    "an answer made of the new model": (_, respond) =>
      respond((words) => new Response(words.join(), { status: 202, headers: { "x-a": "b" } })),
    "an answer that cannot be made": (_, respond) =>
      respond(() => {
        throw thrown;
      }),
    "a stream": (words) => new Response(new Blob([words.join()]).stream()),
    "no answer": () => undefined,
    "an error": () => {
      throw thrown;
    },
    "an HttpError": () => {
      throw new HttpError(409, "taken", { headers: { "x-a": "b" } });
    },
    "an HttpError that is a fault": () => {
      throw new HttpError(502);
    },
    "a text that is thrown": () => {
      // deno-lint-ignore no-throw-literal -- applications do, and Hono does not catch it.
      throw "secret";
    },
  };

test("a Hono application does what the same handler written by hand does", async () => {
  for (const [name, end] of Object.entries(ENDS)) {
    for (const style of STYLES) {
      for (const isLate of [false, true]) {
        const byHand: Handler<Words, string> = async (_request, words, { saveEvent }) => {
          saveEvent?.("a");
          if (isLate) await new Promise((resolve) => setTimeout(resolve));
          saveEvent?.("b");
          return end(words, (make) => saveEvent ? make : make(words)) as Response;
        };
        const hono = new Hono<WordsEnv>();
        hono.all("*", async ({ env, req }) => {
          if (req.method === "POST") env.saveEvent("a");
          if (isLate) await new Promise((resolve) => setTimeout(resolve));
          if (req.method === "POST") env.saveEvent("b");
          return end(env.model, env.respond) as Response;
        });
        const what = `${name}, ${style}, ${isLate ? "late" : "at once"}`;
        const expected = await outcome(byHand, style);
        assert.deepEqual(await outcome(honoHandler(hono), style), expected, what);
      }
    }
  }
});

/** All that can be seen of a handler: answers, what is saved, what is reported. */
async function outcome(handler: Handler<Words, string>, style: Style): Promise<unknown[]> {
  const seen: unknown[] = [];
  await withWords(handler, async ({ ask, saved, reported }) => {
    for (const method of ["GET", "POST", "HEAD", "POST", "GET"]) {
      const { status, text, headers } = await ask(method);
      // Hono leaves a HEAD without a body; for a handler by hand, the server does.
      seen.push([method, status, method === "HEAD" ? "" : text, headers.get("x-a")]);
      seen.push(await saved());
    }
    // Who misses an answer says so in words of its own.
    const isOfRoute = (error: unknown) =>
      error === thrown || typeof error === "string" || error instanceof HttpError;
    seen.push(reported.map((error) => isOfRoute(error) ? error : "no answer"));
  }, style);
  return seen;
}

/** A Hono application that saves a word, and then does what `route` does, at `/`. */
function saving(route: (c: HonoContext<WordsEnv>) => Response): Hono<WordsEnv> {
  const hono = new Hono<WordsEnv>();
  hono.post("/", (c) => {
    c.env.saveEvent("saved");
    return route(c);
  });
  return hono;
}

const throwing = (error: Error) =>
  saving(() => {
    throw error;
  });

test("what a route throws saves nothing, though onError answers for it", async () => {
  const early = throwing(thrown);
  early.onError((error, c) => c.text(`sorry: ${error.message}`, 418, { "x-a": "b" }));
  const handleEarly = honoHandler(early);
  const late = throwing(thrown);
  const handleLate = honoHandler(late);
  late.onError((error, c) => c.text(`sorry: ${error.message}`, 418, { "x-a": "b" }));
  const joined = new Hono<WordsEnv>().route("/", early);
  const inMiddleware = saving((c) => c.text("well done"));
  const whole = new Hono<WordsEnv>();
  whole.use(async (_c, next) => {
    await next();
    throw thrown;
  });
  whole.onError((error, c) => c.text(`sorry: ${error.message}`, 418, { "x-a": "b" }));
  whole.route("/", inMiddleware);
  const handlers = {
    handleEarly,
    handleLate,
    joined: honoHandler(joined),
    whole: honoHandler(whole),
  };
  for (const [name, handler] of Object.entries(handlers)) {
    for (const style of STYLES) {
      await withWords(handler, async ({ ask, saved, reported }) => {
        const { status, text, headers } = await ask("POST");
        assert.deepEqual([status, text, headers.get("x-a")], [418, "sorry: secret", "b"], name);
        assert.deepEqual(await saved(), [], name);
        assert.deepEqual(reported, [], name);
      }, style);
    }
  }
});

test("an error that onError answers when the write's time is up changes nothing", async () => {
  const hono = new Hono<WordsEnv>();
  hono.onError((_error, c) => c.text("sorry"));
  hono.post("/", async ({ env }) => {
    env.saveEvent("saved");
    await new Promise((resolve) => env.signal.addEventListener("abort", resolve));
    throw thrown;
  });
  const running = await run(words("pure", honoHandler(hono)), { requestTimeoutMs: 10 });
  const answer = ask(running, "POST", "/");
  await running.clock.advance(20);
  assert.equal(answer.value?.status, 504);
  assert.equal(await running.engine.read((words) => words.length), 0);
  assert.deepEqual(running.reported, []);
  await running.engine.close();
});

test("what a route throws is Alcedo's to answer where onError throws it on", async () => {
  const hono = throwing(thrown);
  hono.onError((error) => {
    throw error;
  });
  await withWords(honoHandler(hono), async ({ ask, saved, reported }) => {
    const { status, text } = await ask("POST");
    assert.deepEqual([status, text], [500, "page for 500: "]);
    assert.deepEqual(await saved(), []);
    assert.deepEqual(reported, [thrown]);
  });
});

test("an HTTPException of Hono is its own answer, and saves nothing", async () => {
  const res = new Response("go away", { headers: { "www-authenticate": "Basic" } });
  const hono = throwing(new HTTPException(401, { res }));
  hono.get("/", () => {
    throw new HTTPException(404, { message: "no such word" });
  });
  await withWords(honoHandler(hono), async ({ ask, saved, reported }) => {
    const { status, text, headers } = await ask("POST");
    assert.deepEqual([status, text], [401, "go away"]);
    assert.equal(headers.get("www-authenticate"), "Basic");
    assert.equal((await ask("GET")).text, "no such word");
    assert.deepEqual(await saved(), []);
    assert.deepEqual(reported, []);
  });
});

test("middleware sees an error as Hono's does, and may answer for it", async () => {
  const seen: unknown[] = [];
  const hono = new Hono<WordsEnv>();
  hono.use(async (c, next) => {
    await next();
    seen.push(await c.res.clone().text());
  });
  hono.use(async (c, next) => {
    await next();
    seen.push(c.error?.message, c.res.status);
    if (c.req.path === "/kind") c.res = new Response("never mind", { status: 200 });
  });
  hono.all("*", () => {
    throw new HttpError(404, "no such word");
  });
  await withWords(honoHandler(hono), async ({ ask }) => {
    for (const method of ["GET", "POST"]) {
      const { status, text } = await ask(method);
      assert.deepEqual([status, text], [404, "page for 404: no such word"]);
      const kind = await ask(method, "/kind");
      assert.deepEqual([kind.status, kind.text], [200, "never mind"]);
    }
    assert.equal((await ask("HEAD")).status, 404);
  });
  const bodies = ["404\n", "never mind", "404\n", "never mind", "404\n"];
  assert.deepEqual(seen, bodies.flatMap((body) => ["no such word", 404, body]));
});

test("saveEvent cannot save in a read, and says what to do", async () => {
  const hono = new Hono<WordsEnv>();
  hono.all("*", (c) => {
    c.env.saveEvent("saved");
    return c.text("done");
  });
  await withWords(honoHandler(hono), async ({ ask, saved, reported }) => {
    for (const method of ["GET", "HEAD", "OPTIONS"]) {
      assert.equal((await ask(method)).status, 500);
      assert.match(
        String(reported.pop()),
        new RegExp(`^TypeError: Cannot save .* a ${method} .* POST`),
      );
    }
    assert.deepEqual(await saved(), []);
  });
});

test("respond keeps the header fields of middleware and of the route, none of them twice", async () => {
  const hono = new Hono<WordsEnv>();
  hono.use(async (c, next) => {
    c.header("x-before", "1");
    setCookie(c, "a", "1");
    await next();
    c.header("x-after", "2");
    c.res.headers.append("set-cookie", "b=2");
  });
  hono.post("/text", (c) => {
    c.header("x-route", "3");
    c.env.saveEvent("saved");
    return c.env.respond((words) => c.text(`${words.length}`, 201, { "x-made": "4" }));
  });
  hono.post("/plain", (c) => {
    c.header("x-route", "3");
    c.env.saveEvent("saved");
    const headers = { "x-made": "4", "x-after": "not yet", "set-cookie": "c=3" };
    return c.env.respond((words) => new Response(`${words.length}`, { status: 201, headers }));
  });
  await withWords(honoHandler(hono), async ({ ask }) => {
    for (const [path, text] of [["/text", "1"], ["/plain", "2"]] as const) {
      const answer = await ask("POST", path);
      assert.deepEqual([answer.status, answer.text], [201, text]);
      const fields = ["x-before", "x-after", "x-route", "x-made"];
      assert.deepEqual(fields.map((name) => answer.headers.get(name)), ["1", "2", "3", "4"]);
      const cookies = answer.headers.getSetCookie().sort();
      assert.deepEqual(cookies, ["a=1; Path=/", "b=2", ...(path === "/plain" ? ["c=3"] : [])]);
    }
  });
});

test("an answer of respond whose body a middleware reads is an error, and saves nothing", async () => {
  const readers: MiddlewareHandler[] = [
    async (c, next) => {
      await next();
      await c.res.clone().text();
    },
    async (c, next) => {
      await next();
      c.res = new Response(c.res.body?.pipeThrough(new TransformStream()) ?? null, c.res);
    },
    async (c, next) => {
      await next();
      c.res.clone();
    },
  ];
  for (const reader of readers) {
    const hono = new Hono<WordsEnv>();
    hono.use(reader);
    hono.route("/", saving((c) => c.env.respond(() => c.text("made"))));
    await withWords(honoHandler(hono), async ({ ask, saved, reported }) => {
      assert.equal((await ask("POST")).status, 500);
      assert.match(String(reported), /^TypeError: Cannot read the answer of respond: /);
      assert.equal(reported.length, 1);
      assert.deepEqual(await saved(), []);
    });
  }
});

test("an answer of respond that a middleware replaces is not made", async () => {
  const hono = new Hono<WordsEnv>();
  hono.use(async (c, next) => {
    await next();
    c.res = new Response("replaced");
  });
  hono.route("/", saving((c) => c.env.respond(() => assert.fail("it is made"))));
  await withWords(honoHandler(hono), async ({ ask, saved }) => {
    assert.equal((await ask("POST")).text, "replaced");
    assert.deepEqual(await saved(), ["saved"]);
  });
});

test("respond makes nothing but a Response", async () => {
  // What html`` gives to c.html makes a promise of it.
  const made = Promise.resolve(new Response()) as unknown as Response;
  const hono = saving((c) => c.env.respond(() => made));
  await withWords(honoHandler(hono), async ({ ask, saved, reported }) => {
    assert.equal((await ask("POST")).status, 500);
    assert.match(
      String(reported),
      /respond must return a Response, not an object of class Promise/,
    );
    assert.deepEqual(await saved(), []);
  });
});

test("routes know their paths and parameters, also those that are added later", async () => {
  const hono = new Hono<WordsEnv>();
  const handler = honoHandler(hono);
  hono.use("/books/:shelf/*", async (c, next) => {
    await next();
    c.header("x-shelf", c.req.param("shelf"));
  });
  const books = new Hono<WordsEnv>().basePath("/:shelf");
  books.get(
    "/:title",
    (c) => c.text(`${routePath(c)} ${c.req.param("shelf")} ${c.req.param("title")}`),
  );
  hono.route("/books", books);
  hono.notFound((c) => c.text("nothing here", 404));
  await withWords(handler, async ({ ask }) => {
    const { text, headers } = await ask("GET", "/books/2/emma");
    assert.equal(text, "/books/:shelf/:title 2 emma");
    assert.equal(headers.get("x-shelf"), "2");
    assert.equal((await ask("GET", "/films")).text, "nothing here");
  });
});

test("a route may ask the application again, and what fails there saves nothing", async () => {
  const hono = new Hono<WordsEnv>();
  hono.use(methodOverride({ app: hono, query: "method" }));
  hono.delete("/", (c) => {
    c.env.saveEvent("deleted");
    c.header("x-a", "b");
    return c.env.respond((words) => c.text(words.join()));
  });
  hono.delete("/fail", (c) => {
    c.env.saveEvent("failed");
    throw thrown;
  });
  hono.all("/try", async (c) => {
    const { status } = await hono.request("/fail", { method: "DELETE" }, c.env);
    return c.text(`it said ${status}`);
  });
  await withWords(honoHandler(hono), async ({ ask, saved, reported }) => {
    const { text, headers } = await ask("POST", "/?method=DELETE");
    assert.deepEqual([text, headers.get("x-a")], ["deleted", "b"]);
    const failed = await ask("POST", "/fail?method=DELETE");
    assert.deepEqual([failed.status, failed.text], [500, "page for 500: "]);
    assert.deepEqual(reported, [thrown]);
    for (const method of ["GET", "POST"]) {
      assert.equal((await ask(method, "/try")).text, "it said 500");
    }
    assert.deepEqual(await saved(), ["deleted"]);
  });
});

test("an engine is not closed before what a route gave to waitUntil has settled", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const steps: string[] = [];
  const hono = new Hono<WordsEnv>();
  hono.get("/", (c) => {
    c.executionCtx.waitUntil(promise.then(() => void steps.push("settled")));
    return c.text(`${c.env.signal.aborted} ${c.env.remoteAddress}`);
  });
  await withWords(honoHandler(hono), async ({ ask, engine }) => {
    assert.equal((await ask("GET")).text, "false undefined");
    const closed = engine.close().then(() => steps.push("closed"));
    resolve();
    await closed;
  });
  assert.deepEqual(steps, ["settled", "closed"]);
});

test("a stream of Hono arrives whole, from a write too", async () => {
  const hono = saving((c) =>
    streamText(c, async (stream) => {
      for (const word of ["one ", "two"]) await stream.write(word);
    })
  );
  for (const style of STYLES) {
    await withWords(honoHandler(hono), async ({ ask, saved }) => {
      assert.equal((await ask("POST")).text, "one two");
      assert.deepEqual(await saved(), ["saved"]);
    }, style);
  }
});

test("a Hono application can still be asked without an engine", async () => {
  const hono = saving((c) => c.text(c.env.model.join()));
  honoHandler(hono);
  honoHandler(hono);
  const saved: string[] = [];
  const env = { model: ["a", "b"], saveEvent: (word: string) => void saved.push(word) };
  const response = await hono.request("/", { method: "POST" }, env);
  assert.deepEqual([await response.text(), saved], ["a,b", ["saved"]]);
});

test("honoHandler refuses what is no Hono application", () => {
  for (const value of [undefined, {}, () => new Response()]) {
    const notHono = value as unknown as Hono<WordsEnv>; // As JavaScript would let it.
    assert.throws(() => honoHandler(notHono), /^TypeError: Cannot make a handler: /);
  }
});
