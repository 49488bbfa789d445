/**
 * Serves an application, or a plain handler, until a signal stops it: what `mod.ts app.ts`
 * and an application that is run by itself have in common.
 */

import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type App, faultOfApp } from "../../runtime/app.ts";
import type { Engine } from "../../runtime/engine.ts";
import type {
  FetchHandler,
  ListenOptions,
  RequestInfo,
  Server,
  TlsOptions,
} from "../../runtime/http/fetch_handler.ts";
import type { FileHandler } from "../../runtime/http/static_files.ts";
import { STOP_GRACE_MS } from "../../runtime/limits.ts";
import { type EventLog, mayLose } from "../../runtime/log/event_log.ts";
import type { Observer } from "../admin/observer.ts";
import type { ControlSocket } from "../control/control_socket.ts";
import type { ServerView } from "../control/server_commands.ts";
import { openFileLog } from "../file_log.ts";
import { resolveLimits } from "../_listen_options.ts";
import { listen } from "../listen.ts";
import { openEngine } from "../open_engine.ts";
import { printError, printWarning } from "../print.ts";
import { serveFiles } from "../serve_files.ts";
import { keepSnapshots, type SnapshotKeeper } from "../snapshots.ts";
import { carryOut, type SnapshotTask, takeSnapshotTask } from "../snapshot_task.ts";
import type { Certificate } from "./certificate.ts";
import { exitWith, StartError } from "./exit.ts";
import {
  describeOptions,
  readCommandLine,
  type ResolvedSettings,
  resolveSettings,
  type ServerSettings,
  UsageError,
} from "./options.ts";
import { progressLine } from "./progress.ts";
import { type Address, formatAddress } from "./units.ts";
import { versionLine } from "./version.ts";

/** Options of `serve`. What is not given here is taken from arguments and environment. */
export interface ServeOptions extends ServerSettings {
  /**
   * `import.meta.url` of the module whose default export is the application: what other
   * threads and processes load it from. From an executable or a bundle none can be loaded: the
   * program is then started again with its arguments, and does not come back from `serve`.
   */
  module?: string;
  /**
   * The log, instead of a file.
   * @default the file `eventsFile`
   */
  log?: EventLog;
  /**
   * The certificate and its key themselves, where no files are named.
   * @default none
   */
  tls?: TlsOptions;
  /**
   * The command line.
   * @default the arguments of the process
   */
  args?: readonly string[];
}

/** A served application. */
export interface Serving<Model, Event> extends Server {
  /** The engine, for timers, sockets and scripts that read and write too. */
  readonly engine: Engine<Model, Event>;
}

/** What a module can export to be served: an application, a handler, or an object with one. */
export type Servable<Model, Event> = App<Model, Event> | FetchHandler | { fetch: FetchHandler };

/** What keeps `value` from being served, or `undefined` if nothing does. */
export function faultOfServable(value: unknown): string | undefined {
  return handlerOf(value) === undefined ? faultOfApp(value) : undefined;
}

function handlerOf(value: unknown): FetchHandler | undefined {
  if (typeof value === "function") return value as FetchHandler;
  if (typeof value !== "object" || value === null || !("fetch" in value)) return undefined;
  const holder = value as { fetch: FetchHandler };
  return typeof holder.fetch === "function"
    ? (request, info) => holder.fetch(request, info)
    : undefined;
}

/**
 * Serves as the command line and the environment say, and prints the address once it accepts
 * connections. If it cannot, it says why in one line and ends the process.
 */
export async function serveApp<Model, Event>(
  app: Servable<Model, Event>,
  options: ServeOptions,
): Promise<Serving<Model, Event> | Server> {
  try {
    const line = readCommandLine(options.args ?? process.argv.slice(2));
    const name = options.module === undefined ? "app.ts" : fileName(options.module);
    if (line.help) return printAndExit(`Usage: ${name} [options]\n\n${describeOptions()}`);
    if (line.version) return printAndExit(versionLine());
    const [surplus] = line.positional;
    if (surplus !== undefined) throw new UsageError(`unknown argument "${surplus}"; see --help`);
    const settings = resolveSettings(line.flags, process.env, options);
    const task = takeSnapshotTask();
    if (task !== undefined) return await carryOut(task, () => theServed(app, settings, task));
    return await start(app, settings, options);
  } catch (error) {
    exitWith(error);
  }
}

/** The application that a snapshot is to be made of, in a program that was started again for it. */
function theServed(app: unknown, { eventsFile }: ResolvedSettings, { log }: SnapshotTask): unknown {
  if (resolve(eventsFile) === log) return app;
  throw new StartError(
    `this program serves "${eventsFile}" first: snapshots of another log can only be made where ` +
      `its application is a module of its own`,
  );
}

