/**
 * The platform's clock and timers, by the built-ins that all three runtimes have.
 */

import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import type { Clock } from "../runtime/clock.ts";

/** Real time. Its timers do not keep a process alive. */
export const clock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  defer: (callback) => void setImmediate(callback),
};
