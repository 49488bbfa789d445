/**
 * What the commands give to the work on logs: the platform's files, clock and random bytes, and a
 * line on the terminal that shows how far it is.
 */

import type { UpkeepOptions } from "../../../runtime/log/hold_log.ts";
import { disk } from "../../files.ts";
import { printWarning } from "../../print.ts";
import { progressLine } from "../progress.ts";

/** Does work on a log, and shows its progress. */
export async function working<Result>(
  doing: string,
  path: string,
  work: (options: UpkeepOptions) => Promise<Result> | Result,
): Promise<Result> {
  const progress = progressLine(path, { doing });
  try {
    return await work({
      disk,
      timeOfDay: Date.now,
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
      warn(message) {
        progress.end();
        printWarning(message);
      },
      onProgress: progress.show,
    });
  } finally {
    progress.end();
  }
}
