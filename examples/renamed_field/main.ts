/**
 * The address book of `version_1.ts`, a year later: what was `mail` is `email` now, in the model
 * and in new events. It goes on with the log of version 1, in which the old name stays forever.
 */

import { type Codec, defineApp, HttpError, json, serve } from "alcedo";

interface Contact {
  readonly name: string;
  readonly email: string;
}

/** What version 1 has saved. */
interface OldContact {
  readonly name: string;
  readonly mail: string;
}

function renamed(contact: Contact | OldContact): Contact {
  return "mail" in contact ? { name: contact.name, email: contact.mail } : contact;
}

// All that reads the log (the start, followers, the command `events`) reads through the codec, so
// nothing else has to know the old name.
const codec: Codec<Contact> = {
  encode: json.encode,
  decode: (bytes) => renamed(json.decode(bytes)),
};

const app = defineApp({
  initModel: (): readonly Contact[] => [],
  updateModel: (contacts, events: readonly Contact[]) => [...contacts, ...events],
  handleRequest: async (request, contacts, { saveEvent }) => {
    if (saveEvent === undefined) return Response.json(contacts);
    const { name, email } = await request.json();
    if (typeof name !== "string" || typeof email !== "string") {
      throw new HttpError(400, "a contact has a name and an email");
    }
    saveEvent({ name, email });
    return new Response("added\n");
  },
  codec,
  // The same events make another model now: a snapshot of version 1 has contacts with a `mail`.
  modelVersion: "2",
});
export default app;

if (import.meta.main) await serve(app, { module: import.meta.url });
