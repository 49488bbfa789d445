/**
 * Visits the guestbook with Debian's Chromium, and prints what was seen there, as JSON. A program of
 * its own, because what drives the browser runs on Node alone, and what is tested on all three.
 *
 * Usage: node guestbook_browser.ts URL NAME MESSAGE
 */

import { argv } from "node:process";
import { type Browser, chromium, type Page } from "playwright-core";

/** What somebody saw who signed as NAME: first with an empty message, then with MESSAGE. */
export interface Visit {
  readonly refused: { status: number; problem: string | null; name: string };
  readonly signed: { status: number; name: string; message: string };
  /** Whether the style sheet is in use, and nothing is wider than the screen of a phone. */
  readonly isStyled: boolean;
  readonly fits: boolean;
  /** What the title of the page is where scripts are allowed, and after one was put into it. */
  readonly titles: string[];
  /** The same in a browser that knows nothing of content security policies. */
  readonly titlesWithoutPolicy: string[];
}

async function visit(browser: Browser, url: string, name: string, message: string): Promise<Visit> {
  const viewport = { width: 360, height: 740 };
  const context = await browser.newContext({ javaScriptEnabled: false, viewport });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel("Your name").fill(name);
  const refused = {
    status: await send(page, " "),
    problem: await page.getByRole("alert").textContent(),
    name: await page.getByLabel("Your name").inputValue(),
  };
  const status = await send(page, message);
  await page.waitForURL("**/#entry-1");
  const entry = page.getByRole("article").first();
  const signed = {
    status,
    name: await entry.getByRole("heading").innerText(),
    message: await entry.getByRole("paragraph").innerText(),
  };
  const seen = await page.evaluate(() => ({
    isStyled: getComputedStyle(document.body).marginTop === "0px",
    fits: document.documentElement.scrollWidth <= innerWidth,
  }));
  return {
    refused,
    signed,
    ...seen,
    titles: await titlesWithScripts(browser, url, { bypassCSP: false }),
    titlesWithoutPolicy: await titlesWithScripts(browser, url, { bypassCSP: true }),
  };
}

/** Sends the form, and returns the status of the answer, which may be a redirect. */
async function send(page: Page, message: string): Promise<number> {
  await page.getByLabel("Your message").fill(message);
  const answer = page.waitForResponse((response) => response.request().method() === "POST");
  await page.getByRole("button").click();
  return (await answer).status();
}

async function titlesWithScripts(
  browser: Browser,
  url: string,
  options: { bypassCSP: boolean },
): Promise<string[]> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(url);
  const title = await page.title();
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = 'document.title = "it ran"';
    document.body.append(script);
  });
  return [title, await page.title()];
}

const [url = "", name = "", message = ""] = argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
try {
  console.log(JSON.stringify(await visit(browser, url, name, message)));
} finally {
  await browser.close();
}
