/**
 * Reads the commits of a log that was looked at before, in order and in stretches.
 */

import { READ_BYTES } from "../limits.ts";
import { CheckedReader } from "./checked_reader.ts";
import type { DiskFile } from "./disk.ts";
import type { StoredCommit } from "./event_log.ts";
import { PlainReader } from "./plain_reader.ts";
import type { Survey } from "./recovery.ts";

/** All commits of a log up to `found.end` (in a plain log: its events), in stretches. */
export function* allCommits(
  file: DiskFile,
  path: string,
  found: Survey,
): Generator<readonly StoredCommit[]> {
  const { index, chain, end } = found;
  const source = { file, name: path, index };
  const reader = chain === undefined
    ? new PlainReader(source, 1, end)
    : new CheckedReader({ ...source, fileId: chain.fileId }, 1, end);
  for (;;) {
    const commits = reader.commits(0, READ_BYTES);
    if (commits.length === 0) return;
    yield commits;
  }
}
