/**
 * The port between a pool and the programs in it: what a process promises, whoever starts it.
 * Real ones are in `adapters/processes/packet_worker.ts`, simulated ones in the tests.
 */

/** How a process has ended. */
export interface WorkerEnd {
  /** For messages: `exit code 1`, `SIGKILL`. */
  readonly how: string;
  /** Its command was not found, or may not be executed: it would be no different next time. */
  readonly cannotRun: boolean;
  /** It has ended by itself, not by a signal. */
  readonly isExit: boolean;
}

/** What is told of a process. Nothing is told before `spawn` has returned it. */
export interface WorkerListener {
  /** Bytes that it has written to file descriptor 3; they are the listener's to keep. */
  received(bytes: Uint8Array<ArrayBuffer>): void;
  /**
   * Called once, and nothing is told after it: the process has ended and was waited for, and all
   * that it wrote was received.
   */
  ended(end: WorkerEnd): void;
}

/** A process that gets packets on its standard input. */
export interface WorkerProcess {
  /** `undefined` if it could not be started; `ended` is still to be called. */
  readonly pid: number | undefined;
  /** Writes a packet, all of it, in the background; to a process that has ended, nowhere. */
  send(packet: Uint8Array): void;
  /** Asks it to end: its input is closed. One that does not end soon is killed. */
  stop(): void;
  /** Kills it, and all that it has left in its process group. */
  kill(): void;
}

/** Starts another process of a pool's command. It does not throw. */
export type SpawnWorker = (listener: WorkerListener) => WorkerProcess;
