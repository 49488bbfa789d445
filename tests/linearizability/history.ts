/**
 * Records a history: who called what, when the answer came, and what it was.
 *
 * All clients run in one thread, so one counter orders all that happens. An operation whose
 * outcome is unknown stays in the history without an output; one that is known to have left
 * nothing is taken out of it, so that nothing can be explained with it. Checked by `checker.ts`.
 */

import assert from "node:assert/strict";

/** An operation on one key. */
export interface Operation<Input, Output> {
  readonly client: number;
  readonly key: string;
  readonly input: Input;
  /** What was answered; undefined if it is unknown whether it happened, and how. */
  readonly output: Output | undefined;
  /** It did not happen before this time. */
  readonly calledAt: number;
  /**
   * It did not happen after this time: its answer had come. Without an answer it happened up to
   * this time, or never; `Infinity` if it may still happen.
   */
  readonly endedAt: number;
}

/** A call that has not ended. One of its functions is called, once. */
export interface Call<Output> {
  /** The answer has come. */
  answered(output: Output): void;
  /** It has left nothing, and never will. */
  failed(): void;
  /** No answer will come: it may have happened, may yet happen, or not. */
  lost(): void;
}

/** What is known of an operation so far. */
interface Recorded<Input, Output> extends Operation<Input, Output> {
  output: Output | undefined;
  endedAt: number;
}

/** A history in the making. */
export class Recorder<Input, Output> {
  readonly #operations = new Set<Recorded<Input, Output>>();
  readonly #open = new Set<Recorded<Input, Output>>();
  /** Those whose outcome is unknown, while their server runs. */
  readonly #lost = new Set<Recorded<Input, Output>>();
  #now = 0;

  /** `client` calls; afterwards it sends. */
  call(client: number, key: string, input: Input): Call<Output> {
    const calledAt = this.#now++;
    const operation = { client, key, input, output: undefined, calledAt, endedAt: Infinity };
    const recorded: Recorded<Input, Output> = operation;
    this.#operations.add(recorded);
    this.#open.add(recorded);
    const end = () => assert.ok(this.#open.delete(recorded), "a call ends once");
    return {
      answered: (output) => {
        end();
        recorded.output = output;
        recorded.endedAt = this.#now++;
      },
      failed: () => {
        end();
        this.#operations.delete(recorded);
      },
      lost: () => {
        end();
        this.#lost.add(recorded);
      },
    };
  }

  /**
   * The server's process is gone, and all its clients know it. What it has not done by now it
   * will never do: with it, unknown outcomes have a last moment. This is more than
   * linearizability asks (there, they may happen at any later time), and what a log promises: a
   * commit that one start has not found is not found by a later one. "Strict linearizability":
   * M. Aguilera and S. Frølund, Strict linearizability and the power of aborting, HP Labs, 2003.
   */
  serverEnded(): void {
    assert.equal(this.#open.size, 0, "all calls have ended before the server's end is noted");
    const endedAt = this.#now++;
    for (const operation of this.#lost) operation.endedAt = endedAt;
    this.#lost.clear();
  }

  /** All operations so far, in the order of their calls. */
  get history(): readonly Operation<Input, Output>[] {
    return [...this.#operations];
  }
}
