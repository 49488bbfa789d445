/**
 * Fuzzes a real server: batches of connections with generated requests, most of them mutated. After
 * each batch a new connection finds the server as it has to be: it answers, it writes, its model has
 * what it must have and nothing else, it has reported what was meant and nothing else, all exchanges
 * are over and in the access log, and their files and sockets closed. In the end its memory is what
 * it was after a third.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeContents } from "../support/file_site.ts";
import { RUNTIME } from "../support/runtime.ts";
import {
  listening,
  ROOT,
  RUN,
  signal,
  type Started,
  startProgram,
  withFolder,
} from "../support/server_process.ts";
import { Claims } from "./claims.ts";
import { exchange, faultOf, type Outcome } from "./connection.ts";
import { expectationOf } from "./expectations.ts";
import type { Defect, State } from "./fuzzed_app.ts";
import { type Plan, planOf } from "./plans.ts";
import { FILES } from "./requests.ts";

/** Options of {@linkcode fuzz}. */
export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  /**
   * What is wrong with the application.
   * @default nothing
   */
  readonly defect?: Defect;
  /**
   * Milliseconds that the server may take to be done with connections that are gone.
   * @default {20_000}
   */
  readonly doneMs?: number;
}

/** What was done and measured. */
export interface FuzzFigures {
  readonly seed: number;
  readonly connections: number;
  readonly requests: number;
  /** Of them, those that were valid as they were sent; and those that were answered. */
  readonly valid: number;
  readonly answered: number;
  readonly seconds: number;
  /** Megabytes after a third, and at the end. */
  readonly heapMB: readonly [number, number];
  readonly rssMB: readonly [number, number];
}

const APP = "tests/fuzz/fuzzed_app.ts";
const ARGS = ["--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--access-log=json"];
/** Lets the application ask for a collection. */
const GC_FLAG = { node: ["--expose-gc"], deno: ["--v8-flags=--expose-gc"], bun: [] }[RUNTIME];

/** Connections between two looks at the server, and how many there are at a time. */
const BATCH = 400;
const CONCURRENCY = 48;
const DONE_MS = 20_000;
/** Descriptors that a server may open for itself after its first batch. */
const SPARE_FILES = 8;

/**
 * What the server may have more at the end than after a third, however many requests there were
 * between. All that was seen in objects is half a megabyte, after 20,000 as after 300,000: code
 * that was compiled meanwhile. In the process it is twenty to forty, which its allocator keeps.
 */
const HEAP_GROWTH_MB_MAX = 4;
const RSS_GROWTH_MB_MAX = 80;

/** Fuzzes a server of its own; rejects with the first thing that is wrong. */
export function fuzz(options: FuzzOptions): Promise<FuzzFigures> {
  return withFolder(async (folder) => {
    const files = join(folder, "files");
    writeContents(files, FILES);
    const [program = "", ...args] = [...RUN, ...GC_FLAG, join(ROOT, APP), ...ARGS];
    const env = options.defect === undefined ? {} : { FUZZ_DEFECT: options.defect };
    const server = startProgram(program, [...args, `--static=${files}`], { cwd: folder, env });
    try {
      const campaign = new Campaign(server, await listening(server), options);
      const figures = await campaign.run();
      signal(server, "SIGTERM");
      assert.equal((await server.ended).code, 0, server.stderr());
      return figures;
    } finally {
      server.child.kill("SIGKILL");
      await server.ended;
    }
  });
}

class Campaign {
  readonly #server: Started;
  readonly #port: number;
  readonly #options: FuzzOptions;
  readonly #entries = new Claims("the model", (entry) => entry.slice(entry.indexOf(" ") + 1));
  /** Paths are normalised: bytes are escaped, and Bun makes slashes of backslashes. */
  readonly #reports = new Claims(
    "standard error",
    (line) => line.replace(/^planted: /, "").replaceAll(/%[\dA-F]{2}|\//g, ""),
  );
  readonly #errorLines: Lines;
  readonly #accessLines: Lines;
  #accesses = 0;
  /** How many files and sockets may be open between two batches. */
  #filesMax: number | undefined;
  #connections = 0;
  #requests = 0;
  #valid = 0;
  #answered = 0;

  constructor(server: Started, url: string, options: FuzzOptions) {
    this.#server = server;
    this.#port = Number(new URL(url).port);
    this.#options = options;
    this.#errorLines = new Lines(server.takeStderr);
    this.#accessLines = new Lines(server.takeStdout);
    // Where the server listens, for both of its addresses.
    this.#errorLines.take();
    this.#accessLines.take();
  }

