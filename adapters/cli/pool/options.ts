/**
 * The options of `mod.ts pool`, with the names and the defaults of the programs that it replaces.
 */

import { BODY_BYTES_MAX, POOL_TRANSFER_MS } from "../../../runtime/limits.ts";
import { STATIC_PREFIX } from "../../../runtime/http/static_files.ts";
import { POOL_DEFAULTS } from "../../../runtime/processes/pool_options.ts";
import {
  describeTable,
  type OptionTable,
  parsePrefix,
  readOptions,
  UsageError,
  valuesOf,
} from "../option_table.ts";
import { type Address, parseAddress, parseCount, parseDuration, parseSize } from "../units.ts";

/** The settings of a pool, read and complete. */
export interface PoolSettings {
  readonly sizeMin: number;
  readonly sizeMax: number;
  readonly spawnTimeoutMs: number;
  readonly rendezvousTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly restartDelayMs: number;
  readonly attritionDelayMs: number;
  readonly healthCheckIntervalMs: number;
  readonly bodyBytesMax: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly backlogMax: number;
  readonly static: string | undefined;
  readonly staticPrefix: string;
  readonly addr: Address;
  readonly ctlSocket: string;
}

/** What is asked of `mod.ts pool`. */
export interface PoolCall {
  readonly help: boolean;
  readonly version: boolean;
  readonly settings: PoolSettings;
  /** The program that is run, and its arguments. */
  readonly command: readonly string[];
}

/** This machine alone: what faces the world is in front of it. */
const ADDR = "127.0.0.1:8080";
const CTL_SOCKET = "./alcedo.sock";

const TABLE: OptionTable<PoolSettings> = {
  sizeMin: {
    flag: "min-pool-size",
    value: "COUNT",
    help: "workers that are kept",
    fallback: String(POOL_DEFAULTS.sizeMin),
    parse: parseCount,
  },
  sizeMax: {
    flag: "max-pool-size",
    value: "COUNT",
    help: "workers that there are at most",
    fallback: String(POOL_DEFAULTS.sizeMax),
    parse: parseCount,
  },
  spawnTimeoutMs: {
    flag: "worker-spawn-timeout",
    value: "DURATION",
    help: "what a request waits before one more worker is started",
    fallback: `${POOL_DEFAULTS.spawnTimeoutMs}ms`,
    parse: parseDuration,
  },
  rendezvousTimeoutMs: {
    flag: "worker-rendezvous-timeout",
    value: "DURATION",
    help: "what a request waits for a worker; then the answer is 503",
    fallback: seconds(POOL_DEFAULTS.rendezvousTimeoutMs),
    parse: parseDuration,
  },
  requestTimeoutMs: {
    flag: "worker-request-timeout",
    value: "DURATION",
    help: "what a worker may take; then it is killed, and the answer is 504",
    fallback: seconds(POOL_DEFAULTS.requestTimeoutMs),
    parse: parseDuration,
  },
  restartDelayMs: {
    flag: "worker-restart-delay",
    value: "DURATION",
    help: "from the death of a worker to the start of another; doubled each time",
    fallback: seconds(POOL_DEFAULTS.restartDelayMs),
    parse: parseDuration,
  },
  attritionDelayMs: {
    flag: "worker-attrition-delay",
    value: "DURATION",
    help: "after which idle workers go, down to the minimum",
    fallback: seconds(POOL_DEFAULTS.attritionDelayMs),
    parse: parseDuration,
  },
  healthCheckIntervalMs: {
    flag: "worker-health-check-interval",
    value: "DURATION",
    help: "without a request, after which a worker's health is checked",
    fallback: seconds(POOL_DEFAULTS.healthCheckIntervalMs),
    parse: parseDuration,
  },
  bodyBytesMax: {
    flag: "max-request-body-size",
    value: "SIZE",
    help: "what the body of a request may have; more is answered with 413",
    fallback: `${BODY_BYTES_MAX / 1024 ** 2}MiB`,
    parse: parseSize,
  },
  readTimeoutMs: {
    flag: "request-read-timeout",
    value: "DURATION",
    help: "in which a body must arrive; then the answer is 408",
    fallback: seconds(POOL_TRANSFER_MS),
    parse: parseDuration,
  },
  writeTimeoutMs: {
    flag: "request-write-timeout",
    value: "DURATION",
    help: "in which an answer must be taken; then the client is cut off",
    fallback: seconds(POOL_TRANSFER_MS),
    parse: parseDuration,
  },
  backlogMax: {
    flag: "request-backlog",
    value: "COUNT",
    help: "requests that may wait for a worker; more are answered with 503",
    fallback: String(POOL_DEFAULTS.backlogMax),
    parse: parseCount,
  },
  static: {
    flag: "static-root",
    value: "DIR",
    help: "a folder whose files are served before a worker is asked",
    fallback: "none",
    parse: (text) => text,
  },
  staticPrefix: {
    flag: "static-url-prefix",
    value: "PATH",
    help: "the path under which they are",
    fallback: STATIC_PREFIX,
    parse: parsePrefix,
  },
  addr: {
    flag: "addr",
    alias: "listen-address",
    value: "[HOST]:PORT",
    help: "where to listen, also --listen-address; port 0 is any free one",
    fallback: ADDR,
    parse: parseAddress,
  },
  ctlSocket: {
    flag: "ctl-socket",
    value: "PATH",
    help: "a Unix socket that takes commands, for its owner alone",
    fallback: CTL_SOCKET,
    parse: (text) => text,
  },
};

