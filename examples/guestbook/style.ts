/**
 * What the guestbook looks like, and the policy that lets browsers use this style and load nothing
 * else: a script that somebody managed to write into a page would not run.
 */

import { raw } from "hono/html";

const TEXT = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f3ec, #14191c);
  --sheet: light-dark(#fffdf8, #1d2428);
  --ink: light-dark(#22302f, #e6e3da);
  --faint: light-dark(#5c6866, #9da8a6);
  --line: light-dark(#ddd6c7, #354046);
  --blue: light-dark(#0b6477, #6cc5d9);
  --orange: light-dark(#b3450f, #f2935c);
}
* { box-sizing: border-box; }
body {
  margin: 0;
  background: var(--paper);
  color: var(--ink);
  font: 1.0625rem/1.55 system-ui, sans-serif;
}
main { max-width: 38rem; margin: auto; padding: clamp(1.5rem, 6vw, 4rem) 1.25rem; }
h1, h2, h3 { margin: 0; line-height: 1.2; font-family: Georgia, serif; font-weight: normal; }
h1 { font-size: clamp(2rem, 8vw, 2.75rem); }
h2 { margin: 3rem 0 1rem; font-size: 1.375rem; }
h3 { font-size: 1.1875rem; color: var(--blue); }
form { display: grid; margin-top: 1.5rem; }
label { margin-bottom: .25rem; font-weight: 600; }
input, textarea {
  width: 100%;
  margin-bottom: 1rem;
  padding: .625rem .75rem;
  border: 1px solid var(--faint);
  border-radius: .375rem;
  background: var(--sheet);
  color: inherit;
  font: inherit;
}
textarea { resize: vertical; }
[aria-invalid] { border-color: var(--orange); }
[role="alert"] { margin: 0 0 .375rem; color: var(--orange); font-weight: 600; }
button {
  justify-self: start;
  padding: .625rem 1.25rem;
  border: 0;
  border-radius: .375rem;
  background: var(--blue);
  color: var(--paper);
  font: inherit;
  font-weight: 600;
  cursor: pointer;
}
:focus-visible { outline: 3px solid var(--orange); outline-offset: 2px; }
a { color: var(--blue); }
ol { margin: 0 0 1.5rem; padding: 0; list-style: none; }
li {
  margin-bottom: .75rem;
  padding: 1rem 1.25rem;
  border: 1px solid var(--line);
  border-radius: .375rem;
  background: var(--sheet);
  overflow-wrap: anywhere;
}
li:target { border-color: var(--orange); }
time { color: var(--faint); font-size: .875rem; }
article p { margin: .5rem 0 0; white-space: pre-line; }
`;

/** The style sheet. */
export const STYLE: ReturnType<typeof raw> = raw(TEXT);

const hash = new Uint8Array(
  await crypto.subtle.digest("SHA-256", new TextEncoder().encode(TEXT)),
);

/** The content security policy of every page. */
export const POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${btoa(String.fromCharCode(...hash))}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");
