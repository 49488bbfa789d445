/**
 * Records a history of a real server that is killed and started again under load: eight clients,
 * one log in a real file, one process after the other. The history is for `checker.ts`.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { LogMode } from "../support/faulty_log.ts";
import { listening, signal, start, type Started, withFolder } from "../support/server_process.ts";
import { Life, Workload } from "./clients.ts";
import { type Operation, Recorder } from "./history.ts";
import type { Input, Output } from "./register.ts";

const APP = "tests/support/register_app.ts";
const CLIENTS = 8;
/** Calls between two kills. */
const CALLS_MIN = 20;
const CALLS_MAX = 1000;
/** Keys out of use that each server is asked for at its start: none of them may have changed. */
const OLD_KEYS = 16;
/** How often a server is stopped as it should be, and how often killed before it listens. */
const STOPS = 0.15;
const KILLS_AT_START = 0.15;
/** Past it a server hangs. A life is some seconds long where everything is slow. */
const LIFE_MS_MAX = 60_000;
/** What a write handler may take. It is used up on purpose, and all others wait meanwhile. */
const TIMEOUT = "--request-timeout=100ms";
/** What a start takes, until one was measured: the first may be killed, too. */
const START_MS = 200;

/** Options of {@linkcode record}. */
export interface CampaignOptions {
  /** Of the application's model. */
  readonly style: "pure" | "in place";
  /** How often the server is killed under load. */
  readonly kills: number;
  /** Chooses keys and operations, and when to kill. */
  readonly seed: number;
  /**
   * Calls between two kills, at least.
   * @default {20}
   */
  readonly callsMin?: number;
  /**
   * What is between the server and its log.
   * @default nothing
   */
  readonly log?: LogMode;
  /**
   * More options of the command.
   * @default none
   */
  readonly args?: readonly string[];
  /**
   * The application.
   * @default {tests/support/register_app.ts}
   */
  readonly app?: string;
}

/** What was recorded. */
export interface Recorded {
  readonly history: readonly Operation<Input, Output>[];
  readonly counts: {
    readonly kills: number;
    /** Kills of a server before it listened. */
    readonly killsAtStart: number;
    readonly stops: number;
    readonly answered: number;
    readonly failed: number;
    readonly unknown: number;
  };
}

/** Runs servers and clients, and records what the clients see. */
export function record(options: CampaignOptions): Promise<Recorded> {
  return withFolder(async (folder) => {
    const campaign = new Campaign(options, folder);
    try {
      return await campaign.run();
    } finally {
      await campaign.end();
    }
  });
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #events: string;
  readonly #recorder = new Recorder<Input, Output>();
  readonly #workload: Workload;
  #server: Started | undefined;

  constructor(options: CampaignOptions, folder: string) {
    this.#options = options;
    this.#events = join(folder, "register.events");
    this.#workload = new Workload(options.seed, this.#recorder);
  }

  async run(): Promise<Recorded> {
    const { random, outcomes } = this.#workload;
    const counts = { kills: 0, killsAtStart: 0, stops: 0 };
    let startMs = START_MS;
    while (counts.kills < this.#options.kills) {
      if (random.chance(KILLS_AT_START)) {
        const server = this.#start();
        // This is no waiting for anything: any moment of its start is a good one to kill it.
        await setTimeout(random.next() * startMs);
        signal(server, "SIGKILL");
        await server.ended;
        counts.killsAtStart++;
      }
      const before = performance.now();
      const server = this.#start();
      const url = await listening(server);
      startMs = performance.now() - before;
      const isStop = random.chance(STOPS);
      await this.#live(server, url, isStop ? "SIGTERM" : "SIGKILL");
      counts[isStop ? "stops" : "kills"]++;
    }
    await this.#readAll();
    return { history: this.#recorder.history, counts: { ...counts, ...outcomes } };
  }

  /** Ends the server that runs, if something has failed. */
  async end(): Promise<void> {
    const child = this.#server?.child;
    if (child?.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await this.#server?.ended;
  }

  #start(): Started {
    const { style, log, app = APP, args = [] } = this.#options;
    const events = this.#events;
    const always = ["--addr=127.0.0.1:0", `--events-file=${events}`, TIMEOUT];
    return this.#server = start(app, [...always, ...args], {
      env: {
        REGISTER_STYLE: style,
        ...(log === undefined ? {} : { REGISTER_LOG: log, REGISTER_EVENTS: events }),
      },
    });
  }

  /** Lets clients at a server until it has had enough, and ends it. */
  async #live(server: Started, url: string, ending: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { random, keys, active } = this.#workload;
    const old = Array.from({ length: OLD_KEYS }, () => keys[random.upTo(keys.length - 1)] ?? "");
    let enough = () => {};
    const hadEnough = new Promise<void>((resolve) => enough = resolve);
    const { callsMin = CALLS_MIN } = this.#options;
    const calls = callsMin + random.upTo(CALLS_MAX - callsMin);
    const life = new Life(this.#workload, url, calls, enough);
    const clients = Array.from({ length: CLIENTS }, (_, client) => {
      // Two look first at what was there before, the others begin at once.
      return life.run(client, client === 0 ? active : client === 1 ? old : []);
    });
    const gone = server.ended.then(({ code }) => {
      throw new Error(`the server ended by itself with ${code}: ${server.stderr()}`);
    });
    const patience = new AbortController();
    const late = setTimeout(LIFE_MS_MAX, undefined, patience).then(() => {
      throw new Error(`some client has waited for ${LIFE_MS_MAX} ms: ${server.stderr()}`);
    });
    await Promise.race([hadEnough, gone, late, ...clients]);
    life.end();
    signal(server, ending);
    // When it is stopped, too, all clients get their answers before it ends.
    await Promise.race([Promise.all(clients), late]);
    const { code } = await server.ended;
    patience.abort();
    if (ending === "SIGTERM") assert.equal(code, 0, server.stderr());
    this.#recorder.serverEnded();
  }

  /** Reads all keys that there ever were, from a server that nobody else uses. */
  async #readAll(): Promise<void> {
    const server = this.#start();
    const life = new Life(this.#workload, await listening(server), Infinity, () => {});
    await life.read(0, this.#workload.keys);
    signal(server, "SIGTERM");
    assert.equal((await server.ended).code, 0, server.stderr());
  }
}
