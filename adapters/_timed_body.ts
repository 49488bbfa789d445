/**
 * Bodies that have to arrive in time. They may keep their reader waiting for so long, for each stretch
 * of so many bytes; then reading fails with a 408. What a reader does between two reads is not
 * counted: a client has no part in it.
 *
 * Nothing is put around a request: it gets other methods, which costs next to nothing where a new
 * `Request` costs as much as all the rest of its way. A copy, `new Request(request)`, has its own, and
 * has to be watched by itself.
 */

import { Deadlines, type Expiring } from "../runtime/deadlines.ts";
import { type HttpError, refusal } from "../runtime/errors.ts";
import { BODY_PACE_BYTES } from "../runtime/limits.ts";
import { clock } from "./clock.ts";

/** The time limit of the bodies of one server. */
export class BodyTimes {
  readonly ms: number;
  readonly deadlines: Deadlines;

  constructor(ms: number) {
    this.ms = ms;
    this.deadlines = new Deadlines(clock, ms);
  }

  /** Sees to it that the body of `request` arrives in time; calls `onLate` if it does not. */
  watch(request: Request, onLate: () => void): void {
    const timed: Request & Partial<Timed> = request;
    timed[TIMED] = { times: this, onLate, stream: undefined };
    Object.setPrototypeOf(request, prototypeInFrontOf(Object.getPrototypeOf(request)));
  }
}

const TIMED = Symbol("timed");

/** What is in a request whose body has to arrive in time. */
interface Timed {
  [TIMED]: {
    readonly times: BodyTimes;
    readonly onLate: () => void;
    stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  };
}

type TimedRequest = Request & Timed;

/** Servers make requests of several classes; each has its own methods behind these. */
const prototypes = new WeakMap<object, object>();

function prototypeInFrontOf(behind: object): object {
  let prototype = prototypes.get(behind);
  if (prototype === undefined) {
    prototype = Object.create(behind, timedMembers(behind)) as object;
    prototypes.set(behind, prototype);
  }
  return prototype;
}

const READERS = ["text", "json", "arrayBuffer", "bytes", "blob", "formData"] as const;

function timedMembers(behind: object): PropertyDescriptorMap {
  const members: PropertyDescriptorMap = {
    body: {
      get(this: TimedRequest) {
        const timed = this[TIMED];
        if (timed.stream === undefined) {
          const stream: Request["body"] = Reflect.get(behind, "body", this);
          if (stream === null) return null;
          timed.stream = timedStream(stream, timed.times.ms, timed.onLate);
        }
        return timed.stream;
      },
    },
    clone: {
      value(this: TimedRequest): Request {
        const copy: Request = Reflect.get(behind, "clone").call(this);
        this[TIMED].times.watch(copy, this[TIMED].onLate);
        return copy;
      },
    },
  };
  for (const name of READERS) {
    const read: () => Promise<unknown> = Reflect.get(behind, name);
    members[name] = {
      value(this: TimedRequest): Promise<unknown> {
        return inTime(read.call(this), this);
      },
    };
  }
  return members;
}

function isLate(): HttpError {
  return refusal(408, "the body did not arrive in time");
}

/** What a read of a whole body resolves with, if that is in time. */
function inTime<Body>(read: Promise<Body>, request: TimedRequest): Promise<Body> {
  const { times: { deadlines }, onLate } = request[TIMED];
  return new Promise((resolve, reject) => {
    let stretches = 0;
    const waiting: Expiring = {
      expiresAt: Infinity,
      expire(): void {
        // How large it is, is asked when that matters.
        const bytes = Number(request.headers.get("content-length"));
        if (++stretches * BODY_PACE_BYTES < bytes) return deadlines.start(waiting);
        onLate();
        reject(isLate());
      },
    };
    deadlines.start(waiting);
    read.then(
      (body) => {
        deadlines.stop(waiting);
        resolve(body);
      },
      (error) => {
        deadlines.stop(waiting);
        reject(error);
      },
    );
  });
}

/** `source`, whose chunks have to arrive in time. */
function timedStream(
  source: ReadableStream<Uint8Array<ArrayBuffer>>,
  ms: number,
  onLate: () => void,
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
        onLate();
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
