/**
 * What the types of a Hono application promise. Nothing here runs: each line that must not compile
 * says so, and the type check fails if it does.
 */

import { Hono } from "hono";
import {
  type App,
  type DeepReadonly,
  defineApp,
  type Handler,
  type HonoEnv,
  honoHandler,
} from "../../mod.ts";

/** Holds only for types that are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true
  : false;
const same = <A, B>(_same: Same<A, B>): void => {};

interface Todo {
  title: string;
  done: boolean;
}
type Model = { todos: Todo[]; byTitle: Map<string, Todo> };
type Event = { add: string } | { done: number };

const hono = new Hono<HonoEnv<Model, Event>>()
  .get("/", (c) => {
    same<typeof c.env.model, DeepReadonly<Model>>(true);
    // @ts-expect-error: the model is read-only, all the way down
    c.env.model.todos.push({ title: "", done: false });
    // @ts-expect-error: and so is what holds it
    c.env.model = { todos: [], byTitle: new Map() };
    same<typeof c.env.remoteAddress, string | undefined>(true);
    return c.json(c.env.model.todos);
  })
  .post("/", (c) => {
    c.env.saveEvent({ add: "milk" });
    // @ts-expect-error: no such event
    c.env.saveEvent({ remove: 1 });
    // @ts-expect-error: an answer is made at once
    c.env.respond(() => Promise.resolve(new Response()));
    return c.env.respond((model) => {
      same<typeof model, DeepReadonly<Model>>(true);
      return c.text(`${model.todos.length}`, 201);
    });
  });

// The handler knows what the application is for.
const handler = honoHandler(hono);
same<typeof handler, Handler<Model, Event>>(true);
const todos = defineApp({
  initModel: (): Model => ({ todos: [], byTitle: new Map() }),
  updateModel: (model, _events: readonly Event[]) => model,
  handleRequest: handler,
});
same<typeof todos, App<Model, Event>>(true);

defineApp<number, Event>({
  initModel: () => 0,
  updateModel: (count) => count,
  // @ts-expect-error: its routes expect another model
  handleRequest: handler,
});
defineApp<Model, string>({
  initModel: () => ({ todos: [], byTitle: new Map() }),
  updateModel: (model) => model,
  // @ts-expect-error: its routes save other events
  handleRequest: handler,
});

// @ts-expect-error: its routes know nothing of a model
honoHandler(new Hono<{ Bindings: { KV: string } }>());

// Variables, base paths and joined applications are Hono's business.
type Signed = HonoEnv<number, string> & { Variables: { user: string } };
const signed = new Hono<Signed>().basePath("/api");
signed.use(async (c, next) => {
  c.set("user", c.env.remoteAddress ?? "nobody");
  await next();
});
signed.post("/", (c) => {
  c.env.saveEvent(c.var.user);
  return c.env.respond((count) => c.text(`${count}`));
});
const signedHandler = honoHandler(signed);
same<typeof signedHandler, Handler<number, string>>(true);
const joined = honoHandler(new Hono<HonoEnv<number, string>>().route("/", signed));
same<typeof joined, Handler<number, string>>(true);
