/**
 * Rivals: the same small service, each answer after its 100 bytes are on disk, on Alcedo, with
 * SQLite in its process, and with Redis beside it.
 */

import { EVENT_BYTES } from "./application.ts";
import type { Bench, Findings } from "./bench.ts";
import { findRedis } from "./databases.ts";
import type { Runtime } from "./runtimes.ts";
import {
  type BenchServer,
  EXCLUSIVE_SQLITE,
  PURE,
  REDIS,
  type ServerKind,
  SQLITE,
  startServer,
} from "./server.ts";
import { milliseconds, whole } from "./table.ts";
import { loadInTurns, summarize, type Summary } from "./throughput.ts";
import { checkWrites } from "./write.ts";

interface Row extends Summary {
  readonly runtime: Runtime;
  /** How many times as fast Alcedo is, and how many times its processor time this one takes. */
  readonly alcedoOf: number;
  readonly cpuOfAlcedo: number;
}

/** Measures durable writes beside databases. */
export async function benchRivals(bench: Bench, runtimes: readonly Runtime[]): Promise<Findings> {
  const hasRedis = findRedis() !== undefined;
  const kinds = [PURE, SQLITE, EXCLUSIVE_SQLITE, ...(hasRedis ? [REDIS] : [])];
  const data: Row[] = [];
  for (const runtime of runtimes) {
    bench.say(`rivals on ${runtime}`);
    data.push(...await rivalsOn(bench, runtime, kinds));
  }
  return {
    data,
    table: {
      title: `Durable writes of ${EVENT_BYTES} bytes, beside databases`,
      columns: [
        "server",
        "connections",
        "answers/s",
        "Alcedo is × as fast",
        "p50 ms",
        "p99 ms",
        "CPU µs/answer",
        "× that of Alcedo",
      ],
      rows: data.map((row) => [
        `${row.runtime}: ${row.server}`,
        String(row.connections),
        whole(row.perSecond),
        row.alcedoOf.toFixed(2),
        milliseconds(row.p50),
        milliseconds(row.p99),
        row.cpuUs.toFixed(1),
        row.cpuOfAlcedo.toFixed(2),
      ]),
      notes: [
        "targets: against SQLite 10 at 64 connections, 1 at one; against Redis 1.2 at 64 and 256",
        "SQLite: WAL, synchronous=FULL, a transaction for each request, in a fetch handler",
        "exclusive: the same with locking_mode=EXCLUSIVE, and on node with node:http",
        hasRedis
          ? "Redis: appendfsync=always, a Unix socket, one client that sends a turn's commands at " +
            "once, on node with node:http; its processor time is counted, too"
          : 'Redis was not measured: "redis-server" is not installed',
        "every write that was answered was found after the server was killed, and Redis with it",
      ],
    },
  };
}

async function rivalsOn(
  bench: Bench,
  runtime: Runtime,
  kinds: readonly ServerKind[],
): Promise<Row[]> {
  await using servers = new AsyncDisposableStack();
  const running: BenchServer[] = [];
  for (const kind of kinds) {
    running.push(servers.use(await startServer(runtime, kind, { ...bench, entries: 0 })));
  }
  const rows: Row[] = [];
  for (const connections of bench.options.connections) {
    const requests = { kind: "write", bytes: EVENT_BYTES } as const;
    const rounds = await loadInTurns(bench, running, requests, connections);
    const [alcedo = []] = rounds;
    for (const [i, { kind }] of running.entries()) {
      const own = rounds[i] ?? [];
      const { ratio: alcedoOf, cpuRatio: cpuOfAlcedo } = summarize(alcedo, own);
      const summary = { server: kind.name, connections, ...summarize(own, alcedo) };
      rows.push({ runtime, ...summary, alcedoOf, cpuOfAlcedo });
    }
  }
  for (const server of running) await checkWrites(server);
  return rows;
}
