/**
 * The conformance suite of server adapters: what a server must do on the wire and show its
 * handler, case by case, over raw sockets. It needs no test runner; any can run it. The cases are
 * in `conformance/`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { bodyCases } from "./conformance/bodies.ts";
import { connectionCases } from "./conformance/connections.ts";
import { endCases } from "./conformance/ends.ts";
import { failureCases } from "./conformance/failures.ts";
import { leavingCases } from "./conformance/leaving.ts";
import { limitCases } from "./conformance/limits.ts";
import { malformedCases } from "./conformance/malformed.ts";
import { messageCases } from "./conformance/messages.ts";
import { proxyCases } from "./conformance/proxies.ts";
import { stoppingCases } from "./conformance/stopping.ts";
import type { TlsOptions } from "../runtime/http/fetch_handler.ts";
import { targetCases } from "./conformance/targets.ts";
import { type AddCase, type StartServer, Trial } from "./conformance/trial.ts";
import { tunnelCases } from "./conformance/tunnels.ts";

export type { StartServer };

/** Milliseconds after which a case has failed: a hundred times what the slowest takes. */
const CASE_MS = 20_000;

/** One statement about a server, and how to find out whether it holds. */
export interface ConformanceCase {
  /** What is stated; no two cases say the same. */
  readonly name: string;
  /** Resolves if it holds, rejects with an assertion's error if not. */
  run(): Promise<void>;
}

/** A case that an adapter cannot pass, because of what the platform's own server does. */
export interface ConformanceGap {
  /** The case's name. */
  readonly name: string;
  /** What the platform's server does instead. */
  readonly why: string;
}

/** Options of {@linkcode conformance}. */
export interface ConformanceOptions {
  /**
   * The gaps of the platform. Such a case passes if it fails on the adapter and on `bare` alike,
   * with the same bytes from both: a gap that has healed is a failure.
   * @default []
   */
  gaps?: readonly ConformanceGap[];
  /** Starts the platform's own server, with nothing between it and the handler. */
  bare?: StartServer;
  /**
   * Runs all of it over TLS, as HTTP/1.1 there.
   * @default none
   */
  tls?: TlsOptions;
}

/**
 * The cases, for the server that `start` starts. Each starts servers of its own on free ports of
 * this machine and stops them, so they may be run in any order, and several at once.
 *
 * @throws {RangeError} if a gap is of no case, or is declared where there is no bare server.
 *
 * @example
 * ```ts
 * import { conformance, type StartServer } from "alcedo/conformance";
 * import { test } from "node:test";
 *
 * // In the test file of an adapter: `testAdapter(serve)`.
 * export function testAdapter(serve: StartServer): void {
 *   for (const { name, run } of conformance(serve)) test(name, run);
 * }
 * ```
 */
export function conformance(
  start: StartServer,
  options: ConformanceOptions = {},
): ConformanceCase[] {
  const { gaps = [], bare, tls } = options;
  const cases = allCases();
  for (const { name } of gaps) {
    if (!cases.has(name)) throw new RangeError(`Cannot declare the gap "${name}": no such case`);
  }
  const gapNames = new Set(gaps.map(({ name }) => name));
  return [...cases].map(([name, run]) => {
    if (!gapNames.has(name)) return { name, run: () => pass(run, new Trial(start, tls)) };
    if (bare === undefined) {
      throw new RangeError(`Cannot declare the gap "${name}": there is no bare server to show it`);
    }
    return { name, run: () => showGap(run, new Trial(start, tls), new Trial(bare, tls)) };
  });
}

type Run = Parameters<AddCase>[1];

function allCases(): Map<string, Run> {
  const cases = new Map<string, Run>();
  const add: AddCase = (name, run) => {
    assert.ok(!cases.has(name), `two cases are called "${name}"`);
    cases.set(name, run);
  };
  targetCases(add);
  messageCases(add);
  bodyCases(add);
  malformedCases(add);
  connectionCases(add);
  leavingCases(add);
  endCases(add);
  failureCases(add);
  limitCases(add);
  proxyCases(add);
  tunnelCases(add);
  stoppingCases(add);
  return cases;
}

async function pass(run: Run, trial: Trial): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`The case took more than ${CASE_MS} ms`));
      trial.leave();
    }, CASE_MS);
  });
  await Promise.race([run(trial), late]).finally(() => clearTimeout(timer));
}

/** Passes if `run` fails on both servers, and both have sent the same. */
async function showGap(run: Run, ours: Trial, theirs: Trial): Promise<void> {
  // At once: some take seconds to show that nothing comes.
  await Promise.all([
    assert.rejects(pass(run, ours), "the gap has healed: it is none any more"),
    assert.rejects(pass(run, theirs), "the gap is ours: the bare server has none"),
  ]);
  assert.deepEqual(ours.received(), theirs.received(), "the bare server sends something else");
}
