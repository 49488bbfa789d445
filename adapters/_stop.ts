/** Stopping a server within a bounded time, the same way on every platform. */

import type { Server } from "../runtime/http/fetch_handler.ts";
import { STOP_GRACE_MS } from "../runtime/limits.ts";

/** How a platform stops. */
export interface StopSteps {
  /**
   * Refuses new connections from now on, closes idle ones, and resolves when the last one
   * is closed, by itself or by `cut`. Called once.
   */
  drain(): Promise<void>;
  /** Closes every connection that is left, whatever it does. May be called after `drain` is over. */
  cut(): void;
}

/** `stop` of a {@linkcode Server}: drains once, and cuts at the earliest deadline asked for. */
export function createStop(steps: StopSteps): Server["stop"] {
  let drained: Promise<void> | undefined;
  let cutAt = Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  return ({ graceMs = STOP_GRACE_MS } = {}) => {
    drained ??= steps.drain().finally(() => {
      over = true;
      clearTimeout(timer);
    });
    const at = performance.now() + graceMs;
    if (!over && at < cutAt) {
      cutAt = at;
      clearTimeout(timer);
      timer = setTimeout(() => steps.cut(), graceMs);
    }
    return drained;
  };
}
