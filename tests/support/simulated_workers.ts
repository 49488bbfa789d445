/**
 * Workers under a test's control: the process port of a pool on a simulated clock. A request is a
 * packet with a number, its answer is a message with the same number; what a worker does besides
 * comes from its character and from the request.
 */

import type { Clock } from "../../runtime/clock.ts";
import type {
  SpawnWorker,
  WorkerEnd,
  WorkerListener,
  WorkerProcess,
} from "../../runtime/processes/worker_process.ts";

/** What a worker does with a request. */
export type Deed =
  | "answers"
  | "answers in pieces"
  | "answers twice at once"
  | "answers twice"
  | "answers nonsense"
  | "answers with less"
  | "writes no packet"
  | "dies"
  | "dies half-way"
  | "answers and dies"
  | "hangs";

/** How a worker is. */
export interface Character {
  /** Milliseconds from its start until it reads; it dies then if it is no better. */
  readonly bootMs: number;
  readonly boots: boolean;
  /** What a health check does; late is after `LATE_MS`. */
  readonly atCheck: "answers" | "answers late" | "is silent" | "hangs" | "dies";
  /** Milliseconds for a request. */
  readonly workMs: number;
  readonly deed: (request: number) => Deed;
}

export const GOOD: Character = {
  bootMs: 5,
  boots: true,
  atCheck: "answers",
  workMs: 3,
  deed: () => "answers",
};

/** Longer than a worker is waited for that may be one of those that answer no health checks. */
const LATE_MS = 1500;

const CHECK = 0xffffffff;
const ANSWER = 0xaa;

/** The packet of a request. */
export function requestPacket(number: number): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(8);
  new DataView(packet.buffer).setUint32(0, 4, true);
  new DataView(packet.buffer).setUint32(4, number, true);
  return packet;
}

export const checkPacket: Uint8Array<ArrayBuffer> = requestPacket(CHECK);

/** The number in an answer. */
export function numberOf(message: Uint8Array<ArrayBuffer>): number {
  if (message.length !== 5 || message[0] !== ANSWER) throw new Error("no answer");
  return new DataView(message.buffer, message.byteOffset + 1).getUint32(0, true);
}

/** Whether an answer is one to a health check. */
export function isCheckAnswer(message: Uint8Array<ArrayBuffer>): boolean {
  return numberOf(message) === CHECK;
}

function answerPacket(number: number): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(9);
  const view = new DataView(packet.buffer);
  view.setUint32(0, 5, true);
  packet[4] = ANSWER;
  view.setUint32(5, number, true);
  return packet;
}

/** One process. */
export class SimulatedWorker implements WorkerProcess {
  readonly pid: number;
  /** Packets that it was sent, and answers that it has given, in order. */
  readonly taken: number[] = [];
  isAsleep = false;
  hasEnded = false;
  isStopped = false;
  readonly #clock: Clock;
  readonly #listener: WorkerListener;
  readonly #character: Character;
  #input: number[] = [];
  #isReading = false;

  constructor(pid: number, clock: Clock, character: Character, listener: WorkerListener) {
    this.pid = pid;
    this.#clock = clock;
    this.#listener = listener;
    this.#character = character;
    clock.after(character.bootMs, () => {
      if (!character.boots) {
        return this.#end({ how: "exit code 1", cannotRun: false, isExit: true });
      }
      this.#isReading = true;
      this.#work();
    });
  }

  send(packet: Uint8Array): void {
    if (this.hasEnded) return;
    this.#input.push(new DataView(packet.buffer, packet.byteOffset).getUint32(4, true));
    this.#work();
  }

  stop(): void {
    this.isStopped = true;
    this.#clock.after(1, () => this.#end({ how: "exit code 0", cannotRun: false, isExit: true }));
  }

  kill(): void {
    this.isStopped = true;
    this.die();
  }

  /** Something kills it. */
  die(): void {
    this.#clock.after(0, () => this.#end({ how: "SIGKILL", cannotRun: false, isExit: false }));
  }

  #end(end: WorkerEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#listener.ended(end);
  }

  #work(): void {
    if (!this.#isReading || this.isAsleep || this.hasEnded) return;
    const number = this.#input.shift();
    if (number === undefined) return;
    this.taken.push(number);
    const { atCheck, deed, workMs } = this.#character;
    if (number === CHECK) {
      if (atCheck === "answers") this.#write(answerPacket(CHECK));
      if (atCheck === "dies") return this.die();
      if (atCheck === "hangs") this.isAsleep = true;
      if (atCheck === "answers late") {
        this.isAsleep = true;
        this.#clock.after(LATE_MS, () => {
          this.isAsleep = false;
          this.#write(answerPacket(CHECK));
          this.#work();
        });
      }
      return this.#work();
    }
    this.#isReading = false;
    this.#clock.after(workMs, () => {
      if (this.hasEnded) return;
      this.#isReading = true;
      this.#do(deed(number), answerPacket(number));
      this.#work();
    });
  }

  #do(deed: Deed, answer: Uint8Array<ArrayBuffer>): void {
    switch (deed) {
      case "answers":
        return this.#write(answer);
      case "answers in pieces":
        return answer.forEach((_, at) => this.#write(answer.slice(at, at + 1)));
      case "answers twice at once":
        return this.#write(Uint8Array.from([...answer, ...answer]));
      case "answers twice":
        this.#write(answer);
        return this.#write(answer);
      case "answers nonsense":
        return this.#write(Uint8Array.of(3, 0, 0, 0, 9, 9, 9));
      case "answers with less":
        return this.#write(Uint8Array.of(0, 0, 0, 0));
      case "writes no packet":
        return this.#write(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1));
      case "dies half-way":
        this.#write(answer.subarray(0, 6));
        return this.die();
      case "answers and dies":
        this.#write(answer);
        return this.die();
      case "dies":
        return this.die();
      case "hangs":
        this.isAsleep = true;
    }
  }

  #write(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.hasEnded) this.#listener.received(bytes);
  }
}

/** A command whose workers have one character after the other, and the last one from then on. */
export class SimulatedCommand {
  readonly all: SimulatedWorker[] = [];
  readonly startedAt: number[] = [];
  readonly #clock: Clock;
  /** Of those that are still to be started. */
  characters: Character[];

  constructor(clock: Clock, characters: readonly Character[] = [GOOD]) {
    this.#clock = clock;
    this.characters = [...characters];
  }

  readonly spawn: SpawnWorker = (listener) => {
    const [character = GOOD] = this.characters;
    if (this.characters.length > 1) this.characters.shift();
    const worker = new SimulatedWorker(100 + this.all.length, this.#clock, character, listener);
    this.all.push(worker);
    this.startedAt.push(this.#clock.now());
    return worker;
  };

  /** Those that have not ended, and were not asked to. */
  get alive(): SimulatedWorker[] {
    return this.all.filter(({ hasEnded, isStopped }) => !hasEnded && !isStopped);
  }
}
