/**
 * Whether a server can serve what it promises, at each stage of its life: what `/readyz` shows.
 */

import type { Engine, Health } from "../../runtime/engine.ts";
import type { ReplayProgress } from "../../runtime/replay.ts";

/** What a server is, beside what its engine may say of itself. */
export type Stage = "starting" | "serving" | "stopping";

/** How a server is. */
export interface Readiness {
  /** Whether requests should be sent to it. */
  readonly isReady: boolean;
  /** The stage, or while it serves what the engine says. */
  readonly state: Stage | Health["state"];
  readonly health?: Health | undefined;
  /** How far a start has come. */
  readonly progress?: ReplayProgress | undefined;
}

/** The same as JSON has it. */
export function readinessFields({ isReady, state, health, progress }: Readiness): object {
  return { ready: isReady, ...health, state, progress };
}

/** A server from its first moment to its last. */
export class Life {
  #stage: Stage = "starting";
  #progress: ReplayProgress | undefined;
  #engine: Pick<Engine<unknown, unknown>, "health"> | undefined;
  #isForReads = false;

  /** The log is replayed; whether that is the start, and not a model that is built again. */
  replaying(progress: ReplayProgress): boolean {
    const isStart = this.#stage === "starting";
    if (isStart) this.#progress = progress;
    return isStart;
  }

  /** It listens; without an engine if it has no model. Reads may be all that it promises. */
  serving(
    engine?: Pick<Engine<unknown, unknown>, "health">,
    options: { isForReads?: boolean } = {},
  ): void {
    this.#stage = "serving";
    this.#progress = undefined;
    this.#engine = engine;
    this.#isForReads = options.isForReads ?? false;
  }

  /** It no longer takes requests. */
  stopping(): void {
    this.#stage = "stopping";
  }

  /** How it is at this moment. */
  readiness(): Readiness {
    const health = this.#engine?.health();
    if (this.#stage !== "serving") {
      return { isReady: false, state: this.#stage, progress: this.#progress, health };
    }
    const state = health?.state ?? "ok";
    return { isReady: this.#isKept(state), state, health };
  }

  /**
   * Whether what was promised is kept. With a full disk it is: reads are served, writes get an honest
   * 507, and it heals by itself; there is no other server to which its writes could go instead. After
   * a failed sync nothing heals by itself.
   */
  #isKept(state: Health["state"] | "ok"): boolean {
    return state === "ok" || state === "disk full" ||
      this.#isForReads && state.startsWith("read-only");
  }
}
