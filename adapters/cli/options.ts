/**
 * The options of a server: one table, and what its settings are when arguments, environment and
 * application have been heard. Resolved once, at the edge, into one frozen object.
 */

import type { AccessFormat } from "../../runtime/http/access_line.ts";
import { STATIC_PREFIX } from "../../runtime/http/static_files.ts";
import type { Durability } from "../../runtime/log/event_log.ts";
import type { LogFormat } from "../../runtime/log/recovery.ts";
import {
  BODY_BYTES_MAX,
  BODY_TIMEOUT_MS,
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADER_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
  REQUESTS_MAX,
  SNAPSHOT_LOG_BYTES,
  URL_BYTES_MAX,
  WRITE_QUEUE_MAX,
} from "../../runtime/limits.ts";
import type { ServerLimits } from "../../runtime/http/fetch_handler.ts";
import type { OnBadEvent } from "../../runtime/replay.ts";
import type { ResolvedLimits } from "../_listen_options.ts";
import { TrustedProxies } from "../_trusted_proxies.ts";
import {
  type CommandLine,
  describeTable,
  type OptionTable,
  parsePrefix,
  readOptions,
  valuesOf,
} from "./option_table.ts";
import {
  type Address,
  oneOf,
  parseAddress,
  parseCount,
  parseDuration,
  parseLoopback,
  parseSize,
  parseSwitch,
} from "./units.ts";

export { type CommandLine, UsageError } from "./option_table.ts";

/** Every address, and a port that needs no rights and is nobody's by custom. */
const ADDR = ":9000";
const EVENTS_FILE = "db.events";

/** The settings of a server, as written: what arguments and the environment can change. */
export interface ServerSettings extends ServerLimits {
  /**
   * Where to listen: `:9000`, `HOST:9000`, `[::1]:9000`; port 0 is any free one.
   * @default {":9000"}
   */
  addr?: string;
  /**
   * Where to serve `/healthz`, `/readyz` and `/metrics`: `:9001` is this machine alone,
   * `0.0.0.0:9001` every address. There is no password, and no TLS.
   * @default none
   */
  adminAddr?: string;
  /**
   * A file with the server's certificate in PEM, and behind it those that lead to one that clients
   * know. It makes the server one for HTTPS; at SIGHUP it is read again.
   * @default none
   */
  tlsCert?: string;
  /**
   * The file with its private key, in PEM and without a passphrase.
   * @default none
   */
  tlsKey?: string;
  /**
   * Writes each exchange to standard output, as JSON or logfmt.
   * @default {"off"}
   */
  accessLog?: "json" | "logfmt" | "off";
  /**
   * The path of a Unix socket at which the server takes commands, such as `stats` and `snapshot`,
   * from its own user and root.
   * @default none
   */
  ctlSocket?: string;
  /**
   * The file with the events.
   * @default {"db.events"}
   */
  eventsFile?: string;
  /**
   * The format of a log that is made: `checked`, with sums and commits, or `plain`.
   * @default {"checked"}
   */
  eventsFormat?: LogFormat;
  /**
   * What an answer waits for, in Redis's words: `always`, until its commit is synced; `everysec`
   * and `no`, until it is written: a loss of power may undo the last seconds.
   * @default {"always"}
   */
  durability?: Durability;
  /**
   * Serves reads alone: the log is neither changed nor locked.
   * @default {false}
   */
  readOnly?: boolean;
  /**
   * Begins a new log where it is missing, though its mark or a snapshot is still there.
   * @default {false}
   */
  isNew?: boolean;
  /**
   * What becomes of an event in the log that can no longer be decoded or applied: `stop`, and
   * there is no start; `skip`, and the model is without the commit that has it.
   * @default {"stop"}
   */
  onBadEvent?: OnBadEvent;
  /**
   * Bytes of log after which a snapshot of the model is made, if the application has a
   * `modelVersion`; no less than the snapshot before has. 0: never.
   * @default {256 MiB}
   */
  snapshotBytes?: number;
  /**
   * Makes a snapshot when the server is stopped, so that the next start is a short one.
   * @default {false}
   */
  snapshotOnStop?: boolean;
  /**
   * Bytes that a write's body may have.
   * @default {4 MiB}
   */
  bodyBytesMax?: number;
  /**
   * Milliseconds that a handler may take.
   * @default {60_000}
   */
  requestTimeoutMs?: number;
  /**
   * Writes that may wait for their turn.
   * @default {2048}
   */
  writeQueueMax?: number;
  /**
   * A folder whose files are served before the application is asked; see `serveFiles`.
   * @default none
   */
  static?: string;
  /**
   * The path under which they are: it begins and ends with a slash.
   * @default {"/static/"}
   */
  staticPrefix?: string;
}

