/**
 * Clients of `tests/support/register_app.ts` over HTTP: each does one operation after the other
 * and records what came of it. What an answer means for the history is said here and nowhere else.
 *
 * They speak over connections of their own (`raw_client.ts`): clients like `fetch` may send a
 * request twice, and then the second is nobody's.
 */

import assert from "node:assert/strict";
import { Random } from "../support/random.ts";
import { RawClient, type RawResponse, valuesOf } from "../../adapters/conformance/raw_client.ts";
import type { Change, Register, Way } from "../support/register_app.ts";
import type { Recorder } from "./history.ts";
import { ABSENT, type Input, type Output } from "./register.ts";

/** Keys that are in use at a time: few, so that clients meet. */
const KEYS = 5;
/** Operations on a key, before another takes its place: it bounds the search of the checker. */
const CALLS_PER_KEY_MAX = 300;
/** Calls at most until the server is killed after its log has failed: all writes are refused then. */
const CALLS_WHEN_READ_ONLY = 30;

/** How often, out of all operations; the rest are reads. */
const PUTS = 0.2;
const COMPARES = 0.2;
const INCREMENTS = 0.2;
/** How often, out of all writes. */
const LEAVES = 0.02;
const WAYS: readonly (readonly [Way, number])[] = [
  ["made before", 0.1],
  ["slow", 0.08],
  ["throws", 0.05],
  ["poison", 0.01],
  ["too slow", 0.002],
];

/** What the clients of all servers of one run share. */
export class Workload {
  readonly random: Random;
  readonly recorder: Recorder<Input, Output>;
  /** How many outcomes there were of each kind; of reads there are no unknown ones. */
  readonly outcomes: Record<"answered" | "failed" | "unknown", number> = {
    answered: 0,
    failed: 0,
    unknown: 0,
  };
  readonly #calls: number[] = [];
  readonly #active: number[] = [];
  /** The newest value that anyone has seen. */
  readonly #values = new Map<string, string | null>();
  #written = 0;

  constructor(seed: number, recorder: Recorder<Input, Output>) {
    this.random = new Random(seed);
    this.recorder = recorder;
    for (let i = 0; i < KEYS; i++) this.#active.push(this.#newKey());
  }

  /** All keys that there ever were. */
  get keys(): string[] {
    return this.#calls.map((_, i) => `k${i}`);
  }

  /** The keys in use. */
  get active(): string[] {
    return this.#active.map((i) => `k${i}`);
  }

  /** One of the keys in use. */
  key(): string {
    const slot = this.random.upTo(KEYS - 1);
    const index = this.#active[slot] ?? 0;
    const calls = (this.#calls[index] ?? 0) + 1;
    this.#calls[index] = calls;
    if (calls === CALLS_PER_KEY_MAX) this.#active[slot] = this.#newKey();
    return `k${index}`;
  }

  /** What to do with a key. */
  input(key: string): Input {
    let draw = this.random.next();
    if ((draw -= PUTS) < 0) return { kind: "put", value: this.#newValue() };
    if ((draw -= INCREMENTS) < 0) return { kind: "increment", by: 1 + this.random.upTo(8) };
    if ((draw -= COMPARES) >= 0) return { kind: "get" };
    const expected = this.#values.get(key) ?? null;
    return { kind: "compare and set", expected, value: this.#newValue() };
  }

  way(): Way {
    let draw = this.random.next();
    return WAYS.find(([, share]) => (draw -= share) < 0)?.[0] ?? "made of the new model";
  }

  /** Notes what a client has seen, for the next compare-and-set. */
  saw(key: string, output: Output): void {
    const value = output.seen?.value;
    if (value !== undefined) this.#values.set(key, value);
  }

  #newKey(): number {
    return this.#calls.push(0) - 1;
  }

  #newValue(): string {
    return `v${this.#written++}`;
  }
}

/** One server, from its start to its end, as its clients see it. */
export class Life {
  readonly #workload: Workload;
  readonly #port: number;
  readonly #onEnough: () => void;
  #callsLeft: number;
  /** The log has failed: all writes are refused until a restart. */
  #isReadOnly = false;
  #isOver = false;

  /**
   * `onEnough` is called when so many calls were made; the clients go on until
   * {@linkcode end}.
   */
  constructor(workload: Workload, url: string, calls: number, onEnough: () => void) {
    this.#workload = workload;
    this.#port = Number(new URL(url).port);
    this.#callsLeft = calls;
    this.#onEnough = onEnough;
  }

