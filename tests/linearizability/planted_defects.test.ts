/**
 * Servers with a defect that only a client can notice: the whole harness, from the clients to the
 * checker, must find out each of them.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type Patch, withPatchedServer } from "../support/patched_runtime.ts";
import { type CampaignOptions, record } from "./campaign.ts";
import { check } from "./checker.ts";
import { register } from "./register.ts";

/** Most are found by the first; each begins with another seed. */
const CAMPAIGNS_MAX = 10;

async function finds(setting: Omit<CampaignOptions, "seed">): Promise<void> {
  for (let seed = 0; seed < CAMPAIGNS_MAX; seed++) {
    const { history } = await record({ ...setting, callsMin: 300, seed });
    const { kind } = check(history, register);
    if (kind === "not linearizable") return;
    assert.equal(kind, "linearizable");
  }
  assert.fail(`nothing was found in ${CAMPAIGNS_MAX} histories`);
}

function findsPatch(style: CampaignOptions["style"], patch: Patch): Promise<void> {
  return withPatchedServer(
    [patch],
    (folder) => finds({ style, kills: 1, app: join(folder, "tests/support/register_app.ts") }),
  );
}

test("harness finds a server whose log forgets what was answered for", () =>
  finds({ style: "in place", kills: 1, log: "forgets" }));

test("harness finds a server whose log keeps commits twice", () =>
  finds({ style: "pure", kills: 1, log: "repeats" }));

test("harness finds a server that overlooks the newest commit when it starts", () =>
  finds({ style: "in place", kills: 1, log: "overlooks" }));

test("harness finds a server that answers reads from a stale model", () =>
  findsPatch("pure", {
    file: "models.ts",
    from: /this\.#durable = version;/,
    to: "if (version.sequence % 4 !== 0) this.#durable = version;",
  }));

test("harness finds a server that handles writes with a stale model", () =>
  findsPatch("pure", {
    file: "writer.ts",
    from: /models\.newest;/,
    to: "models.durable;",
  }));

test("harness finds a server that keeps what updateModel did before it threw", () =>
  findsPatch("in place", {
    file: "writer.ts",
    from: /models\.isSpoiled\(after\)/,
    to: "false",
  }));
