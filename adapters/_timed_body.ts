/**
 * Bodies that have to arrive in time. They may keep their reader waiting for so long, for each stretch
 * of so many bytes; then reading fails with a 408. What a reader does between two reads is not
 * counted: a client has no part in it.
 *
 * Nothing is put around a request: it gets other members, which costs next to nothing where a new
 * `Request` costs as much as all the rest of its way. A copy, `new Request(request)`, has its own, and
 * has to be watched by itself.
 */

import { Deadlines, type Expiring } from "../runtime/deadlines.ts";
import { type HttpError, refusal } from "../runtime/errors.ts";
import type { BodyRead } from "../runtime/http/fetch_handler.ts";
import { BODY_PACE_BYTES } from "../runtime/limits.ts";
import { clock } from "./clock.ts";

/** Called when a body did not arrive in time. */
type OnLate = (() => void) | undefined;

/** The time limit of the bodies of one server. */
export class BodyTimes {
  readonly ms: number;
  readonly deadlines: Deadlines;

  /** Reads that have begun in this turn of the event loop. */
  readonly #begun: BodyRead[] = [];

  constructor(ms: number) {
    this.ms = ms;
    this.deadlines = new Deadlines(clock, ms);
  }

  /**
   * Sees to it that `read` is over in time. Most are in the turn in which they begin. A property, not a
   * method: it is handed on by itself.
   */
  readonly watchRead = (read: BodyRead): void => {
    if (this.#begun.push(read) > 1) return;
    clock.defer(() => {
      for (const read of this.#begun.splice(0)) {
        if (!read.isOver) this.#time(read);
      }
    });
  };

  #time(read: BodyRead): void {
    const { deadlines } = this;
    let stretches = 0;
    const timed: Expiring = {
      expiresAt: Infinity,
      expire(): void {
        if (++stretches * BODY_PACE_BYTES < (read.bytes ?? 0)) deadlines.start(timed);
        else read.late(isLate());
      },
    };
    read.onOver = () => deadlines.stop(timed);
    deadlines.start(timed);
  }

  /** Sees to it that the body of `request` arrives in time; calls `onLate` if it does not. */
  watch(request: Request, onLate: OnLate): void {
    const behind: Request = Object.getPrototypeOf(request);
    const timed: Request & Partial<Timed> = request;
    timed[TIMED] = { times: this, behind, onLate, stream: undefined };
    const front = prototypeInFrontOf(behind);
    if (front !== undefined) {
      Object.setPrototypeOf(request, front);
      return;
    }
    // Written out: so it takes 0.1 µs on Deno, where another prototype takes 4.
    request.text = MEMBERS.text;
    request.json = MEMBERS.json;
    request.arrayBuffer = MEMBERS.arrayBuffer;
    request.bytes = MEMBERS.bytes;
    request.blob = MEMBERS.blob;
    request.formData = MEMBERS.formData;
    request.clone = MEMBERS.clone;
    Object.defineProperty(request, "body", BODY);
  }
}

/** For classes of requests whose members cannot be replaced: a prototype that has them replaced. */
const prototypes = new WeakMap<object, object | undefined>();

function prototypeInFrontOf(behind: object): object | undefined {
  if (!prototypes.has(behind)) prototypes.set(behind, makePrototype(behind));
  return prototypes.get(behind);
}

function makePrototype(behind: object): object | undefined {
  // An assignment to a property that is read-only fails, also where it is only inherited.
  if (Reflect.set(Object.create(behind), "text", MEMBERS.text)) return undefined;
  const members = Object.entries(MEMBERS).map(([name, value]) => [name, { value }]);
  return Object.create(behind, { ...Object.fromEntries(members), body: BODY });
}

const TIMED = Symbol("timed");

/** What is in a request whose body has to arrive in time. */
interface Timed {
  [TIMED]: {
    readonly times: BodyTimes;
    /** The class of the request: what its members were. */
    readonly behind: Request;
    readonly onLate: OnLate;
    stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  };
}

type TimedRequest = Request & Timed;

type Reader = "text" | "json" | "arrayBuffer" | "bytes" | "blob" | "formData";

const MEMBERS: Pick<Request, Reader | "clone"> = {
  text: readerOf("text"),
  json: readerOf("json"),
  arrayBuffer: readerOf("arrayBuffer"),
  bytes: readerOf("bytes"),
  blob: readerOf("blob"),
  formData: readerOf("formData"),
  clone(this: Request): Request {
    const { times, behind, onLate } = (this as TimedRequest)[TIMED];
    const copy = behind.clone.call(this);
    times.watch(copy, onLate);
    return copy;
  },
};

function readerOf<Name extends Reader>(name: Name): Request[Name] {
  function read(this: TimedRequest): Promise<unknown> {
    return inTime(this[TIMED].behind[name].call(this), this);
  }
  return read as Request[Name]; // It resolves with what the method of that name does.
}

const BODY: PropertyDescriptor & ThisType<TimedRequest> = {
  configurable: true,
  get() {
    const timed = this[TIMED];
    if (timed.stream === undefined) {
      const stream: Request["body"] = Reflect.get(timed.behind, "body", this);
      if (stream === null) return null;
      timed.stream = timedStream(stream, timed.times.ms, timed.onLate);
    }
    return timed.stream;
  },
};

function isLate(): HttpError {
  return refusal(408, "the body did not arrive in time");
}

/** What a read of a whole body resolves with, if that is in time. */
function inTime<Body>(body: Promise<Body>, request: TimedRequest): Promise<Body> {
  return new Promise((resolve, reject) => {
    const { times, onLate } = request[TIMED];
    const read = new WholeRead(request, (error) => {
      onLate?.();
      reject(error);
    });
    times.watchRead(read);
    body.then((whole) => {
      read.over();
      resolve(whole);
    }, (error) => {
      read.over();
      reject(error);
    });
  });
}

/** A read of a whole body. */
class WholeRead implements BodyRead {
  isOver = false;
  onOver: (() => void) | undefined = undefined;
  readonly late: (error: HttpError) => void;
  readonly #request: Request;

  constructor(request: Request, late: (error: HttpError) => void) {
    this.#request = request;
    this.late = late;
  }

  get bytes(): number | undefined {
    return Number(this.#request.headers.get("content-length"));
  }

  over(): void {
    this.isOver = true;
    this.onOver?.();
  }
}

/** `source`, whose chunks have to arrive in time. */
function timedStream(
  source: ReadableStream<Uint8Array<ArrayBuffer>>,
  ms: number,
  onLate: OnLate,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  let leftMs = ms;
  let bytes = 0;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      reader ??= source.getReader();
      const start = clock.now();
      const { promise: late, reject } = Promise.withResolvers<never>();
      const cancel = clock.after(Math.max(0, leftMs), () => {
        onLate?.();
        reject(isLate());
      });
      const { done, value } = await Promise.race([reader.read(), late]).finally(cancel);
      if (done) return controller.close();
      leftMs -= clock.now() - start;
      bytes += value.length;
      if (bytes >= BODY_PACE_BYTES) {
        bytes %= BODY_PACE_BYTES;
        leftMs = ms;
      }
      controller.enqueue(value);
    },
    cancel: (reason) => (reader ?? source).cancel(reason),
  }, { highWaterMark: 0 });
}
