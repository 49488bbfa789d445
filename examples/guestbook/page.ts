/**
 * The pages of the guestbook. What is put into html`…` is escaped, but for what is html`…` itself.
 */

import { html } from "hono/html";
import { STYLE } from "./style.ts";

export const NAME_LENGTH_MAX = 60;
export const MESSAGE_LENGTH_MAX = 1000;

const ENTRIES_PER_PAGE = 50;

type Html = ReturnType<typeof html>;

/** Somebody's entry; `at` is a time in UTC, as `toISOString` writes it. */
export interface Entry {
  readonly name: string;
  readonly message: string;
  readonly at: string;
}

/** What somebody has typed into a field, and what is wrong with it. */
export interface Field {
  readonly text: string;
  readonly problem: string | undefined;
}

/** A form that was sent, and could not be taken. */
export interface Draft {
  readonly name: Field;
  readonly message: Field;
}

const EMPTY: Field = { text: "", problem: undefined };

/**
 * The form, and entries, the newest first: all that are older than the entry with the number
 * `before`, if it is one, as far as they fit on a page.
 */
export function guestbookPage(
  entries: readonly Entry[],
  before: number,
  { name, message }: Draft = { name: EMPTY, message: EMPTY },
): Html {
  const end = before > 1 && before <= entries.length ? Math.floor(before) - 1 : entries.length;
  const start = Math.max(0, end - ENTRIES_PER_PAGE);
  const shown = entries.slice(start, end).map((entry, index) =>
    entryItem(entry, start + index + 1)
  );
  const hasProblem = name.problem !== undefined || message.problem !== undefined;
  return page(
    hasProblem ? "Not signed yet · Guestbook" : "Guestbook",
    html`
      <h1>Guestbook</h1>
      <form method="post" action="/">
        <label for="name">Your name</label>
        ${problemOf("name", name)} ${nameInput(name)}
        <label for="message">Your message</label>
        ${problemOf("message", message)} ${messageInput(message)}
        <button>Sign the guestbook</button>
      </form>
      <section aria-labelledby="entries">
        <h2 id="entries">${count(entries.length)}</h2>
        <ol>${shown.reverse()}</ol>
        ${start > 0 && html`<a href="/?before=${start + 1}#entries">Older entries</a>`}
      </section>
    `,
  );
}

function nameInput(field: Field): Html {
  const attributes = html`maxlength="${NAME_LENGTH_MAX}" ${stateOf("name", field)}`;
  return html`<input id="name" name="name" value="${field.text}" ${attributes}>`;
}

function messageInput(field: Field): Html {
  const attributes = html`maxlength="${MESSAGE_LENGTH_MAX}" ${stateOf("message", field)}`;
  return html`
    <textarea id="message" name="message" rows="4" ${attributes}>${field.text}</textarea>
  `;
}

/** What both fields have, and how one that has a problem says so. */
function stateOf(id: string, { problem }: Field): Html {
  return problem === undefined
    ? html`required dir="auto"`
    : html`required dir="auto" aria-invalid="true" aria-describedby="${id}-problem" autofocus`;
}

function problemOf(id: string, { problem }: Field): Html | undefined {
  return problem === undefined
    ? undefined
    : html`<p id="${id}-problem" role="alert">${problem}</p>`;
}

const times = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "long",
  timeStyle: "short",
  timeZone: "UTC",
});

function entryItem({ name, message, at }: Entry, number: number): Html {
  return html`
    <li id="entry-${number}">
      <article>
        <h3 dir="auto">${name}</h3>
        <time datetime="${at}">${times.format(new Date(at))} UTC</time>
        <p dir="auto">${message}</p>
      </article>
    </li>
  `;
}

function count(entries: number): string {
  if (entries === 0) return "Nobody has signed yet";
  return entries === 1 ? "One entry" : `${entries} entries`;
}

const ERRORS: Readonly<Record<number, string>> = {
  404: "There is no such page.",
  413: "That was too much for one entry.",
};

/** The page for an error, by its status. */
export function errorPage(status: number): Html {
  const text = ERRORS[status] ?? "That did not work. Please try again in a while.";
  return page(
    "Guestbook",
    html`
      <h1>${text}</h1>
      <p><a href="/">To the guestbook</a></p>
    `,
  );
}

function page(title: string, main: Html): Html {
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>${title}</title>
        <style>${STYLE}</style>
      </head>
      <body>
        <main>${main}</main>
      </body>
    </html>
  `;
}
