/**
 * The certificate of a server: read from its files at the start, and again at each SIGHUP. A file
 * that cannot be used ends a start, and changes nothing of a server that runs.
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import type { Server, TlsOptions } from "../../runtime/http/fetch_handler.ts";
import { type CertificateFacts, checkTls } from "../_tls.ts";
import { printWarning } from "../print.ts";
import { StartError } from "./exit.ts";
import { type ResolvedSettings, UsageError } from "./options.ts";

interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate, and where it comes from. */
export class Certificate {
  readonly tls: TlsOptions;
  readonly #server = Promise.withResolvers<Server>();
  readonly #onHangup: (() => void) | undefined;

  private constructor(tls: TlsOptions, files?: TlsFiles) {
    this.tls = tls;
    if (files === undefined) return;
    let last: Promise<void> = this.#server.promise.then(() => {});
    this.#onHangup = () => last = last.then(() => this.#reload(files));
    // From now on: the signal must not end a server that has not yet read its log.
    process.on("SIGHUP", this.#onHangup);
  }

  /**
   * Reads the files that the settings name, or takes `given`, and warns of what is out of date.
   *
   * @throws {UsageError} if there is one file without the other.
   * @throws {StartError} if it cannot be served.
   */
  static open(
    { tlsCert, tlsKey }: ResolvedSettings,
    given: TlsOptions | undefined,
  ): Certificate | undefined {
    if (tlsCert === undefined && tlsKey === undefined) {
      if (given === undefined) return undefined;
      warnOfDates(check(given));
      return new Certificate(given);
    }
    if (tlsCert === undefined) throw new UsageError("--tls-key needs --tls-cert");
    if (tlsKey === undefined) throw new UsageError("--tls-cert needs --tls-key");
    const files = { cert: tlsCert, key: tlsKey };
    const { tls, facts } = read(files);
    warnOfDates(facts);
    return new Certificate(tls, files);
  }

  /** `server` serves it: what was asked for meanwhile is done now. */
  serves(server: Server): void {
    this.#server.resolve(server);
  }

  /** Reads no file any more. */
  close(): void {
    if (this.#onHangup !== undefined) process.off("SIGHUP", this.#onHangup);
  }

  async #reload(files: TlsFiles): Promise<void> {
    const server = await this.#server.promise;
    try {
      const { tls, facts } = read(files);
      if (server.setTls === undefined) throw new Error("this takes a restart on Deno");
      await server.setTls(tls);
      printWarning(`new connections get ${describe(facts)}, valid until ${day(facts.validTo)}`);
      warnOfDates(facts);
    } catch (error) {
      printWarning(`the certificate was not replaced: ${messageOf(error)}`);
    }
  }
}

function read(files: TlsFiles): { tls: TlsOptions; facts: CertificateFacts } {
  const tls = { cert: readText("tls-cert", files.cert), key: readText("tls-key", files.key) };
  return { tls, facts: check(tls, ` ("${files.cert}", "${files.key}")`) };
}

function check(tls: TlsOptions, where = ""): CertificateFacts {
  try {
    return checkTls(tls);
  } catch (error) {
    throw new StartError(`${messageOf(error).replace(/^C/, "c")}${where}`, { cause: error });
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
};

function readText(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error ? Reflect.get(error, "code") : undefined;
    const why = EXPLANATIONS[String(code)] ?? messageOf(error);
    throw new StartError(`cannot read "${file}" of --${flag}: ${why}`, { cause: error });
  }
}

function warnOfDates(facts: CertificateFacts): void {
  const now = Date.now();
  const { validFrom, validTo } = facts;
  const fault = now > validTo.getTime()
    ? `has expired on ${day(validTo)}`
    : now < validFrom.getTime()
    ? `is not valid before ${day(validFrom)}`
    : undefined;
  if (fault !== undefined) printWarning(`${describe(facts)} ${fault}: clients will refuse it`);
}

function describe({ names }: CertificateFacts): string {
  return `the certificate of ${names.length === 0 ? "no name" : names.join(", ")}`;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