function seconds(ms: number): string {
  return `${ms / 1000}s`;
}

/** The lines of the help that describe the options. */
export function describePoolOptions(): string {
  return describeTable(TABLE);
}

/**
 * Reads the arguments after `pool`, and the environment.
 *
 * @throws {UsageError} if an option is unknown, or has no value that can be read.
 */
export function readPoolCall(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): PoolCall {
  const end = args.indexOf("--");
  const { flags, positional, help, version } = readOptions(
    TABLE,
    end === -1 ? args : args.slice(0, end),
  );
  const [surplus] = positional;
  if (surplus !== undefined) {
    throw new UsageError(`unknown argument "${surplus}"; the command is written after --`);
  }
  const { given, parse } = valuesOf(TABLE, flags, environment);
  const sizeMin = given("sizeMin") ?? POOL_DEFAULTS.sizeMin;
  const sizeMax = given("sizeMax") ?? Math.max(sizeMin, POOL_DEFAULTS.sizeMax);
  if (sizeMin > sizeMax) {
    throw new UsageError(`--min-pool-size is ${sizeMin}, more than --max-pool-size ${sizeMax}`);
  }
  const settings: PoolSettings = Object.freeze({
    sizeMin,
    sizeMax,
    spawnTimeoutMs: given("spawnTimeoutMs") ?? POOL_DEFAULTS.spawnTimeoutMs,
    rendezvousTimeoutMs: given("rendezvousTimeoutMs") ?? POOL_DEFAULTS.rendezvousTimeoutMs,
    requestTimeoutMs: given("requestTimeoutMs") ?? POOL_DEFAULTS.requestTimeoutMs,
    restartDelayMs: given("restartDelayMs") ?? POOL_DEFAULTS.restartDelayMs,
    attritionDelayMs: given("attritionDelayMs") ?? POOL_DEFAULTS.attritionDelayMs,
    healthCheckIntervalMs: given("healthCheckIntervalMs") ?? POOL_DEFAULTS.healthCheckIntervalMs,
    bodyBytesMax: given("bodyBytesMax") ?? BODY_BYTES_MAX,
    readTimeoutMs: given("readTimeoutMs") ?? POOL_TRANSFER_MS,
    writeTimeoutMs: given("writeTimeoutMs") ?? POOL_TRANSFER_MS,
    backlogMax: given("backlogMax") ?? POOL_DEFAULTS.backlogMax,
    static: given("static"),
    staticPrefix: given("staticPrefix") ?? STATIC_PREFIX,
    addr: given("addr") ?? parse("addr", "addr", ADDR),
    ctlSocket: given("ctlSocket") ?? CTL_SOCKET,
  });
  return { help, version, settings, command: end === -1 ? [] : args.slice(end + 1) };
}
