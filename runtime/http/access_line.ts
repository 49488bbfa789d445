/**
 * Lines of an access log: an exchange as JSON, or as logfmt (`name=value`, quoted where it must be).
 *
 * Whatever a client sends, it can neither end a line nor make up a name: all that is not plain is
 * quoted, and all that could be taken for the end of a line is escaped.
 */

/** What is said of an exchange, in this order; what is not known is left out. */
export interface AccessEntry {
  /** When the request came: ISO 8601, UTC. */
  readonly time: string;
  readonly method: string;
  /** Without the query, where secrets are. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the answer's body, if its header says so. */
  readonly bytes?: number | undefined;
  /** Milliseconds until the answer was handed over. */
  readonly duration_ms: number;
  readonly remote?: string | undefined;
  readonly trace_id: string;
  readonly span_id: string;
  /** The client's own id, if it had sent one. */
  readonly parent_id?: string | undefined;
}

/** How the lines of an access log are written. */
export type AccessFormat = "json" | "logfmt";

/** The line of an exchange, with the end of the line. */
export function accessLine(entry: AccessEntry, format: AccessFormat): string {
  if (format === "json") return `${escaped(JSON.stringify(entry))}\n`;
  const fields = Object.entries(entry).filter(([, value]) => value !== undefined);
  return `${fields.map(([name, value]) => `${name}=${logfmtValue(String(value))}`).join(" ")}\n`;
}

/** Printable, of ASCII, and of no meaning to logfmt. */
const PLAIN = /^[!#-<>-[\]-~]+$/;

function logfmtValue(value: string): string {
  return PLAIN.test(value) ? value : escaped(JSON.stringify(value));
}

/** What JSON may leave as it is, though some readers end a line there. */
const LINE_ENDS = /[\x7f-\x9f\u2028\u2029]/g;

function escaped(json: string): string {
  return json.replace(
    LINE_ENDS,
    (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
