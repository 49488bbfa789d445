/**
 * One connection of the campaign: what is sent on it and how it ends, what came back, and whether
 * that is what the requests on it are to be answered with.
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { RUNTIME } from "../support/runtime.ts";
import { type Answer, AnswerReader } from "./answers.ts";
import { expectationOf } from "./expectations.ts";
import type { Ending, Plan } from "./plans.ts";
import { read, type Reading, type ReadRequest } from "./reading.ts";

/** What came of it. */
export interface Outcome {
  readonly plan: Plan;
  readonly reading: Reading;
  readonly answers: readonly Answer[];
  /** Whether the server has closed the connection. */
  readonly isClosed: boolean;
}

/** Milliseconds for what must come, on a slow machine; and for what may come or not. */
const MUST_MS = 20_000;
const MAY_MS = 20;

/**
 * What servers send at once, also in the middle of an answer to what came before. Bun's refuses so
 * what it cannot read and what comes too early, and forgets the rest of the answer. Deno's lets the
 * interim answer to a request overtake what it has not flushed of the last one.
 */
const MISPLACED = {
  bun: /HTTP\/1\.1 [45]\d\d [\w ]+\r\nConnection: close\r\n\r\n$/,
  deno: /HTTP\/1\.1 100 Continue\r\n\r\n/g,
  node: undefined,
}[RUNTIME];
/** Deno's server does not read on when the client has closed its half: see `tests/adapters/gaps.ts`. */
const isLost = ({ status }: Answer): boolean => RUNTIME === "deno" && status === 400;
const isForgotten = (answer: Answer | undefined): boolean =>
  RUNTIME === "bun" && (answer === undefined || !answer.isWhole);

/** With which a client may begin to speak another protocol, if a server knows it. */
const HTTP_2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Bun's server takes a trailer for the next request: see `tests/adapters/gaps.ts`. */
const knowsTrailers = RUNTIME !== "bun";

/** Opens a connection to `port`, and does what is planned. */
export async function exchange(port: number, plan: Plan): Promise<Outcome> {
  const reading = read(plan.sent, { knowsTrailers });
  const { requests, rest, closes } = reading;
  const methods = requests.map(({ method }) => method);
  const client = new Client(port, methods, plan.ending);
  const outcome = () => (
    { plan, reading, answers: client.answers, isClosed: client.isClosed }
  );
  try {
    let sent = 0;
    if (plan.isPaced) {
      for (const [i, { end }] of requests.entries()) {
        client.send(plan.sent.slice(sent, end));
        sent = end;
        if (i === requests.length - 1 && plan.ending !== "stay") break;
        if (!await client.until(() => client.answers.length > i, MUST_MS)) return outcome();
      }
    } else {
      // A server that cuts an answer off, or closes because of the rest, may reset the connection of
      // who sends on, and what it had answered before is lost then. So that is sent at once.
      const cut = requests.find((request) => expectationOf(request).isCut);
      const sure = rest === "nothing" ? plan.sent.length : requests.at(-1)?.end ?? 0;
      const safe = Math.min(sure, (cut?.end ?? Infinity) - 1);
      for (const cut of plan.cuts.filter((cut) => cut <= safe)) {
        client.send(plan.sent.slice(sent, cut));
        sent = cut;
        await setImmediate();
      }
    }
    await client.sendLast(plan.sent.slice(sent));
    switch (plan.ending) {
      case "leave":
        return outcome();
      case "reset":
        client.reset();
        return outcome();
      case "half":
        client.end();
        await client.until(() => false, MAY_MS);
        return outcome();
    }
    const { length } = requests;
    if (!await client.until(() => client.answers.length >= length, MUST_MS)) return outcome();
    const isCut = requests.some((request) => expectationOf(request).isCut);
    if (closes || isCut) await client.until(() => false, MUST_MS);
    else if (rest !== "nothing") {
      await client.until(() => false, MAY_MS);
      client.end();
      await client.until(() => false, MAY_MS);
    }
    return outcome();
  } finally {
    client.leave();
  }
}

