/**
 * Values as they are written on a command line: durations and sizes with their units,
 * addresses, counts. Each parser throws a SyntaxError that says what to write instead.
 */

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Reads `50ms`, `60s`, `1.5m`, `2h`; returns milliseconds, more than 0. */
export function parseDuration(text: string): number {
  const ms = withUnit(text, DURATION_UNITS);
  // Timers hold 31 bits of milliseconds.
  if (ms === undefined || ms <= 0 || ms > 2 ** 31 - 1) {
    throw new SyntaxError(`"${text}" is not a duration; write 50ms, 60s, 2m or 1h`);
  }
  return ms;
}

/** Reads `512KiB`, `4MiB`, `1GB`, or bytes without a unit; returns bytes. */
export function parseSize(text: string): number {
  const bytes = withUnit(text, SIZE_UNITS);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) {
    throw new SyntaxError(`"${text}" is not a size; write 65536, 512KiB or 4MiB`);
  }
  return bytes;
}

function withUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text) ?? [];
  if (number === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  return Number(number) * (units[unit] ?? 0);
}

/** Writes a size for people: `734 B`, `1.2 MiB`. */
export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

/** Writes a count for people: `1,234 events`, `1 event`. */
export function formatCount(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** Reads a whole number from 1 on. */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || !Number.isSafeInteger(count)) {
    throw new SyntaxError(`"${text}" is not a number from 1 on`);
  }
  return count;
}

/** Where to listen. */
export interface Address {
  /** Empty for every address. */
  readonly hostname: string;
  readonly port: number;
}

/** Reads `:9000`, `localhost:9000`, `127.0.0.1:9000`, `[::1]:9000`. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\]/]*)):(\d+)$/.exec(text) ??
      [];
  const port = digits === undefined ? NaN : Number(digits);
  if (!(port <= 65535)) {
    throw new SyntaxError(`"${text}" is not an address; write :9000, HOST:9000 or [::1]:9000`);
  }
  return { hostname: bracketed ?? plain ?? "", port };
}

/** Writes an address as a URL has it; every address is `localhost`. */
export function formatAddress({ hostname, port }: Address): string {
  const isEvery = hostname === "" || hostname === "::" || hostname === "0.0.0.0";
  const host = isEvery ? "localhost" : hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${host}:${port}`;
}

/** Reads an address whose host, if none is named, is this machine alone. */
export function parseLoopback(text: string): Address {
  const { hostname, port } = parseAddress(text);
  return { hostname: hostname === "" ? "127.0.0.1" : hostname, port };
}

/** Reads one of some words. */
export function oneOf<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((word) => word === text);
    if (word === undefined) throw new SyntaxError(`"${text}" is none of: ${words.join(", ")}`);
    return word;
  };
}

/** Reads a switch: `true` or `false`. */
export function parseSwitch(text: string): boolean {
  return oneOf("true", "false")(text) === "true";
}