  /** The server is about to end: connections that break from now on do so because of it. */
  end(): void {
    this.#isOver = true;
  }

  /** Reads `keys`. */
  async read(client: number, keys: readonly string[]): Promise<void> {
    const connection = new Connection(this.#port);
    for (const key of keys) await this.#do(client, connection, key, { kind: "get" });
    connection.leave();
  }

  /** Reads `keys`, and then does what the workload says. */
  async run(client: number, keys: readonly string[]): Promise<void> {
    await this.read(client, keys);
    const connection = new Connection(this.#port);
    while (!this.#isOver) {
      const key = this.#workload.key();
      const input = this.#isReadOnly ? { kind: "get" } as const : this.#workload.input(key);
      await this.#do(client, connection, key, input);
    }
    connection.leave();
  }

  async #do(client: number, connection: Connection, key: string, input: Input): Promise<void> {
    if (this.#isOver) return;
    const { random, recorder, outcomes } = this.#workload;
    const isRead = input.kind === "get";
    const way = this.#workload.way();
    const leaves = !isRead && random.chance(LEAVES);
    const request = isRead ? readRequest(key) : writeRequest(key, input, way);
    const call = recorder.call(client, key, input);
    if (--this.#callsLeft === 0) this.#onEnough();
    const response = await connection.ask(request, leaves);
    if (response === undefined) assert.ok(leaves || this.#isOver, "the connection broke by itself");
    const outcome = outcomeOf(response, way);
    if (typeof outcome !== "string") {
      call.answered(outcome);
      this.#workload.saw(key, outcome);
      outcomes.answered++;
    } else if (outcome === "failed" || isRead) {
      call.failed(); // A read that shows nothing says nothing.
      outcomes.failed++;
    } else {
      call.lost();
      outcomes.unknown++;
      if (response?.status === 503) this.#logFailed();
    }
  }

  #logFailed(): void {
    if (this.#isReadOnly) return;
    this.#isReadOnly = true;
    // At least one, or nobody would be told.
    this.#callsLeft = Math.min(this.#callsLeft, CALLS_WHEN_READ_ONLY);
  }
}

/** What a response, or that there is none, says about an operation. */
function outcomeOf(response: RawResponse | undefined, way: Way): Output | "failed" | "unknown" {
  if (response === undefined) return "unknown";
  const { status } = response;
  const seen = (): Register => JSON.parse(response.body.toString());
  switch (status) {
    case 200:
      return { done: true, seen: seen() };
    case 404:
      return { done: true, seen: ABSENT };
    case 409: // A page for an error shows no register.
      return isJson(response) ? { done: false, seen: seen() } : { done: false };
    case 422:
      assert.equal(way, "throws");
      return "failed";
    case 500:
      assert.equal(way, "poison");
      return "failed";
    case 507:
      return "failed";
    case 503:
      // To come again is worth while where nothing was done.
      return valuesOf(response, "retry-after").length > 0 ? "failed" : "unknown";
    case 504:
      return "unknown";
    default:
      throw new assert.AssertionError({ message: `nobody expects status ${status}` });
  }
}

function isJson(response: RawResponse): boolean {
  return valuesOf(response, "content-type").join().startsWith("application/json");
}

function readRequest(key: string): string {
  return `GET /${key} HTTP/1.1\r\nhost: test\r\n\r\n`;
}

function writeRequest(key: string, input: Exclude<Input, { kind: "get" }>, way: Way): string {
  const change: Change = input.kind === "increment"
    ? { by: input.by }
    : input.kind === "put"
    ? { value: input.value }
    : { value: input.value, expected: input.expected };
  const body = JSON.stringify(change);
  return `PUT /${key}?way=${encodeURIComponent(way)} HTTP/1.1\r\nhost: test\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

/** A connection that is made again when it is broken. */
class Connection {
  readonly #port: number;
  #client: RawClient | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** The response; undefined if none came, or not all of it, or the client `leaves` before. */
  async ask(request: string, leaves: boolean): Promise<RawResponse | undefined> {
    const client = this.#client ??= new RawClient(this.#port);
    client.send(request);
    if (leaves) {
      await new Promise((resolve) => setImmediate(resolve)); // Or nothing would be sent.
      this.leave();
      return undefined;
    }
    const response = await client.response().catch(() => undefined);
    const isWhole = response?.isWhole === true;
    if (!isWhole || valuesOf(response, "connection").includes("close")) this.leave();
    return isWhole ? response : undefined;
  }

  leave(): void {
    this.#client?.leave();
    this.#client = undefined;
  }
}