/** The settings of a server, read and complete. */
export interface ResolvedSettings extends ResolvedLimits {
  readonly addr: Address;
  readonly adminAddr: Address | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly accessLog: AccessFormat | "off";
  readonly ctlSocket: string | undefined;
  readonly eventsFile: string;
  readonly eventsFormat: LogFormat;
  readonly durability: Durability;
  readonly readOnly: boolean;
  readonly isNew: boolean;
  readonly onBadEvent: OnBadEvent;
  readonly snapshotBytes: number;
  readonly snapshotOnStop: boolean;
  readonly bodyBytesMax: number;
  readonly requestTimeoutMs: number;
  readonly writeQueueMax: number;
  readonly static: string | undefined;
  readonly staticPrefix: string;
}

const SPECS: OptionTable<ResolvedSettings> = {
  addr: {
    flag: "addr",
    value: "[HOST]:PORT",
    help: "where to listen; port 0 is any free one",
    fallback: ADDR,
    parse: parseAddress,
  },
  adminAddr: {
    flag: "admin-addr",
    value: "[HOST]:PORT",
    help: "where to serve /healthz, /readyz, /metrics; without HOST on loopback",
    fallback: "none",
    parse: parseLoopback,
  },
  tlsCert: {
    flag: "tls-cert",
    value: "FILE",
    help: "the certificate to serve HTTPS with, in PEM; read again at SIGHUP",
    fallback: "none",
    parse: (text) => text,
  },
  tlsKey: {
    flag: "tls-key",
    value: "FILE",
    help: "the private key of that certificate",
    fallback: "none",
    parse: (text) => text,
  },
  accessLog: {
    flag: "access-log",
    value: "FORMAT",
    help: "a line for each exchange on standard output: json, logfmt or off",
    fallback: "off",
    parse: oneOf("json", "logfmt", "off"),
  },
  ctlSocket: {
    flag: "ctl-socket",
    value: "PATH",
    help: "a Unix socket that takes commands, for its owner alone; see ctl --help",
    fallback: "none",
    parse: (text) => text,
  },
  eventsFile: {
    flag: "events-file",
    value: "FILE",
    help: "the file with the events; created if there is none",
    fallback: EVENTS_FILE,
    parse: (text) => text,
  },
  eventsFormat: {
    flag: "events-format",
    value: "FORMAT",
    help: "the format of a new log: checked or plain",
    fallback: "checked",
    parse: oneOf("checked", "plain"),
  },
  durability: {
    flag: "durability",
    value: "WHEN",
    help: "when a write is answered: always (synced), everysec or no (written)",
    fallback: "always",
    parse: oneOf("always", "everysec", "no"),
  },
  readOnly: {
    flag: "read-only",
    value: undefined,
    help: "serve reads alone; the log is not changed",
    fallback: "false",
    parse: parseSwitch,
  },
  isNew: {
    flag: "new",
    value: undefined,
    help: "begin a new log though a mark or a snapshot of one is left",
    fallback: "false",
    parse: parseSwitch,
  },
  onBadEvent: {
    flag: "on-bad-event",
    value: "WHAT",
    help: "what an event that cannot be applied does: stop, or skip it and its commit",
    fallback: "stop",
    parse: oneOf("stop", "skip"),
  },
  snapshotBytes: {
    flag: "snapshot-bytes",
    value: "SIZE",
    help: "bytes of log after which a snapshot is made; 0 for never",
    fallback: `${SNAPSHOT_LOG_BYTES / 1024 ** 2}MiB`,
    parse: parseSize,
  },
  snapshotOnStop: {
    flag: "snapshot-on-stop",
    value: undefined,
    help: "make a snapshot when the server is stopped",
    fallback: "false",
    parse: parseSwitch,
  },
  bodyBytesMax: {
    flag: "max-body-bytes",
    value: "SIZE",
    help: "what a write's body may have; more is answered with 413",
    fallback: `${BODY_BYTES_MAX / 1024 ** 2}MiB`,
    parse: parseSize,
  },
  requestTimeoutMs: {
    flag: "request-timeout",
    value: "DURATION",
    help: "what a handler may take; then the answer is 504",
    fallback: `${REQUEST_TIMEOUT_MS / 1000}s`,
    parse: parseDuration,
  },
  writeQueueMax: {
    flag: "write-queue-max",
    value: "COUNT",
    help: "writes that may wait; more are answered with 503",
    fallback: String(WRITE_QUEUE_MAX),
    parse: parseCount,
  },
  urlBytesMax: {
    flag: "max-url-bytes",
    value: "SIZE",
    help: "what a URL may have; more is answered with 414",
    fallback: `${URL_BYTES_MAX / 1024}KiB`,
    parse: parseSize,
  },
  headerBytesMax: {
    flag: "max-header-bytes",
    value: "SIZE",
    help: "what a request's header may have; more is answered with 431",
    fallback: `${HEADER_BYTES_MAX / 1024}KiB, on Deno 64KiB`,
    parse: parseSize,
  },
  headerTimeoutMs: {
    flag: "header-timeout",
    value: "DURATION",
    help: "when a request's header has to be there; else the answer is 408",
    fallback: `${HEADER_TIMEOUT_MS / 1000}s`,
    parse: parseDuration,
  },
  bodyTimeoutMs: {
    flag: "body-timeout",
    value: "DURATION",
    help: "how long to wait for a body, or each MiB of it; then the answer is 408",
    fallback: `${BODY_TIMEOUT_MS / 1000}s`,
    parse: parseDuration,
  },
  idleTimeoutMs: {
    flag: "idle-timeout",
    value: "DURATION",
    help: "when a connection without a request is closed",
    fallback: `${IDLE_TIMEOUT_MS / 1000}s`,
    parse: parseDuration,
  },
  connectionsMax: {
    flag: "max-connections",
    value: "COUNT",
    help: "connections at a time; those beyond are closed at once",
    fallback: String(CONNECTIONS_MAX),
    parse: parseCount,
  },
  requestsMax: {
    flag: "max-requests",
    value: "COUNT",
    help: "requests that may wait for an answer; more are answered with 503",
    fallback: String(REQUESTS_MAX),
    parse: parseCount,
  },
  trustedProxies: {
    flag: "trusted-proxies",
    value: "LIST",
    help: "whose forwarded fields count: addresses, ranges, loopback, private",
    fallback: "none",
    parse: parseProxies,
  },
  static: {
    flag: "static",
    value: "DIR",
    help: "a folder whose files are served before the application is asked",
    fallback: "none",
    parse: (text) => text,
  },
  staticPrefix: {
    flag: "static-prefix",
    value: "PATH",
    help: "the path under which they are",
    fallback: STATIC_PREFIX,
    parse: parsePrefix,
  },
};

