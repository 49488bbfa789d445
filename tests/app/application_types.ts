/**
 * What the types of an application promise. Nothing here runs: each line that must not compile
 * says so, and the type check fails if it does.
 */

import {
  type App,
  bytes,
  type Codec,
  defineApp,
  json,
  type LifecycleStep,
  memoryLog,
  openEngine,
  type RequestStep,
  serve,
} from "../../mod.ts";

/** Holds only for types that are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true
  : false;
const same = <A, B>(_same: Same<A, B>): void => {};

interface Todo {
  title: string;
  done: boolean;
}
type Event = { add: string } | { done: number };

// The model and the event are inferred.
const todos = defineApp({
  initModel: () => ({ todos: [] as Todo[], byTitle: new Map<string, Todo>() }),
  updateModel: (model, events: readonly Event[]) => {
    for (const event of events) {
      if ("add" in event) model.todos.push({ title: event.add, done: false });
    }
    return model;
  },
  handleRequest: (_request, model, context) => {
    // The model is read-only, all the way down.
    // @ts-expect-error: a property
    model.todos = [];
    // @ts-expect-error: an element's property
    if (model.todos[0]) model.todos[0].done = true;
    // @ts-expect-error: a method that changes an array
    model.todos.push({ title: "", done: false });
    // @ts-expect-error: a method that changes a map
    model.byTitle.set("", { title: "", done: false });
    // @ts-expect-error: saveEvent is not there until the method is known
    context.saveEvent({ add: "milk" });
    if (context.method === "GET") {
      same<typeof context.saveEvent, undefined>(true);
      return new Response(String(model.todos.length));
    }
    if (context.method === "POST") {
      context.saveEvent({ add: "milk" });
      // @ts-expect-error: no such event
      context.saveEvent({ remove: 1 });
      return (model) => new Response(String(model.todos.length));
    }
    context.saveEvent?.({ done: 1 });
    return new Response();
  },
});
same<typeof todos, App<{ todos: Todo[]; byTitle: Map<string, Todo> }, Event>>(true);

// Destructured, saveEvent is there for a write method without a `!`.
defineApp<string, Uint8Array>({
  initModel: () => "World",
  updateModel: (name) => name,
  handleRequest: (_request, name, { method, saveEvent }) => {
    if (method === "GET" || method === "HEAD") return new Response(name);
    if (method !== "POST") return new Response(null, { status: 405 });
    saveEvent(new Uint8Array());
    return new Response();
  },
  codec: bytes,
});

// @ts-expect-error: a Uint8Array is not JSON, so a codec must be given
defineApp<string, Uint8Array>({
  initModel: () => "",
  updateModel: (name) => name,
  handleRequest: () => new Response(),
});

// @ts-expect-error: neither is a Date, however deep
defineApp<number, { at: { time: Date } }>({
  initModel: () => 0,
  updateModel: (count) => count,
  handleRequest: () => new Response(),
});

// A type that contains itself is JSON, and `json` may be named.
interface Tree {
  readonly name: string;
  readonly children?: readonly Tree[];
}
defineApp<Tree, Tree>({
  initModel: () => ({ name: "root" }),
  updateModel: (_model, events) => events.at(-1) ?? { name: "root" },
  handleRequest: (_request, model) => new Response(model.children?.[0]?.name),
  codec: json,
});

// The event is inferred from a codec.
declare const dates: Codec<Date>;
const calendar = defineApp({
  initModel: (): Date[] => [],
  updateModel: (model, events) => [...model, ...events],
  handleRequest: () => new Response(),
  codec: dates,
});
same<typeof calendar, App<Date[], Date>>(true);

defineApp({
  initModel: () => 0,
  // @ts-expect-error: updateModel returns the model
  updateModel: (_count, _events: readonly string[]) => "one",
  handleRequest: () => new Response(),
});

// A step that knows no model goes with every application; one that does knows which.
const forAll: RequestStep = {
  request(request, context) {
    same<typeof context.saveEvent, undefined>(true);
    return context.method === "GET" ? undefined : new Request(request.url);
  },
  finish: (_request, response, { isComplete }) => void [response.status, isComplete],
};
const forNumbers: LifecycleStep<number, string> = {
  start: async (app) => void await app.write((count, { saveEvent }) => saveEvent(`${count}`)),
};
const stepped = defineApp({
  initModel: () => 0,
  updateModel: (count, events: readonly string[]) => count + events.length,
  handleRequest: () => new Response(),
  lifecycle: [forAll, forNumbers, {
    async stop(app) {
      same<number, Awaited<ReturnType<typeof app.read<number>>>>(true);
      await app.write((count, { saveEvent }) => {
        // @ts-expect-error: no such event
        saveEvent(1);
        return count + 1;
      });
    },
  }],
});
const forNone: RequestStep = {
  // @ts-expect-error: neither an answer nor a request
  request: () => "text",
};
same<typeof stepped, App<number, string>>(true);
void forNone;

defineApp({
  initModel: () => "",
  updateModel: (text: string, events: readonly string[]) => text + events.join(""),
  handleRequest: () => new Response(),
  // @ts-expect-error: a step of another model
  lifecycle: [forNumbers],
});

/** What an engine gives back is typed by what was asked of it. */
export async function useEngine(): Promise<void> {
  const engine = await openEngine(todos, { log: memoryLog() });
  same<number, Awaited<ReturnType<typeof engine.read<number>>>>(true);
  const { result, position } = await engine.write((model, { saveEvent }) => {
    // @ts-expect-error: read-only here too
    model.todos.length = 0;
    saveEvent({ add: "bread" });
    return (model) => model.todos.length;
  });
  same<typeof result, number>(true);
  same<typeof position, string>(true);
  await serve((request) => new Response(request.url), { addr: ":0" });
  const serving = await serve(todos, { module: import.meta.url, addr: ":0" });
  await serving.engine.close();
}
