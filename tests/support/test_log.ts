/**
 * Opens logs on a simulated disk: the product's own code, with what a platform gives in hand.
 */

import type { EventLog } from "../../runtime/log/event_log.ts";
import { type LogOptions, openLog } from "../../runtime/log/open_log.ts";
import { Random } from "./random.ts";
import { SimulatedClock } from "./simulated_clock.ts";

export const LOG_PATH = "db.events";

/** Opens a log; it warns nobody, and all its random bytes are the same. */
export function openTestLog(
  options: Pick<LogOptions, "disk"> & Partial<LogOptions>,
  path: string = LOG_PATH,
): Promise<EventLog> {
  const random = new Random(1);
  return openLog(path, {
    clock: new SimulatedClock(),
    warn: () => {},
    timeOfDay: () => 0,
    random: (bytes) => Uint8Array.from({ length: bytes }, () => random.upTo(255)),
    ...options,
  });
}

/** Opens a log in the plain format, or makes one. */
export function openPlainLog(
  options: Pick<LogOptions, "disk"> & Partial<LogOptions>,
): Promise<EventLog> {
  return openTestLog({ format: "plain", ...options });
}
