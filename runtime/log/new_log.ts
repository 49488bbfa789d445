/**
 * Writes a whole new log into a file that is not one yet: what conversions make, and whoever gives
 * up a history. Nothing of it is durable before `finish` returns, and it needs no lock.
 */

import { encodeHex } from "#std/encoding/hex";
import { READ_BYTES } from "../limits.ts";
import type { DiskFile } from "./disk.ts";
import { type Commit, sizeInCommit } from "./event_log.ts";
import { writeFully } from "./file_bytes.ts";
import { FILE_HEAD, OPEN, SEAL } from "./frame.ts";
import { CheckedFramer, type Framer, PlainFramer } from "./framer.ts";
import type { UpkeepOptions } from "./hold_log.ts";
import { openBody } from "./open_log.ts";
import type { MadeLog } from "./put_in_place.ts";
import { HISTORY_BYTES, type LogFormat } from "./recovery.ts";

/**
 * Bytes of events in one frame. Whoever looks for one commit reads a frame: so about as much as is
 * read at once there, of which the 70 bytes that a frame has beside its events are a thousandth.
 */
const FRAME_EVENT_BYTES = 64 * 1024;

/** Options of {@linkcode NewLog}. */
export interface NewLogOptions extends Pick<UpkeepOptions, "timeOfDay" | "random" | "warn"> {
  readonly format: LogFormat;
  /** The path of the log that it is to become, for messages. */
  readonly name: string;
}

/** A log that is being made. */
export class NewLog {
  readonly #file: DiskFile;
  readonly #path: string;
  readonly #format: LogFormat;
  readonly #framer: Framer;
  readonly #fileId: bigint;
  readonly #history: string;
  #end = 0;
  #commits: Commit[] = [];
  #bytes = 0;
  readonly #bytesMax: number;

  /** Begins a log with a history of its own in the empty `file`, which is at `path`. */
  constructor(file: DiskFile, path: string, options: NewLogOptions) {
    const { format, random } = options;
    this.#file = file;
    this.#path = path;
    this.#format = format;
    this.#history = encodeHex(random(HISTORY_BYTES));
    if (format === "plain") {
      this.#fileId = 0n;
      this.#framer = new PlainFramer(0);
      this.#bytesMax = READ_BYTES;
      return;
    }
    this.#bytesMax = FRAME_EVENT_BYTES;
    this.#fileId = new DataView(random(8).slice().buffer).getBigUint64(0, true);
    const none = { fileId: this.#fileId, sequence: 0, crc: 0, time: 0 };
    this.#framer = new CheckedFramer(none, options);
    this.#note(FILE_HEAD, new Uint8Array(0), 0);
    this.#note(OPEN, openBody(this.#history, "always"), 0);
  }

  /** Appends an event, as a commit of its own. It must stay as it is until it is written. */
  add(event: Uint8Array): void {
    const bytes = sizeInCommit(event);
    if (this.#bytes + bytes > this.#bytesMax) this.#flush();
    this.#commits.push({ events: [event], bytes });
    this.#bytes += bytes;
  }

  /** Ends the log as one that was closed well, and makes it durable. */
  finish(): MadeLog {
    this.#flush();
    this.#file.syncNow();
    if (this.#format === "checked") {
      this.#note(SEAL, new Uint8Array(0), this.#end);
      this.#file.syncNow();
    }
    return {
      path: this.#path,
      fileId: this.#fileId,
      end: this.#end,
      sequence: this.#framer.sequence,
      history: this.#format === "plain" ? this.#history : undefined,
    };
  }

  #flush(): void {
    if (this.#commits.length === 0) return;
    this.#write(this.#framer.frame(this.#commits, { offset: this.#end, durable: 0 }));
    this.#commits = [];
    this.#bytes = 0;
  }

  #note(kind: number, body: Uint8Array, durable: number): void {
    if (!(this.#framer instanceof CheckedFramer)) return;
    this.#write(this.#framer.note(kind, body, { offset: this.#end, durable }));
  }

  #write(bytes: Uint8Array): void {
    writeFully(this.#file, bytes, this.#end, this.#path);
    this.#framer.accept();
    this.#end += bytes.length;
  }
}
