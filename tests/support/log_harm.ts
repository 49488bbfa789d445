/**
 * What can happen to the files of a log in the checked format while nobody has them open: bits
 * turn over, blocks vanish or are those of another time, frames go, come twice or change places.
 */

import { crcOf, forge, type Frame, judge, readSlots, type Slot } from "./checked_format.ts";
import type { Random } from "./random.ts";

/** What is harmed; where, as a part of what there is. */
export interface Harm {
  readonly kind:
    | "flip"
    | "flip last"
    | "truncate"
    | "hole"
    | "zeros"
    | "garbage"
    | "missing frame"
    | "doubled frame"
    | "swapped frames"
    | "forged frame"
    | "mark";
  readonly where: number;
}

export const HARMS: readonly Harm["kind"][] = [
  "flip",
  "flip last",
  "truncate",
  "hole",
  "zeros",
  "garbage",
  "missing frame",
  "doubled frame",
  "swapped frames",
  "forged frame",
  "mark",
];

export interface LogFiles {
  readonly log: Uint8Array;
  readonly mark: Uint8Array | undefined;
}

const SECTOR_BYTES = 512;

/** The files after the harm; `undefined` if there is nothing to harm. */
export function harm({ kind, where }: Harm, files: LogFiles, random: Random): LogFiles | undefined {
  if (kind === "mark") return { ...files, mark: harmedMark(files, random) };
  const { log } = files;
  const { frames } = judge(log, undefined);
  const at = Math.min(log.length - 1, Math.floor(where * log.length));
  const index = Math.floor(where * frames.length);
  const frame = frames[index];
  if (at < 0 || frame === undefined) return undefined;
  const next = frames[index + 1];
  const changed = log.slice();
  switch (kind) {
    case "flip":
      changed[at] = (changed[at] ?? 0) ^ 1 << random.upTo(7);
      return { ...files, log: changed };
    case "flip last": {
      const { from, to } = frames.at(-1) ?? frame;
      const place = from + Math.floor(where * (to - from - 1));
      changed[place] = (changed[place] ?? 0) ^ 1 << random.upTo(7);
      return { ...files, log: changed };
    }
    case "truncate":
      return { ...files, log: log.slice(0, at) };
    case "hole": {
      const from = at - at % SECTOR_BYTES;
      changed.fill(0, from, from + SECTOR_BYTES);
      return { ...files, log: changed };
    }
    case "zeros":
      return { ...files, log: joined(log, new Uint8Array(1 + random.upTo(5000))) };
    case "garbage": {
      const garbage = Uint8Array.from({ length: 1 + random.upTo(300) }, () => random.upTo(255));
      return { ...files, log: joined(log, garbage) };
    }
    case "missing frame":
      return { ...files, log: joined(log.slice(0, frame.from), log.slice(frame.to)) };
    case "doubled frame":
      return { ...files, log: joined(log.slice(0, frame.to), log.slice(frame.from)) };
    case "swapped frames":
      if (next === undefined) return undefined;
      return { ...files, log: swapped(log, frame, next) };
    case "forged frame": {
      if (frame.body.length === 0) return undefined;
      const hasEvent = (frame.commits.at(-1)?.at(-1)?.length ?? 0) > 0;
      forge(changed, frame, (payload) => {
        // The last byte of its last event, or else its time.
        const at = hasEvent ? payload.length - 5 : 16;
        payload[at] = (payload[at] ?? 0) ^ 1;
      });
      return { ...files, log: changed };
    }
  }
}

function swapped(log: Uint8Array, frame: Frame, next: Frame): Uint8Array {
  return joined(
    log.slice(0, frame.from),
    log.slice(next.from, next.to),
    log.slice(frame.from, frame.to),
    log.slice(next.to),
  );
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** No mark, an older one, one that is no more than bytes, or half of one. */
function harmedMark({ log, mark }: LogFiles, random: Random): Uint8Array | undefined {
  const slot = readSlots(mark);
  const kind = random.of(["lost", "older", "garbage", "zeros", "half"]);
  if (kind === "lost" || slot === undefined || mark === undefined) return undefined;
  if (kind === "garbage") return mark.map(() => random.upTo(255));
  if (kind === "zeros") return new Uint8Array(mark.length);
  const changed = mark.slice();
  if (kind === "half") {
    const byte = random.upTo(63);
    changed[byte] = (changed[byte] ?? 0) ^ 1;
    return changed;
  }
  const { frames } = judge(log, undefined);
  const older = frames.filter(({ to }) => to <= slot.durable).at(-1 - random.upTo(3));
  if (older === undefined) return undefined;
  const sequence = older.sequence + older.commits.length - 1;
  changed.set(slotOf({ ...slot, durable: older.to, sequence }), 0);
  changed.set(changed.slice(0, 32), 32);
  return changed;
}

function slotOf({ fileId, durable, sequence }: Slot): Uint8Array {
  const slot = new Uint8Array(32);
  const view = new DataView(slot.buffer);
  view.setBigUint64(0, fileId, true);
  view.setBigUint64(8, BigInt(durable), true);
  view.setBigUint64(16, BigInt(sequence), true);
  view.setUint32(28, crcOf(slot.subarray(0, 28)), true);
  return slot;
}
