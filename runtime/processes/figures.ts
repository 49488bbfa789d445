/**
 * The figures of a server on its control socket: `stats`, for people and scripts, and
 * `collectd-metrics`, in the words of collectd's exec plugin.
 */

import type { Clock } from "../clock.ts";
import { type ControlCommand, ControlError } from "./control_command.ts";

/** A figure of a server. */
export interface Figure {
  /** In lower case, with hyphens: `workers`. */
  readonly name: string;
  /** Text is for `stats` alone. */
  readonly value: number | string;
  /** Whether it only grows as long as the process lives, from 0. */
  readonly isTotal?: boolean;
}

/** `stats`: each figure as `name=value`. */
export function statsCommand(look: () => readonly Figure[]): ControlCommand {
  return {
    name: "stats",
    parameters: [],
    summary: "Prints figures, each as name=value.",
    async run(_args, { print }) {
      for (const { name, value } of look()) await print(`${name}=${value}`);
    },
  };
}

/** Seconds between two looks, if nothing else is said: collectd's own default. */
const INTERVAL_S = 10;
const INTERVAL_S_MAX = 86_400;

/** What {@linkcode collectdCommand} is given of the platform. */
export interface CollectdParts {
  /** The name of the machine. */
  readonly host: string;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly timeOfDay: () => number;
}

/**
 * `collectd-metrics [INTERVAL] [LABEL]`: prints the figures at once and then every so many seconds, as
 * `putval HOST/alcedo-LABEL/TYPE-NAME interval=INTERVAL TIME:VALUE`, until the client leaves.
 */
export function collectdCommand(
  look: () => readonly Figure[],
  { host, clock, timeOfDay }: CollectdParts,
): ControlCommand {
  return {
    name: "collectd-metrics",
    parameters: ["[INTERVAL]", "[LABEL]"],
    summary: `Prints them for collectd, every ${INTERVAL_S} or INTERVAL seconds.`,
    async run([seconds, label], { print, signal }) {
      const interval = seconds === undefined ? INTERVAL_S : parseInterval(seconds);
      const plugin = label === undefined ? "alcedo" : `alcedo-${parseLabel(label)}`;
      for (let next = clock.now() + 1000 * interval;; next += 1000 * interval) {
        const time = Math.floor(timeOfDay() / 1000);
        for (const { name, value, isTotal = false } of look()) {
          if (typeof value === "string") continue;
          // `derive`, since a `counter` that begins at 0 again is taken for one that has overflowed.
          const id = `${host}/${plugin}/${isTotal ? "derive" : "gauge"}-${name}`;
          await print(`putval ${id} interval=${interval} ${time}:${value}`);
        }
        await pause(next - clock.now(), clock, signal);
      }
    },
  };
}

function parseInterval(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= INTERVAL_S_MAX) return seconds;
  throw new ControlError(`the interval is a number of seconds from 1 to ${INTERVAL_S_MAX}`);
}

function parseLabel(text: string): string {
  if (/^[\w.-]{1,63}$/.test(text)) return text;
  throw new ControlError("a label has letters, digits, and _ . - alone, at most 63 of them");
}

/** Resolves after `ms` milliseconds; rejects if the signal aborts before. */
function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(Math.max(0, ms), () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
