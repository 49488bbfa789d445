/** What must be found somewhere, what may be found there, and what is found. */

import assert from "node:assert/strict";

/** How often something must be found, and how often it may be. */
interface Claim {
  must: number;
  may: number;
}

/** Claims about one place, which is looked at after each batch. */
export class Claims {
  readonly #where: string;
  readonly #traceOf: (what: string) => string;
  #claims = new Map<string, Claim>();
  /** What the clients of the batch before have sent may still be on its way. */
  #older = new Map<string, Claim>();
  #doubts: string[] = [];
  #olderDoubts: string[] = [];

  /** `traceOf` says which characters of a finding must have been sent by somebody, in order. */
  constructor(where: string, traceOf: (what: string) => string) {
    this.#where = where;
    this.#traceOf = traceOf;
  }

  /** Claims that `what` may be found, or must be. */
  claim(what: string, must: boolean): void {
    let claim = this.#claims.get(what);
    if (claim === undefined) this.#claims.set(what, claim = { must: 0, may: 0 });
    claim.may++;
    if (must) claim.must++;
  }

  /** Says that anything may be found that was in `sent`. */
  doubt(sent: string): void {
    this.#doubts.push(sent);
  }

  /** Whether all that must be found was found. */
  areMetBy(found: readonly string[]): boolean {
    const all = new Set(found);
    return [...this.#claims].every(([what, { must }]) => must === 0 || all.has(what));
  }

  /** Holds what was found against what was claimed since the last time. */
  settle(found: readonly string[], when: string): void {
    for (const what of found) {
      const isClaimed = [this.#older, this.#claims].some((claims) => {
        const claim = claims.get(what);
        if (claim === undefined || claim.may === 0) return false;
        claim.may--;
        claim.must--;
        return true;
      });
      if (isClaimed) continue;
      const isDoubtful = [...this.#olderDoubts, ...this.#doubts].some((sent) =>
        isWithin(this.#traceOf(what), sent)
      );
      assert.ok(isDoubtful, `${when}: ${this.#where} has ${JSON.stringify(what)}, and must not`);
    }
    for (const [what, { must }] of this.#claims) {
      assert.ok(must <= 0, `${when}: ${this.#where} has no ${JSON.stringify(what)}`);
    }
    [this.#older, this.#claims] = [this.#claims, new Map()];
    [this.#olderDoubts, this.#doubts] = [this.#doubts, []];
  }
}

/** Whether `text` is in `sent`, perhaps with something between its parts: the sizes of chunks. */
function isWithin(text: string, sent: string): boolean {
  let at = -1;
  for (const character of text) {
    at = sent.indexOf(character, at + 1);
    if (at < 0) return false;
  }
  return true;
}
