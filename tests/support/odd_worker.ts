/**
 * A worker for tests of the pool, with every fault that a worker can have, by the path that it is asked
 * for: `mod.ts pool -- RUNTIME odd_worker.ts [HEALTH]`. It knows the bytes of packets by itself.
 */

import { existsSync, readSync, writeFileSync, writeSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const [health = "answers"] = process.argv.slice(2);
const startedAt = Date.now();
let count = 0;
const nobody = new Int32Array(new SharedArrayBuffer(4));

for (;;) {
  const packet = read(read(4)?.readInt32LE() ?? -1);
  if (packet === undefined) {
    if (health !== "ignores the end") break;
    await sleep(60_000);
    continue;
  }
  if (packet[0] === 1) {
    if (health === "dies") process.exit(3);
    if (health === "answers") write(answer(200, [], Buffer.alloc(0)));
    continue;
  }
  await serve(parse(packet));
}

interface Asked {
  peer: string;
  url: URL;
  method: string;
  headers: [string, string][];
  body: Buffer;
}

async function serve(asked: Asked): Promise<void> {
  const { url, body } = asked;
  const number = Number(url.searchParams.get("n") ?? 0);
  const mark = url.searchParams.get("mark") ?? "";
  const said = Buffer.from(JSON.stringify({ ...asked, body: body.toString("latin1") }));
  const text: [string, string[]] = ["Content-Type", ["application/json"]];
  count++;
  switch (url.pathname) {
    case "/pid":
      return write(answer(200, [], Buffer.from(`${process.pid} ${count} ${startedAt}`)));
    case "/slow":
      await sleep(number);
      return write(answer(200, [text], said));
    case "/big":
      return write(answer(200, [], Buffer.alloc(number, "b")));
    case "/status":
      return write(answer(number, [text, ["Content-Length", ["99"]]], said));
    case "/headers":
      return write(answer(200, [
        ["Connection", ["close, X-Own"]],
        ["Keep-Alive", ["timeout=9"]],
        ["Transfer-Encoding", ["chunked"]],
        ["Upgrade", ["h2c"]],
        ["X-Own", ["1"]],
        ["Content-Length", ["3"]],
        ["Set-Cookie", ["a=1", "b=2"]],
        ["X-Two", ["1", "2"]],
        ["X-Text", ["Grüße"]],
      ], Buffer.from("hello")));
    case "/head":
      return write(answer(200, [["Content-Length", ["123"]]], Buffer.alloc(0)));
    case "/twice":
      write(answer(200, [text], said));
      return write(answer(200, [text], Buffer.from("surplus")));
    case "/twice-at-once": {
      const once = answer(200, [text], said);
      return write(Buffer.concat([once, once]));
    }
    case "/empty":
      return write(Buffer.from([0, 0, 0, 0]));
    case "/short":
      return write(Buffer.from([3, 0, 0, 0, 0, 200, 1]));
    case "/truncated":
      write(answer(200, [text], said).subarray(0, 12));
      return process.exit(1);
    case "/nonsense":
      return write(Buffer.from([255, 255, 255, 255, 1, 2, 3]));
    case "/bad-header":
      return write(answer(200, [["X-A", ["1\r\nX-B: 2"]]], said));
    case "/die":
      return process.exit(1);
    case "/die-once":
      // The first of them to be asked dies; the next one lives.
      if (!existsSync(mark)) {
        writeFileSync(mark, "");
        process.exit(1);
      }
      return write(answer(200, [text], said));
    case "/hang":
      return await sleep(60_000);
    case "/print":
      process.stdout.write("to standard output\nsecond ");
      process.stderr.write("to standard error\n");
      process.stdout.write("half\n");
      return write(answer(200, [text], said));
  }
  write(answer(200, [text], said));
}

function read(size: number): Buffer | undefined {
  const buffer = Buffer.alloc(Math.max(0, size));
  let at = size < 0 ? -1 : 0;
  while (at !== -1 && at < size) {
    const more = readSome(buffer, at);
    at = more === 0 ? -1 : at + more;
  }
  return at === -1 ? undefined : buffer;
}

/** Node does not wait for bytes where its `process.stdin` was ever looked at, as by an import of it. */
function readSome(buffer: Buffer, at: number): number {
  for (;;) {
    try {
      return readSync(0, buffer, at, buffer.length - at, null);
    } catch (error) {
      if (Reflect.get(Object(error), "code") !== "EAGAIN") throw error;
      Atomics.wait(nobody, 0, 0, 1);
    }
  }
}

function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(3, bytes, at);
}

function parse(packet: Buffer): Asked {
  let at = 1;
  const uint = () => {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = packet[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const data = () => {
    const size = uint();
    return packet.subarray(at, at += size);
  };
  const text = () => data().toString();
  const [peer, url, method] = [text(), text(), text()];
  const headers = Array.from({ length: uint() }, (): [string, string] => [text(), text()]);
  return { peer, url: new URL(url), method, headers, body: data() };
}

function answer(status: number, headers: [string, string[]][], body: Buffer): Buffer {
  const uint = (value: number): Buffer => {
    const bytes: number[] = [];
    for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
    return Buffer.from([...bytes, value]);
  };
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([uint(bytes.length), bytes]);
  };
  const message = Buffer.concat([
    Buffer.from([0]),
    uint(status),
    uint(headers.length),
    ...headers.flatMap(([name, values]) => [
      text(name),
      uint(values.length),
      ...values.map(text),
    ]),
    uint(body.length),
    body,
  ]);
  const size = Buffer.alloc(4);
  size.writeInt32LE(message.length);
  return Buffer.concat([size, message]);
}