  async run(): Promise<FuzzFigures> {
    const { seed, requests } = this.#options;
    const started = performance.now();
    let warm: State | undefined;
    while (this.#requests < requests) {
      await this.#batch();
      if (this.#requests >= requests / 3) warm ??= await this.#state();
    }
    const states = [warm ?? await this.#state(), await this.#state()] as const;
    const inMB = (bytes: number) => Math.round(bytes / 2 ** 20 * 10) / 10;
    const figures: FuzzFigures = {
      seed,
      connections: this.#connections,
      requests: this.#requests,
      valid: this.#valid,
      answered: this.#answered,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      heapMB: [inMB(states[0].heapBytes), inMB(states[1].heapBytes)],
      rssMB: [inMB(states[0].rssBytes), inMB(states[1].rssBytes)],
    };
    const growth = ([before, after]: readonly [number, number]) => after - before;
    const said = JSON.stringify(figures);
    assert.ok(growth(figures.heapMB) < HEAP_GROWTH_MB_MAX, `its heap grows: ${said}`);
    assert.ok(growth(figures.rssMB) < RSS_GROWTH_MB_MAX, `its memory grows: ${said}`);
    return figures;
  }

  async #batch(): Promise<void> {
    const last = this.#connections + BATCH;
    await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
      while (this.#connections < last) await this.#connection(this.#connections++);
    }));
    await this.#look();
  }

  async #connection(index: number): Promise<void> {
    const { plan, requests } = planOf(this.#options.seed, index);
    this.#requests += requests;
    let outcome: Outcome;
    try {
      outcome = await exchange(this.#port, plan);
    } catch (error) {
      return this.#fail(index, plan, String(error));
    }
    const fault = faultOf(outcome);
    if (fault !== undefined) this.#fail(index, plan, fault, outcome);
    this.#claim(outcome);
  }

  #fail(index: number, { sent, ...how }: Plan, fault: string, outcome?: Outcome): never {
    const answers = outcome?.answers.map(({ status, body, isWhole }) => (
      { status, body: body.slice(0, 200), isWhole }
    ));
    assert.fail(
      `${this.#seed}, connection ${index}: ${fault}\n${JSON.stringify(how)}\n` +
        `sent ${JSON.stringify(sent.slice(0, 5000))}\n` +
        `read as ${JSON.stringify(outcome?.reading)?.slice(0, 5000)}\n` +
        `answers ${JSON.stringify(answers)}\n${this.#server.stderr()}`,
    );
  }

  /** What an outcome says of the model and the reports. */
  #claim({ plan, reading, answers }: Outcome): void {
    for (const [i, request] of reading.requests.entries()) {
      const { entry, report, isLate, isCut } = expectationOf(request);
      // With 400 if a client has left where that was not a fault.
      const isAnswered = answers[i] !== undefined && answers[i].status !== 400;
      this.#valid++;
      if (isAnswered) this.#answered++;
      if (entry !== undefined) this.#entries.claim(entry, isAnswered);
      // A stream that nobody reads, of HEAD or when the client has left, need not come to fail.
      const isSeen = isAnswered && (!isLate || isCut === true && plan.ending === "stay");
      if (report !== undefined) this.#reports.claim(report, isSeen);
    }
    if (reading.rest === "unclear") {
      this.#entries.doubt(plan.sent);
      this.#reports.doubt(plan.sent);
    }
  }

  /** Finds the server as it has to be. */
  async #look(): Promise<void> {
    const path = `/write/canary-${this.#connections}`;
    assert.equal(await this.#ask("GET", "/echo/canary"), "GET /echo/canary");
    assert.equal(await this.#ask("POST", path, "sings"), `saved ${path} 5`);
    this.#entries.claim(`${path} sings`, true);
    let exchanges = 0;
    await this.#until("all exchanges have ended", async () => {
      const { begun, finished, finishedTwice } = await this.#state();
      assert.equal(finishedTwice, 0, `${this.#seed}: an exchange was finished twice`);
      exchanges = finished;
      return begun === finished + 1; // This one.
    });
    await this.#until("all files and sockets are closed", () => {
      const files = readdirSync(`/proc/${this.#server.child.pid}/fd`).length;
      this.#filesMax ??= files + SPARE_FILES;
      return files <= this.#filesMax;
    });
    await this.#until("all exchanges are in the access log", () => {
      const lines = this.#accessLines.take();
      for (const line of lines) assertAccess(line);
      this.#accesses += lines.length;
      return this.#accesses >= exchanges;
    });
    const entries: string[] = JSON.parse(await this.#ask("GET", "/model"));
    assert.equal(await this.#ask("DELETE", "/model", String(entries.length)), "");
    this.#entries.settle(entries, this.#seed);
    const lines: string[] = [];
    await this.#until("all faults are reported", () => {
      lines.push(...this.#errorLines.take());
      return this.#reports.areMetBy(lines);
    });
    this.#reports.settle(lines, this.#seed);
  }

  async #state(): Promise<State> {
    return JSON.parse(await this.#ask("GET", "/state"));
  }

  /** The answer to a request that nothing is wrong with. */
  async #ask(method: string, path: string, body = ""): Promise<string> {
    const fields = `host: test\r\nconnection: close\r\ncontent-length: ${body.length}\r\n`;
    const sent = `${method} ${path} HTTP/1.1\r\n${fields}\r\n${body}`;
    const plan: Plan = { sent, cuts: [], isPaced: true, ending: "stay" };
    const { answers: [answer] } = await exchange(this.#port, plan);
    if (answer?.status === 200 && answer.isWhole) {
      return Buffer.from(answer.body, "latin1").toString();
    }
    assert.fail(
      `${this.#seed}: ${method} ${path} is answered with ${JSON.stringify(answer ?? "nothing")}\n` +
        this.#server.stderr(),
    );
  }

  async #until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const { doneMs = DONE_MS } = this.#options;
    const end = performance.now() + doneMs;
    while (!await condition()) {
      assert.ok(performance.now() < end, `${this.#seed}: not so after ${doneMs} ms: ${what}`);
      await setTimeout(2);
    }
  }

  /** What failures begin with. */
  get #seed(): string {
    return `seed ${this.#options.seed}, after connection ${this.#connections}`;
  }
}

/** Output by lines. */
class Lines {
  readonly #take: () => string;
  #begun = "";

  constructor(take: () => string) {
    this.#take = take;
  }

  /** The lines that are whole and new. */
  take(): string[] {
    const lines = (this.#begun + this.#take()).split("\n");
    this.#begun = lines.pop() ?? "";
    return lines;
  }
}

function assertAccess(line: string): void {
  const { time, method, path, status, trace_id } = JSON.parse(line);
  assert.ok([time, method, path, trace_id].every((it) => typeof it === "string"), line);
  assert.ok(Number.isInteger(status), line);
}
