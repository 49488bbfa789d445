/**
 * `mod.ts pool [options] -- COMMAND ARG…`: HTTP in front of a pool of programs in any language.
 */

import process from "node:process";
import type { FetchHandler, Server } from "../../../runtime/http/fetch_handler.ts";
import { SlowClient, withTimedBody } from "../../../runtime/http/slow_client.ts";
import {
  REQUESTS_MAX,
  STOP_GRACE_MS,
  WORKER_STOP_MS,
  WORKER_TERM_MS,
} from "../../../runtime/limits.ts";
import { encodeRequest, HEALTH_CHECK, isEmptyAnswer } from "../../../runtime/processes/packets.ts";
import { Pool } from "../../../runtime/processes/pool.ts";
import { PoolHandler } from "../../../runtime/processes/pool_handler.ts";
import { clock } from "../../clock.ts";
import { openControlSocket } from "../../control/control_socket.ts";
import { standardError } from "../../line_output.ts";
import { printError, printWarning } from "../../print.ts";
import { ChildStarter, findProgram } from "../../processes/child_starter.ts";
import { packetWorkers } from "../../processes/packet_worker.ts";
import { exitWith, StartError } from "../exit.ts";
import { UsageError } from "../option_table.ts";
import { announce, filesOf, listenOn, printAndExit } from "../serve_app.ts";
import { versionLine } from "../version.ts";
import { poolCommands } from "./commands.ts";
import { describePoolOptions, type PoolSettings, readPoolCall } from "./options.ts";

/** Milliseconds for answers on their way out when the pool has given up, and for the last output. */
const LAST_WORDS_MS = 1000;

function help(): string {
  return `Usage: mod.ts pool [options] -- COMMAND [ARG…]

Serves HTTP with a pool of workers: programs in any language that read requests from their standard
input, one at a time, and write answers to their file descriptor 3. What they print goes to standard
error, with their pid.

${describePoolOptions()}

Every option can also come from the environment: --max-pool-size from ALCEDO_MAX_POOL_SIZE,
and so on. Durations are written 50ms, 60s, 2m; sizes 512KiB, 4MiB.`;
}

/**
 * Runs the command with its arguments, until a signal stops it.
 *
 * @throws {UsageError} if it was called in a wrong way.
 * @throws {StartError} if it cannot start.
 */
export async function runPool(args: readonly string[]): Promise<void> {
  const { help: isHelp, version, settings, command } = readPoolCall(args, process.env);
  if (isHelp) return printAndExit(help());
  if (version) return printAndExit(versionLine());
  const [program] = command;
  if (program === undefined) {
    throw new UsageError("which command? write it after --; see pool --help");
  }
  if (findProgram(program) === undefined) {
    throw new StartError(`cannot run "${program}": there is no such program, or it may not be run`);
  }
  await startPool(settings, command);
}

/** Serves until a signal stops it, or the command shows that it cannot be run. */
async function startPool(settings: PoolSettings, command: readonly string[]): Promise<void> {
  const files = filesOf(settings);
  // `pool` and `handler` are made before the event loop turns again, and so before they are asked for.
  const control = await openControlSocket(settings.ctlSocket, {
    commands: poolCommands(() => pool),
    report: printError,
  });
  const fetch: FetchHandler = (request, info) => handler.fetch(request, info);
  const served: FetchHandler = files === undefined ? fetch : (request, info) => {
    const answer = files(request);
    if (answer === undefined) return fetch(request, info);
    return answer.then((response) => {
      if (response === undefined) return fetch(request, info);
      if (response.body === null) return response;
      return withTimedBody(response, settings.writeTimeoutMs, { clock, info, late: reportLate });
    });
  };
  let server: Server;
  try {
    server = await listenOn("addr", settings.addr, served, {
      headerTimeoutMs: settings.readTimeoutMs,
      bodyTimeoutMs: settings.readTimeoutMs,
      // Of those that wait for a worker the pool has a bound of its own.
      requestsMax: REQUESTS_MAX + settings.backlogMax,
      report: reportFailure,
    });
  } catch (error) {
    await control.close();
    throw error;
  }
  const output = standardError();
  const starter = new ChildStarter({
    command,
    print: (line, pid) => output.line(`worker ${pid}: ${line}\n`),
  });
  // Not for longer, if nobody reads it.
  const flushed = () =>
    Promise.race([
      output.flush(),
      new Promise<void>((resolve) => void clock.after(LAST_WORDS_MS, resolve)),
    ]);
  const giveUp = async (why: string) => {
    await server.stop({ graceMs: LAST_WORDS_MS });
    await control.close();
    await flushed();
    exitWith(new StartError(`${command[0]}: ${why}`));
  };
  const pool = new Pool({
    spawn: packetWorkers(starter),
    clock,
    healthCheck: encodeRequest(HEALTH_CHECK),
    isEmptyAnswer,
    warn: printWarning,
    gaveUp: (why) => void giveUp(why).catch(exitWith),
  }, settings);
  const handler = new PoolHandler(pool, { clock, report: reportLate }, settings);
  announce(server, undefined, async () => {
    await server.stop({ graceMs: STOP_GRACE_MS });
    handler.close();
    // Nobody waits for an answer any more; those that end well get the time to.
    const cancel = clock.after(WORKER_TERM_MS + WORKER_STOP_MS, () => pool.kill());
    await pool.close();
    cancel();
    starter.close();
    await control.close(); // Until then it shows what is still at work.
    await flushed();
  });
}

/** Of a client that was cut off because it was slow, a line is enough. */
function reportLate(error: unknown): void {
  if (error instanceof SlowClient) printWarning(error.message);
  else printError(error);
}

/** What ended an answer half-way; that of a slow client was reported when it was cut off. */
function reportFailure(error: unknown): void {
  if (!(error instanceof SlowClient)) printError(error);
}
