/** What is sent on a connection, and how: all of it follows from a seed and the connection's number. */

import { Random } from "../support/random.ts";
import { RUNTIME } from "../support/runtime.ts";
import { mutated } from "./mutations.ts";
import { requestText } from "./requests.ts";

/**
 * How a client ends a connection, when it has sent what it sends: it takes all that is owed to it
 * before; it leaves at once, with an end or a reset; it closes its half at once.
 */
export type Ending = "stay" | "leave" | "reset" | "half";

/** What is sent on a connection. */
export interface Plan {
  /** All of it, as characters that are bytes. */
  readonly sent: string;
  /** Where it is cut into pieces that are sent one by one. */
  readonly cuts: readonly number[];
  /** Whether each request waits for the answer to the one before. */
  readonly isPaced: boolean;
  readonly ending: Ending;
}

const REQUESTS_MAX = 7;
const ENDINGS: readonly Ending[] = ["stay", "stay", "stay", "leave", "reset", "half"];
const MUTATED = 0.6;
/** Of the connections that a client leaves, those that it leaves somewhere within a request. */
const CUT_OFF = 0.7;
/** Bun's server refuses what is pipelined, but for requests that are answered at once. */
const PACED = RUNTIME === "bun" ? 0.8 : 0.3;

/** What connection `index` sends, and how many requests that was made of. */
export function planOf(seed: number, index: number): { plan: Plan; requests: number } {
  const random = new Random(Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b));
  const requests = 1 + random.upTo(REQUESTS_MAX - 1);
  let sent = "";
  for (let i = 0; i < requests; i++) {
    sent += requestText(random, { id: `c${index}.${i}`, isLast: i === requests - 1 });
  }
  if (random.chance(MUTATED)) sent = mutated(sent, random);
  const ending = random.of(ENDINGS);
  if (ending !== "stay" && random.chance(CUT_OFF)) sent = sent.slice(0, random.upTo(sent.length));
  const cuts = Array.from({ length: random.of([0, 0, 1, 2, 5]) }, () => random.upTo(sent.length));
  const isPaced = random.chance(PACED);
  return { plan: { sent, cuts: cuts.sort((a, b) => a - b), isPaced, ending }, requests };
}
