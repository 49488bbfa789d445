/** What a handler has answered, and nobody will get, is let go of: its body may hold a file open. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../../runtime/app.ts";
import { HttpError } from "../../runtime/errors.ts";
import { ask, run, type Running, words } from "../support/running.ts";

const TIMEOUT_MS = 50;

type Words = Running<string[], string>;

interface Case {
  readonly handleRequest: App<string[], string>["handleRequest"];
  readonly errors?: App<string[], string>["errors"];
  readonly method: "GET" | "POST";
  readonly status: number;
  /** What goes wrong beside. */
  readonly prepare?: (running: Words) => void;
}

/** Cases by what becomes of the answer; each makes one with `held`. */
function cases(held: () => Response, sleep: (ms: number) => Promise<void>): Record<string, Case> {
  const late = async (): Promise<Response> => {
    await sleep(2 * TIMEOUT_MS);
    return held();
  };
  return {
    "of a read that came too late": { handleRequest: late, method: "GET", status: 504 },
    "of a write that came too late": { handleRequest: late, method: "POST", status: 504 },
    "of a page that came too late": {
      handleRequest: () => Promise.reject(new HttpError(404, "none")),
      errors: { default: late },
      method: "GET",
      status: 404,
    },
    "of a write whose event is poison": {
      handleRequest(_request, _model, { saveEvent }) {
        saveEvent?.("poison");
        return held();
      },
      method: "POST",
      status: 500,
    },
    "of a write that the disk has no room for": {
      handleRequest(_request, _model, { saveEvent }) {
        saveEvent?.("word");
        return held();
      },
      method: "POST",
      status: 507,
      prepare: ({ faults }) => faults.nextAppends = "full",
    },
  };
}

for (const what of Object.keys(cases(() => new Response(), () => Promise.resolve()))) {
  test(`engine lets go of an answer ${what}`, async () => {
    let [made, dropped] = [0, 0];
    const held = (): Response => {
      made++;
      return new Response(new ReadableStream({ cancel: () => void dropped++ }));
    };
    const sleep = (ms: number): Promise<void> => running.clock.sleep(ms);
    const found = cases(held, sleep)[what];
    assert.ok(found !== undefined);
    const { handleRequest, errors = {}, method, status, prepare } = found;
    const app = words("pure", handleRequest, { errors });
    const running = await run(app, { requestTimeoutMs: TIMEOUT_MS });
    prepare?.(running);
    const answer = ask(running, method, "/");
    await running.clock.advance(4 * TIMEOUT_MS);
    assert.equal(answer.value?.status, status);
    assert.deepEqual([made, dropped], [1, 1]);
    await running.engine.close();
  });
}
