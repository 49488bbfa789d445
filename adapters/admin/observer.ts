/**
 * What is to be seen of a server while it runs, as far as its settings ask for it: the admin address
 * with health and metrics, the control socket, and the access log. Where none is asked for there is
 * none of this.
 */

import type { Engine } from "../../runtime/engine.ts";
import { accessLogged } from "../../runtime/http/access_log.ts";
import type { AccessFormat } from "../../runtime/http/access_line.ts";
import type { FetchHandler, Server } from "../../runtime/http/fetch_handler.ts";
import { RequestMetrics } from "../../runtime/metrics/request_metrics.ts";
import { SyncMetrics } from "../../runtime/metrics/sync_metrics.ts";
import type { ReplayProgress } from "../../runtime/replay.ts";
import { clock } from "../clock.ts";
import type { ControlSocket } from "../control/control_socket.ts";
import type { ServerView } from "../control/server_commands.ts";
import { LineOutput, standardOutput } from "../line_output.ts";
import { printWarning } from "../print.ts";
import type { SnapshotKeeper } from "../snapshots.ts";
import { adminHandler } from "./admin_handler.ts";
import { Life } from "./readiness.ts";

/**
 * Milliseconds of a replay between two pauses in which whoever looks is answered, and of a pause:
 * one turn of the event loop is too short for Deno to accept, read and answer.
 */
const REPLAY_MS = 50;
const PAUSE_MS = 2;

/** Milliseconds at the end: for answers on the admin address, and for lines of the access log. */
const LAST_WORDS_MS = 1000;

/** Options of an {@linkcode Observer}. */
export interface ObserverOptions {
  /** Listens where health and metrics are to be seen, if they are. */
  readonly listen: ((handler: FetchHandler) => Promise<Server>) | undefined;
  /** Opens the control socket, if there is to be one. */
  readonly openControl: ((view: ServerView) => Promise<ControlSocket>) | undefined;
  readonly accessLog: AccessFormat | "off";
}

/** Watches a server from its start to its end. */
export class Observer {
  readonly #life = new Life();
  readonly #requests = new RequestMetrics();
  readonly #syncs = new SyncMetrics();
  readonly #accessLog: ObserverOptions["accessLog"];
  readonly #lines: LineOutput | undefined;
  #hasSyncs = false;
  #admin: Server | undefined;
  #control: ControlSocket | undefined;
  #snapshots: SnapshotKeeper | undefined;
  /** Whether anybody can look while the server runs. */
  #isSeen = false;
  #lastPause = clock.now();

  private constructor(accessLog: ObserverOptions["accessLog"]) {
    this.#accessLog = accessLog;
    if (accessLog !== "off") this.#lines = new LineOutput(standardOutput(), { warn: printWarning });
  }

  /** Begins; the admin address and the control socket answer when it resolves. */
  static async begin({ listen, openControl, accessLog }: ObserverOptions): Promise<Observer> {
    const observer = new Observer(accessLog);
    observer.#isSeen = listen !== undefined || openControl !== undefined;
    const look = () => observer.#look();
    observer.#control = await openControl?.({
      look,
      get snapshots() {
        return observer.#snapshots;
      },
    });
    observer.#admin = await listen?.(adminHandler(look));
    return observer;
  }

  /** Where health and metrics are to be seen, if they are. */
  get addr(): Server["addr"] | undefined {
    return this.#admin?.addr;
  }

  /** What a log that syncs is to tell of it, if anybody wants to know. */
  watchSyncs(): ((ms: number, commits: number) => void) | undefined {
    if (!this.#isSeen) return undefined;
    this.#hasSyncs = true;
    return this.#syncs.onSync;
  }

  /** For the replay: what it returns is to be awaited, so that whoever looks is answered. */
  replaying(progress: ReplayProgress): Promise<void> | undefined {
    if (!this.#isSeen || !this.#life.replaying(progress)) return undefined;
    if (clock.now() - this.#lastPause < REPLAY_MS) return undefined;
    return new Promise((resolve) =>
      clock.after(PAUSE_MS, () => {
        this.#lastPause = clock.now();
        resolve();
      })
    );
  }

  /** `fetch`, observed. */
  observed(fetch: FetchHandler): FetchHandler {
    let observed = fetch;
    if (this.#accessLog !== "off" && this.#lines !== undefined) {
      const { line: write } = this.#lines;
      const parts = { format: this.#accessLog, write, clock, timeOfDay: Date.now };
      observed = accessLogged(observed, parts);
    }
    return this.#isSeen ? this.#requests.counted(observed, clock) : observed;
  }

  /** The server listens; without an engine if it has no model. */
  serving(
    engine?: Pick<Engine<unknown, unknown>, "health">,
    options: { isForReads?: boolean; snapshots?: SnapshotKeeper | undefined } = {},
  ): void {
    this.#snapshots = options.snapshots;
    this.#life.serving(engine, options);
  }

  /** The server takes no more requests. */
  stopping(): void {
    this.#life.stopping();
  }

  /** Ends, when all else has. */
  async close(): Promise<void> {
    await Promise.all([this.#admin?.stop({ graceMs: LAST_WORDS_MS }), this.#control?.close()]);
    if (this.#lines === undefined) return;
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(LAST_WORDS_MS, resolve);
    await Promise.race([this.#lines.flush(), isLate]);
    cancel();
  }

  #look() {
    return {
      readiness: this.#life.readiness(),
      requests: this.#requests,
      syncs: this.#hasSyncs ? this.#syncs : undefined,
      linesDropped: this.#lines?.dropped,
    };
  }
}
