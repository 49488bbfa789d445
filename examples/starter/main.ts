/**
 * A list of notes: GET shows it, POST adds one, DELETE /ID removes one.
 *
 * The list is in memory; every change of it is an event, and kept in the file db.events.
 */

import { defineApp, HttpError, serve } from "alcedo";

/** What can happen. What was saved stays in the log: add kinds, and leave the old ones as they are. */
type NoteEvent =
  | { readonly kind: "added"; readonly text: string }
  | { readonly kind: "removed"; readonly id: number };

interface Notes {
  lastId: number;
  readonly texts: Map<number, string>;
}

const app = defineApp({
  initModel: (): Notes => ({ lastId: 0, texts: new Map() }),

  updateModel(notes, events: readonly NoteEvent[]) {
    for (const event of events) {
      if (event.kind === "added") notes.texts.set(++notes.lastId, event.text);
      else notes.texts.delete(event.id);
    }
    return notes;
  },

  async handleRequest(request, { texts }, { method, saveEvent }) {
    switch (method) {
      case "GET":
        return Response.json([...texts].map(([id, text]) => ({ id, text })));
      case "POST": {
        const text = (await request.text()).trim();
        if (text === "") throw new HttpError(400, "a note has a text");
        saveEvent({ kind: "added", text });
        return ({ lastId }) => Response.json({ id: lastId, text }, { status: 201 });
      }
      case "DELETE": {
        const id = Number(new URL(request.url).pathname.slice(1));
        if (!texts.has(id)) throw new HttpError(404, "no such note");
        saveEvent({ kind: "removed", id });
        return new Response(null, { status: 204 });
      }
      default:
        throw new HttpError(405, "no such method", { headers: { allow: "GET, POST, DELETE" } });
    }
  },

  // Change it whenever the same events make another model: old snapshots are then passed over.
  modelVersion: "1",
});
export default app;

if (import.meta.main) await serve(app, { module: import.meta.url });