/** What is wrong with an outcome, if anything is. */
export function faultOf({ plan, reading, answers, isClosed }: Outcome): string | undefined {
  const { requests, rest, closes } = reading;
  const isPipelined = !plan.isPaced || plan.ending !== "stay";
  for (const [i, request] of requests.entries()) {
    const expectation = expectationOf(request);
    const answer = answers[i];
    if (isForgotten(answer) && isPipelined) return foreignId(plan, answers);
    if (answer === undefined) {
      const isExcused = plan.ending !== "stay" || isClosed && mayCloseBefore(i, requests, plan);
      return isExcused ? foreignId(plan, answers) : `request ${i} was not answered`;
    }
    if (isLost(answer) && plan.ending !== "stay" && request.body !== "") {
      return foreignId(plan, answers);
    }
    const fault = expectation.faultOf(answer);
    if (fault !== undefined) return `the answer to request ${i} is wrong: ${fault}`;
    if (expectation.isCut) return foreignId(plan, answers);
    if (!answer.isWhole && plan.ending === "stay") return `answer ${i} was cut off`;
  }
  if (answers.length > requests.length && (rest === "nothing" || rest === "closed")) {
    return `there are ${answers.length} answers to ${requests.length} requests`;
  }
  if (closes && plan.ending === "stay" && !isClosed) return "the connection was not closed";
  return foreignId(plan, answers);
}

/** Whether a server may have closed the connection before it answered request `i`. */
function mayCloseBefore(i: number, requests: readonly ReadRequest[], { sent }: Plan): boolean {
  const [request, ...before] = requests.slice(0, i + 1).reverse().map(expectationOf);
  // Rather than read a body that its handler has not.
  return before.some(({ isUnread }) => isUnread) ||
    // What fails before its turn has come is not even begun.
    request?.isCut === true ||
    // Servers that know it, and those that do not, drop everything for it.
    sent.includes(HTTP_2);
}

/** No answer names a request that was not made on its connection. */
function foreignId({ sent }: Plan, answers: readonly Answer[]): string | undefined {
  for (const { body } of answers) {
    for (const [id] of body.matchAll(/c\d+\.\d+/g)) {
      if (!sent.includes(id)) return `an answer is for ${id}, which was not asked here`;
    }
  }
  return undefined;
}

/** A socket, and the answers that came on it. */
class Client {
  readonly #socket: Socket;
  readonly #reader: AnswerReader;
  /** Whether what comes may be something else than HTTP/1.1. */
  #isOther = false;
  #wake = (): void => {};
  #fault: unknown = undefined;
  isClosed = false;

  constructor(port: number, methods: readonly string[], ending: Ending) {
    this.#reader = new AnswerReader(methods, { isPatient: ending === "stay" });
    this.#socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const close = (): void => {
      if (this.isClosed) return;
      this.isClosed = true;
      this.#read("");
    };
    this.#socket.on("data", (data: Buffer) => this.#take(data.toString("latin1")));
    this.#socket.on("end", close);
    this.#socket.on("error", close);
    this.#socket.on("close", close);
  }

  get answers(): readonly Answer[] {
    return this.#reader.answers;
  }

  #take(text: string): void {
    const rest = MISPLACED === undefined ? text : text.replace(MISPLACED, "");
    if (rest !== "" && !this.#isOther) this.#read(rest);
  }

  /** Reads more of what came; nothing is the end. */
  #read(text: string): void {
    try {
      this.#reader.add(text);
    } catch (error) {
      this.#fault = error;
    }
    this.#wake();
  }

  send(text: string): void {
    if (text.startsWith(HTTP_2)) this.#isOther = true;
    if (text !== "" && !this.isClosed) this.#socket.write(Buffer.from(text, "latin1"));
  }

  /** Resolves when all was handed to the system, or cannot be. */
  sendLast(text: string): Promise<void> {
    return new Promise((resolve) => {
      if (text.startsWith(HTTP_2)) this.#isOther = true;
      if (this.isClosed || this.#socket.destroyed) return resolve();
      this.#socket.once("close", () => resolve());
      this.#socket.write(Buffer.from(text, "latin1"), () => resolve());
    });
  }

  /**
   * Resolves when `condition` holds, the server has closed the connection, or the time is up: with
   * whether it holds.
   *
   * @throws {SyntaxError} if something came that is not HTTP.
   */
  async until(condition: () => boolean, ms: number): Promise<boolean> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, ms);
    while (!condition() && !this.isClosed && !isLate && this.#fault === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    clearTimeout(timer);
    if (this.#fault !== undefined) throw this.#fault;
    return condition();
  }

  end(): void {
    this.#socket.end();
  }

  leave(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }
}