function fileName(module: string): string {
  return module.startsWith("file:") ? fileURLToPath(module).replace(/^.*\//, "") : module;
}

/** Prints to standard output and ends the process. */
export function printAndExit(text: string): never {
  console.log(text);
  process.exit(0);
}

/** Serves with settings that are known. */
export async function start<Model, Event>(
  app: Servable<Model, Event>,
  settings: ResolvedSettings,
  { log: given, module, tls }: Pick<ServeOptions, "log" | "module" | "tls"> = {},
): Promise<Serving<Model, Event> | Server> {
  const files = filesOf(settings);
  const handler = handlerOf(app);
  const fault = handler === undefined ? faultOfApp(app) : undefined;
  if (fault !== undefined) throw new StartError(`cannot serve the application: ${fault}`);
  const certificate = await certificateOf(settings, tls);
  const observer = await beginObserving(settings);
  if (handler !== undefined) {
    const asked = withFiles(files, handler);
    const server = await listenAt(observer?.observed(asked) ?? asked, settings, certificate);
    observer?.serving();
    return announce(server, certificate, async () => {
      observer?.stopping();
      await server.stop({ graceMs: STOP_GRACE_MS });
      await observer?.close();
    });
  }
  const { modelVersion } = app as App<Model, Event>;
  const log = given ?? await openLogFile(settings, modelVersion, observer);
  const isForReads = log.readOnly !== undefined;
  const engine = await openEngineOn(app as App<Model, Event>, settings, log, observer);
  let server: Server;
  try {
    const asked = withFiles(files, engine.fetch);
    server = await listenAt(observer?.observed(asked) ?? asked, settings, certificate);
  } catch (error) {
    await engine.close();
    throw error;
  }
  const isKept = given === undefined && !settings.readOnly && modelVersion !== undefined;
  const snapshots = isKept ? snapshotsOf(log, modelVersion, settings, module) : undefined;
  observer?.serving(engine, { isForReads, snapshots });
  const stop = async () => {
    observer?.stopping();
    await snapshots?.stop();
    await server.stop({ graceMs: STOP_GRACE_MS });
    await engine.close();
    await observer?.close();
  };
  const afterwards = settings.snapshotOnStop ? () => snapshots?.makeLast() : undefined;
  return { ...announce(server, certificate, stop, afterwards), engine };
}

/** The certificate of a server for HTTPS; loaded where there is one. */
async function certificateOf(
  settings: ResolvedSettings,
  tls: TlsOptions | undefined,
): Promise<Certificate | undefined> {
  const isSecure = tls ?? settings.tlsCert ?? settings.tlsKey;
  if (isSecure === undefined) return undefined;
  return (await import("./certificate.ts")).Certificate.open(settings, tls);
}

/** What is to be seen of the server, from before there is one; loaded where it is asked for. */
async function beginObserving(
  { adminAddr, accessLog, ctlSocket }: ResolvedSettings,
): Promise<Observer | undefined> {
  if (adminAddr === undefined && accessLog === "off" && ctlSocket === undefined) return undefined;
  const { Observer } = await import("../admin/observer.ts");
  const listen = adminAddr &&
    ((handler: FetchHandler) => listenOn("admin-addr", adminAddr, handler));
  const openControl = ctlSocket === undefined
    ? undefined
    : (view: ServerView) => openControlAt(ctlSocket, view);
  const observer = await Observer.begin({ listen, openControl, accessLog });
  if (observer.addr !== undefined) {
    printWarning(`health and metrics are on http://${formatAddress(observer.addr)}`);
  }
  return observer;
}

async function openControlAt(path: string, view: ServerView): Promise<ControlSocket> {
  const [{ openControlSocket }, { serverCommands }] = await Promise.all([
    import("../control/control_socket.ts"),
    import("../control/server_commands.ts"),
  ]);
  return openControlSocket(path, { commands: serverCommands(view), report: printError });
}

/** What answers with files, if there is a folder of them. */
export function filesOf(
  { static: folder, staticPrefix }: Pick<ResolvedSettings, "static" | "staticPrefix">,
): FileHandler | undefined {
  if (folder === undefined) return undefined;
  try {
    return serveFiles(folder, { prefix: staticPrefix });
  } catch (error) {
    if (!hasCode(error)) throw error;
    const why = FOLDER_EXPLANATIONS[error.code] ?? EXPLANATIONS[error.code];
    throw new StartError(`cannot serve the files in "${folder}": ${why}`);
  }
}

/** `fetch`, asked for what is no file. */
function withFiles(files: FileHandler | undefined, fetch: FetchHandler): FetchHandler {
  if (files === undefined) return fetch;
  return Object.assign(
    (request: Request, info: RequestInfo) => {
      const answer = files(request);
      if (answer === undefined) return fetch(request, info);
      return answer.then((response) => response ?? fetch(request, info));
    },
    { ...fetch.refuse && { refuse: fetch.refuse } },
  );
}

/** What makes snapshots of the log, if another process can load the application. */
function snapshotsOf(
  log: EventLog,
  modelVersion: string,
  { snapshotBytes }: ResolvedSettings,
  module: string | undefined,
): SnapshotKeeper | undefined {
  if (module === undefined) {
    printWarning(
      "no snapshots are made, though the application has a modelVersion: call serve with " +
        "{ module: import.meta.url }",
    );
    return undefined;
  }
  return keepSnapshots({ log, module, modelVersion, snapshotBytes, warn: printWarning });
}

async function openLogFile(
  settings: ResolvedSettings,
  modelVersion: string | undefined,
  observer: Observer | undefined,
): Promise<EventLog> {
  const { eventsFile, eventsFormat: format, durability, readOnly, isNew } = settings;
  const onSync = observer?.watchSyncs();
  const options = { format, durability, readOnly, isNew, modelVersion, onSync };
  try {
    return await openFileLog(eventsFile, options);
  } catch (error) {
    throw hasCode(error) ? new StartError(explain(error, `open "${eventsFile}"`)) : error;
  }
}

async function openEngineOn<Model, Event>(
  app: App<Model, Event>,
  settings: ResolvedSettings,
  log: EventLog,
  observer: Observer | undefined,
): Promise<Engine<Model, Event>> {
  const { bodyBytesMax, requestTimeoutMs, writeQueueMax, onBadEvent } = settings;
  const risk = mayLose(log.durability ?? "always");
  if (risk !== undefined) printWarning(`--durability ${log.durability}: ${risk}`);
  if (log.readOnly !== undefined) printWarning(`"${log.name}" is served for reads alone`);
  const progress = progressLine(log.name);
  try {
    return await openEngine(app, {
      log,
      bodyBytesMax,
      requestTimeoutMs,
      writeQueueMax,
      onBadEvent,
      onProgress(done) {
        progress.show(done);
        return observer?.replaying(done);
      },
    });
  } finally {
    progress.end();
  }
}

function listenAt(
  handler: FetchHandler,
  settings: ResolvedSettings,
  certificate: Certificate | undefined,
): Promise<Server> {
  const tls = certificate && { tls: certificate.tls };
  return listenOn("addr", settings.addr, handler, { ...resolveLimits(settings), ...tls });
}

/**
 * Listens at the address that an option says.
 *
 * @throws {StartError} if it cannot, for a reason that its user can mend.
 */
export async function listenOn(
  flag: string,
  addr: Address,
  handler: FetchHandler,
  options: Omit<ListenOptions, keyof Address> = {},
): Promise<Server> {
  try {
    return await listen(handler, { report: printError, ...options, ...addr });
  } catch (error) {
    if (!hasCode(error)) throw error;
    const why = explain(error, `listen on ${formatAddress(addr)}`);
    throw new StartError(why.replace("--addr", `--${flag}`));
  }
}

/** Errors of the platform that its user can mend, by their POSIX names. */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use; stop what listens there, or choose another --addr",
  EADDRNOTAVAIL: "this machine has no such address; choose another --addr",
  ENOTFOUND: "there is no such host; choose another --addr",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder; choose another --events-file",
  ENOENT: "the folder does not exist; create it, or choose another --events-file",
  ENOTDIR: "part of the path is not a folder; choose another --events-file",
  EROFS: "the file system is read-only; start with --read-only, or choose another --events-file",
  ENOSPC: "no space left on the disk",
  EIO: "the disk reports an error; check it",
};

