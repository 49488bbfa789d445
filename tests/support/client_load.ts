/**
 * Clients that write to the diary, and a record of what they were told: what must be found
 * afterwards, what may be, and what must not.
 */

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";

/** Options of {@linkcode ClientLoad}. */
export interface LoadOptions {
  /** @default {8} */
  clients?: number;
  /** What follows the name of each entry, to make it larger. */
  padding?: string;
  /** Milliseconds that a client waits between its entries. */
  paceMs?: number;
}

/** A load that may be begun again after a restart of the server. */
export class ClientLoad {
  readonly #clients: number;
  readonly #padding: string;
  readonly #sent = new Set<string>();
  readonly #answered = new Map<string, number>();
  readonly #refused = new Set<string>();
  readonly #inDoubt = new Set<string>();
  readonly #paceMs: number;
  readonly #answers = new EventEmitter();
  #round = 0;
  #isOver = false;

  constructor({ clients = 8, padding = "", paceMs = 0 }: LoadOptions = {}) {
    this.#clients = clients;
    this.#padding = padding;
    this.#paceMs = paceMs;
  }

  /** How many entries were acknowledged, refused with 507, and left in doubt by a 503. */
  get counts(): { answered: number; refused: number; inDoubt: number } {
    return {
      answered: this.#answered.size,
      refused: this.#refused.size,
      inDoubt: this.#inDoubt.size,
    };
  }

  /**
   * Lets all clients write, one entry after the other, until the server is gone, `isEnough`, which
   * is asked after every answer, or {@linkcode stop}. Resolves when none waits for an answer.
   */
  async run(url: string, isEnough: () => boolean = () => false): Promise<void> {
    const round = this.#round++;
    this.#isOver = false;
    await Promise.all(Array.from({ length: this.#clients }, async (_, client) => {
      for (let i = 0; !this.#isOver; i++) {
        const isThere = await this.#write(url, `${round}.${client}.${i}`);
        if (!isThere || isEnough()) this.#isOver = true;
        this.#answers.emit("answer");
        if (this.#paceMs > 0) await setTimeout(this.#paceMs);
      }
    }));
  }

  /** Lets no client write any more. */
  stop(): void {
    this.#isOver = true;
  }

  /** Resolves when so many entries were acknowledged, or the server is gone. */
  async reach(answered: number): Promise<void> {
    while (this.#answered.size < answered && !this.#isOver) await once(this.#answers, "answer");
  }

  /** Sends one entry; `false` if no answer came. */
  async #write(url: string, entry: string): Promise<boolean> {
    this.#sent.add(entry);
    let status: number;
    try {
      const response = await fetch(url, { method: "POST", body: entry + this.#padding });
      status = response.status;
      await response.text();
    } catch {
      this.#inDoubt.add(entry);
      return false; // The server was killed: it may be there or not.
    }
    if (status === 200) this.#answered.set(entry, performance.now());
    else if (status === 507) this.#refused.add(entry);
    else if (status === 503) this.#inDoubt.add(entry);
    else assert.fail(`${status} is no answer to a write`);
    return true;
  }

  /**
   * Holds what a server has against what the clients were told: each entry once, all that were
   * acknowledged, none that was refused, none that was never sent, and each client's in its order.
   */
  assertKept(found: readonly string[]): void {
    const entries = this.#names(found);
    for (const entry of entries) {
      assert.ok(this.#sent.has(entry), `${entry} was never sent`);
      assert.ok(!this.#refused.has(entry), `${entry} was refused`);
    }
    const kept = new Set(entries);
    const missing = [...this.#answered.keys()].filter((entry) => !kept.has(entry));
    assert.deepEqual(missing, [], "these were acknowledged");
  }

  /**
   * As {@linkcode assertKept}, for a log that may lose the last seconds: what is found is all that
   * there was up to some moment, and that is not before `since` (`performance.now()`). Returns how
   * many acknowledged entries are lost; they count as such from now on.
   */
  assertKeptUntil(found: readonly string[], since: number): number {
    const kept = new Set(this.#names(found));
    for (const entry of kept) assert.ok(this.#sent.has(entry), `${entry} was never sent`);
    const missing = [...this.#answered].filter(([entry]) => !kept.has(entry));
    for (const [entry, at] of missing) {
      assert.ok(at > since, `${entry} was acknowledged ${since - at} ms too early to be lost`);
      this.#answered.delete(entry);
    }
    return missing.length;
  }

  /** The names of the entries, each once, and none before one that its client sent earlier. */
  #names(found: readonly string[]): string[] {
    const names = found.map((entry) => {
      assert.ok(entry.endsWith(this.#padding), "an entry is whole");
      return entry.slice(0, entry.length - this.#padding.length);
    });
    assert.equal(new Set(names).size, names.length, "no entry is there twice");
    const last = new Map<string, number>();
    for (const name of names) {
      const [, client = "", i] = /^(\d+\.\d+)\.(\d+)$/.exec(name) ?? [];
      assert.ok(Number(i) > (last.get(client) ?? -1), `${name} is in its place`);
      last.set(client, Number(i));
    }
    return names;
  }
}
