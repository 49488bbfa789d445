/** Medians, and how rounds are put together from which they are taken. */

/** The median of at least one number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low = NaN, high = NaN] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return (low + high) / 2;
}

/**
 * The median of what `of` says of each pair of rounds. Speeds of machines drift; what was
 * measured right after one another shares the drift, so ratios are taken pair by pair.
 */
export function medianRatio<Round>(
  rounds: readonly Round[],
  controls: readonly Round[],
  of: (round: Round) => number,
): number {
  return median(rounds.map((round, i) => {
    const control = controls[i];
    return control === undefined ? NaN : of(round) / of(control);
  }));
}

/**
 * Measures each of `subjects` in every round, in turns: forwards, then backwards, so that
 * none always has the same neighbour before it.
 */
export async function alternate<Subject, Round>(
  subjects: readonly Subject[],
  count: number,
  measure: (subject: Subject) => Promise<Round>,
): Promise<Round[][]> {
  const rounds: Round[][] = subjects.map(() => []);
  for (let round = 0; round < count; round++) {
    const order = [...subjects.entries()];
    if (round % 2 === 1) order.reverse();
    for (const [i, subject] of order) rounds[i]?.push(await measure(subject));
  }
  return rounds;
}