/** Those that mean something else for a folder with files. */
const FOLDER_EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such folder",
  ENOTDIR: "it is not a folder",
};

function hasCode(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    Object.hasOwn(EXPLANATIONS, error.code);
}

function explain(error: { code: string }, what: string): string {
  return `cannot ${what}: ${EXPLANATIONS[error.code]}`;
}

/**
 * Says where the server listens, and stops it on a signal; then it does what is to be done
 * afterwards, which may take its time.
 */
export function announce(
  server: Server,
  certificate: Certificate | undefined,
  stop: () => Promise<void>,
  afterwards?: () => Promise<void> | undefined,
): Server {
  let stopping: Promise<void> | undefined;
  let bound: ReturnType<typeof setTimeout> | undefined;
  const stopOnce = () =>
    stopping ??= stop().then(() => {
      clearTimeout(bound);
      return afterwards?.();
    });
  const onSignal = () => {
    if (stopping !== undefined) process.exit(1);
    bound = setTimeout(() => {
      printWarning("could not stop in time; what was answered is on disk");
      process.exit(1);
    }, 2 * STOP_GRACE_MS);
    bound.unref();
    stopOnce().then(() => process.exit(0), exitWith);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const scheme = certificate === undefined ? "http" : "https";
  console.log(`Listening on ${scheme}://${formatAddress(server.addr)}`);
  certificate?.serves(server);
  return {
    ...server,
    async stop(): Promise<void> {
      certificate?.close();
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      await stopOnce();
    },
  };
}
