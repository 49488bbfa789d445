/**
 * A guestbook: Hono has the routes, the model has the entries. It works without JavaScript, and
 * sends none; its pages are in `page.ts`.
 */

import { defineApp, type HonoEnv, honoHandler, HttpError, serve } from "alcedo";
import { Hono } from "hono";
import {
  type Entry,
  errorPage,
  type Field,
  guestbookPage,
  MESSAGE_LENGTH_MAX,
  NAME_LENGTH_MAX,
} from "./page.ts";
import { POLICY } from "./style.ts";

/** Somebody has signed. An event of another kind would be told from it by its type. */
interface Signed extends Entry {
  readonly type: "signed";
}

const hono = new Hono<HonoEnv<readonly Entry[], Signed>>();

hono.use(async (c, next) => {
  await next();
  c.header("content-security-policy", POLICY);
});

hono.get("/", (c) => c.html(guestbookPage(c.env.model, Number(c.req.query("before")))));

hono.post("/", async (c) => {
  const form = new URLSearchParams(await c.req.text());
  // A name is one line, whoever sends it; the lines of a message end as they do in a browser's
  // text field, which counts them so, and not as they are sent.
  const name = field("your name", form.get("name")?.replace(/\s+/g, " "), NAME_LENGTH_MAX);
  const message = field(
    "a message",
    form.get("message")?.replace(/\r\n?/g, "\n"),
    MESSAGE_LENGTH_MAX,
  );
  if (name.problem !== undefined || message.problem !== undefined) {
    return c.html(guestbookPage(c.env.model, NaN, { name, message }), 422);
  }
  // The time is told here, once, and stays: `updateModel` runs again whenever the log is replayed.
  const at = new Date().toISOString();
  c.env.saveEvent({ type: "signed", name: name.text, message: message.text, at });
  return c.env.respond((entries) => c.redirect(`/#entry-${entries.length}`, 303));
});

hono.notFound(() => {
  throw new HttpError(404);
});

/** What was typed into a field, and what is wrong with it. */
function field(what: string, typed: string | undefined, lengthMax: number): Field {
  const text = typed?.trim() ?? "";
  if (text === "") return { text, problem: `Please write ${what}.` };
  if (text.length <= lengthMax) return { text, problem: undefined };
  return { text, problem: `These are ${text.length} characters; ${lengthMax} fit.` };
}

const app = defineApp({
  initModel: (): readonly Entry[] => [],
  updateModel: (entries, events: readonly Signed[]) => [
    ...entries,
    ...events.map(({ name, message, at }) => ({ name, message, at })),
  ],
  handleRequest: honoHandler(hono),
  modelVersion: "1",
  // For routes that throw, as for what Alcedo itself refuses: a body of 5 MB, a disk that is full.
  errors: {
    default: async ({ status }) =>
      new Response(String(await errorPage(status)), {
        headers: { "content-type": "text/html;charset=utf-8", "content-security-policy": POLICY },
      }),
  },
});
export default app;

if (import.meta.main) await serve(app, { module: import.meta.url });
