/**
 * What tests of `engine.changes` have in common: to write words, one or many commits at a time, to
 * take what there is, and to look at an error.
 */

import assert from "node:assert/strict";
import type { Change } from "../../runtime/change_block.ts";
import type { Changes } from "../../runtime/change_consumer.ts";
import type { Engine } from "../../runtime/engine.ts";
import { AlcedoError } from "../../runtime/errors.ts";
import { watch } from "./running.ts";
import type { SimulatedClock } from "./simulated_clock.ts";

/** Writes each of `words` in a commit of its own; all of them at once. */
export function write(engine: Engine<string[], string>, ...words: string[]): Promise<unknown> {
  return Promise.all(words.map((word) => engine.write((_model, { saveEvent }) => saveEvent(word))));
}

/** Writes one after the other. */
export async function writeEach(
  { engine, clock }: { engine: Engine<string[], string>; clock: SimulatedClock },
  ...words: string[]
): Promise<void> {
  for (const word of words) {
    const written = write(engine, word);
    await clock.settle();
    await written;
  }
}

/** The words of some changes. */
export function texts(changes: readonly Change<string>[]): string[] {
  return changes.flatMap(({ events }) => events);
}

/** Takes what comes until nothing more does. */
export async function takeAll(
  changes: Changes<string>,
  clock: SimulatedClock,
): Promise<Change<string>[]> {
  const taken: Change<string>[] = [];
  for (;;) {
    const next = watch(changes.next());
    await clock.settle();
    if (next.error !== undefined) throw next.error;
    if (next.value?.done !== false) break;
    taken.push(next.value.value);
  }
  await changes.return();
  return taken;
}

/** Checks an error: for `assert.throws` and `assert.rejects`. */
export function codeOf(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AlcedoError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}