/** Reads a list with commas. */
function parseProxies(text: string): readonly string[] {
  const proxies = text.split(",").map((proxy) => proxy.trim()).filter((proxy) => proxy !== "");
  // It says what is wrong with one.
  new TrustedProxies(proxies);
  return proxies;
}

/**
 * The settings in force: arguments before the environment, before what the application says
 * in its code, before the defaults.
 *
 * @throws {UsageError} if a value cannot be read; it names where the value came from.
 */
export function resolveSettings(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
  settings: ServerSettings,
): ResolvedSettings {
  const { parse, given } = valuesOf(SPECS, flags, environment);
  return Object.freeze({
    addr: given("addr") ?? parse("addr", "addr", settings.addr ?? ADDR),
    adminAddr: given("adminAddr") ??
      (settings.adminAddr === undefined
        ? undefined
        : parse("adminAddr", "adminAddr", settings.adminAddr)),
    tlsCert: given("tlsCert") ?? settings.tlsCert,
    tlsKey: given("tlsKey") ?? settings.tlsKey,
    accessLog: given("accessLog") ?? settings.accessLog ?? "off",
    ctlSocket: given("ctlSocket") ?? settings.ctlSocket,
    eventsFile: given("eventsFile") ?? settings.eventsFile ?? EVENTS_FILE,
    eventsFormat: given("eventsFormat") ?? settings.eventsFormat ?? "checked",
    durability: given("durability") ?? settings.durability ?? "always",
    readOnly: given("readOnly") ?? settings.readOnly ?? false,
    isNew: given("isNew") ?? settings.isNew ?? false,
    onBadEvent: given("onBadEvent") ?? settings.onBadEvent ?? "stop",
    snapshotBytes: given("snapshotBytes") ?? settings.snapshotBytes ?? SNAPSHOT_LOG_BYTES,
    snapshotOnStop: given("snapshotOnStop") ?? settings.snapshotOnStop ?? false,
    bodyBytesMax: given("bodyBytesMax") ?? settings.bodyBytesMax ?? BODY_BYTES_MAX,
    requestTimeoutMs: given("requestTimeoutMs") ?? settings.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    writeQueueMax: given("writeQueueMax") ?? settings.writeQueueMax ?? WRITE_QUEUE_MAX,
    urlBytesMax: given("urlBytesMax") ?? settings.urlBytesMax ?? URL_BYTES_MAX,
    headerBytesMax: given("headerBytesMax") ?? settings.headerBytesMax,
    headerTimeoutMs: given("headerTimeoutMs") ?? settings.headerTimeoutMs ?? HEADER_TIMEOUT_MS,
    bodyTimeoutMs: given("bodyTimeoutMs") ?? settings.bodyTimeoutMs ?? BODY_TIMEOUT_MS,
    idleTimeoutMs: given("idleTimeoutMs") ?? settings.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    connectionsMax: given("connectionsMax") ?? settings.connectionsMax ?? CONNECTIONS_MAX,
    requestsMax: given("requestsMax") ?? settings.requestsMax ?? REQUESTS_MAX,
    trustedProxies: given("trustedProxies") ?? settings.trustedProxies ?? [],
    static: given("static") ?? settings.static,
    staticPrefix: given("staticPrefix") ??
      parse("staticPrefix", "staticPrefix", settings.staticPrefix ?? STATIC_PREFIX),
  });
}

/**
 * Takes a command line apart.
 *
 * @throws {UsageError} if an option is unknown, or has no value.
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  return readOptions(SPECS, args);
}

/** The lines of the help that describe the options. */
export function describeOptions(): string {
  return describeTable(SPECS);
}
