/**
 * Loads a server, in a process of its own: what it costs must not be the server's.
 *
 *     node bench/load/client.ts PLAN     PLAN: a `LoadPlan` as JSON
 *
 * Prints a `LoadResult` as JSON.
 */

import { Buffer } from "node:buffer";
import { connect } from "node:net";
import process from "node:process";
import { bodyOf, EVENT_BYTES, keyOf } from "../application.ts";
import { Histogram } from "../histogram.ts";
import { type Connection, openConnection, type ReadyRequest } from "./connection.ts";
import {
  entriesToRead,
  type LoadPlan,
  type LoadResult,
  type RequestPlan,
  type SidePlan,
} from "./plan.ts";

const OK = Buffer.from("ok");

async function load(plan: LoadPlan): Promise<LoadResult> {
  const requests = readyRequests(plan.requests);
  const latencies = new Histogram();
  let wrong = 0;
  let at = 0;
  const connections = await openConnections(plan.port, plan.connections);
  const start = performance.now();
  const end = start + plan.ms;
  const one = (connection: Connection): Promise<void> => {
    let sent = 0;
    return connection.use({
      next() {
        sent = performance.now();
        return sent < end ? requests[at++ % requests.length] : undefined;
      },
      answered(isRight) {
        latencies.add((performance.now() - sent) * 1000);
        if (!isRight) wrong++;
      },
    });
  };
  const beside = plan.beside === undefined ? 0 : loadBeside(plan.port, plan.beside, end);
  await Promise.all(connections.map(one));
  return {
    answered: latencies.total,
    wrong,
    ms: performance.now() - start,
    p50: latencies.percentile(0.5),
    p99: latencies.percentile(0.99),
    beside: await beside,
  };
}

function openConnections(port: number, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(port)));
}

function readyRequests(plan: RequestPlan): ReadyRequest[] {
  if (plan.kind === "write") return [readyWrite("POST", plan.bytes)];
  return entriesToRead(plan.entries).map((entry) => ({
    bytes: Buffer.from(`GET /${keyOf(entry)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`),
    body: Buffer.from(bodyOf(entry)),
  }));
}

function readyWrite(method: string, bytes: number): ReadyRequest {
  const head =
    `${method} / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n\r\n`;
  return { bytes: Buffer.from(head + "x".repeat(bytes)), body: OK };
}

/** Resolves with how many requests were answered. */
async function loadBeside(port: number, plan: SidePlan, end: number): Promise<number> {
  let answered = 0;
  if (plan.kind === "slow writes") {
    const request = readyWrite("PUT", EVENT_BYTES);
    const connections = await openConnections(port, plan.connections);
    await Promise.all(connections.map((connection) =>
      connection.use({
        next: () => performance.now() < end ? request : undefined,
        answered: () => void answered++,
      })
    ));
    return answered;
  }
  while (performance.now() < end) {
    await uploadSlowly(port, readyWrite("POST", plan.bytes).bytes, plan.byteMs);
    answered++;
  }
  return answered;
}

/** Sends a request, its body byte by byte, and resolves when it has been answered. */
function uploadSlowly(port: number, bytes: Uint8Array, byteMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = Buffer.from(bytes).indexOf("\r\n\r\n") + 4;
    let timer: NodeJS.Timeout | undefined;
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    socket.once("connect", () => {
      socket.write(bytes.subarray(0, sent));
      timer = setInterval(() => {
        socket.write(bytes.subarray(sent, ++sent));
        if (sent >= bytes.length) clearInterval(timer);
      }, byteMs);
    });
    socket.once("data", () => {
      socket.end();
      resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => {
      clearInterval(timer);
      reject(new Error("Cannot load the server: it did not answer an upload"));
    });
  });
}

console.log(JSON.stringify(await load(JSON.parse(process.argv[2] ?? "") as LoadPlan)));
