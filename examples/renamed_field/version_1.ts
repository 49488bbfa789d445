/**
 * An address book, as it was first written: POST adds a contact, GET lists them. What became of it
 * is in `main.ts`.
 */

import { defineApp, HttpError, serve } from "alcedo";

interface Contact {
  readonly name: string;
  readonly mail: string;
}

const app = defineApp({
  initModel: (): readonly Contact[] => [],
  updateModel: (contacts, events: readonly Contact[]) => [...contacts, ...events],
  handleRequest: async (request, contacts, { saveEvent }) => {
    if (saveEvent === undefined) return Response.json(contacts);
    const { name, mail } = await request.json();
    if (typeof name !== "string" || typeof mail !== "string") {
      throw new HttpError(400, "a contact has a name and a mail");
    }
    saveEvent({ name, mail });
    return new Response("added\n");
  },
  modelVersion: "1",
});
export default app;

if (import.meta.main) await serve(app, { module: import.meta.url });
