/**
 * Proxies that are believed, and what they say of the client: `X-Forwarded-For`, `-Proto` and `-Host`,
 * or `Forwarded` (RFC 7239). Anybody can send these fields, so they count only on connections from a
 * trusted address, and back to the first one that is not.
 */

import { BlockList, isIP } from "node:net";
import type { RequestInfo } from "../runtime/http/fetch_handler.ts";
import { plainHost } from "./_address.ts";
import { isHost } from "./_normal_url.ts";

/** Ranges with a name (RFC 1122, RFC 4291; RFC 1918, RFC 4193). */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1/128"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
};

/** What a proxy says of whom it got a request from. */
interface Hop {
  /** An address, mostly; or `unknown`, or a name that the proxy made up. */
  readonly from: string;
  readonly proto: string | undefined;
  readonly host: string | undefined;
}

/** A request as its client has made it. */
interface ClientRequest {
  readonly request: Request;
  readonly info: RequestInfo;
}

/** Addresses of proxies. */
export class TrustedProxies {
  readonly #trusted = new BlockList();

  /** @throws {TypeError} if one of `proxies` is no address, range or name. */
  constructor(proxies: readonly string[]) {
    for (const proxy of proxies.flatMap((name) => NAMED[name] ?? [name])) this.#add(proxy);
  }

  #add(proxy: string): void {
    const [address = "", bits, ...more] = proxy.split("/");
    const family = familyOf(address);
    const max = family === "ipv4" ? 32 : 128;
    const size = bits === undefined ? max : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
    if (family === undefined || more.length > 0 || !(size <= max)) {
      throw new TypeError(
        `Cannot trust the proxy "${proxy}": it is no address, no range such as 10.0.0.0/8, and ` +
          `not one of: ${Object.keys(NAMED).join(", ")}`,
      );
    }
    this.#trusted.addSubnet(address, size, family);
  }

  /** Whether `address`, which may have a port, is that of a trusted proxy. */
  #trusts(address: string): boolean {
    const host = hostOf(address);
    const family = familyOf(host);
    return family !== undefined && this.#trusted.check(host, family);
  }

  /**
   * What the client has asked for, and who it is, if a trusted proxy says so; `undefined` if what it
   * says makes no URL.
   */
  clientOf(request: Request, info: RequestInfo): ClientRequest | undefined {
    const { remoteAddress } = info;
    if (remoteAddress === undefined || !this.#trusts(remoteAddress)) return { request, info };
    const hops = hopsOf(request.headers);
    const first = hops.at(-1);
    if (first === undefined) return { request, info };
    // From right to left: each was written by the one that comes after it.
    const at = hops.findLastIndex(({ from }) => !this.#trusts(from));
    const client = hops[Math.max(0, at)] ?? first;
    const made = withOrigin(request, client, info);
    return made && { request: made, info: new ForwardedInfo(info, addressOf(client.from)) };
  }
}

/** What proxies say, in the order of the way. A proxy that knows only the other kind passes it on. */
function hopsOf(headers: Headers): Hop[] {
  const from = listOf(headers.get("x-forwarded-for"));
  if (from.length === 0) return forwardedHops(headers.get("forwarded") ?? "");
  const protos = listOf(headers.get("x-forwarded-proto"));
  const hosts = listOf(headers.get("x-forwarded-host"));
  return from.map((from, index, { length }) => {
    // Most proxies replace these two instead of adding to them: one for all is the last one's.
    const back = length - index;
    const at = (list: readonly string[]) => list.at(-Math.min(back, list.length));
    return { from, proto: at(protos), host: at(hosts) };
  });
}

function listOf(field: string | null): string[] {
  return (field ?? "").split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
}

/** One `name=value` of a `Forwarded` field, and what stands behind it. */
const PAIR = /\s*([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*([;,]|$)/y;

/** The elements of a `Forwarded` field; of one that is none, those before that. */
function forwardedHops(field: string): Hop[] {
  const hops: Hop[] = [];
  let element: Record<string, string> = {};
  PAIR.lastIndex = 0;
  for (let pair = PAIR.exec(field); pair !== null; pair = PAIR.exec(field)) {
    const [, name = "", value = "", behind] = pair;
    element[name.toLowerCase()] = value.startsWith('"')
      ? value.slice(1, -1).replace(/\\(.)/g, "$1")
      : value;
    if (behind !== ";") {
      const { for: from = "unknown", proto, host } = element;
      hops.push({ from, proto, host });
      element = {};
    }
    if (PAIR.lastIndex === field.length) return hops;
  }
  // What it says of the nearest proxies cannot be read, so nobody can be believed.
  return [];
}

/** The host of an address with or without a port: `[::1]:80`, `::1`, `10.0.0.1:80`. */
function hostOf(address: string): string {
  const bracketed = /^\[(.*)\](?::\d+)?$/.exec(address)?.[1];
  const host = bracketed ?? (isIP(address) === 6 ? address : address.replace(/:\d+$/, ""));
  return plainHost(host);
}

function familyOf(host: string): "ipv4" | "ipv6" | undefined {
  const version = isIP(host);
  return version === 0 ? undefined : version === 4 ? "ipv4" : "ipv6";
}

/** `from`, written as all addresses are, or `undefined` if it is none. */
function addressOf(from: string): string | undefined {
  const host = hostOf(from);
  const family = familyOf(host);
  if (family === undefined) return undefined;
  const port = isIP(from) === 0 ? /:\d+$/.exec(from)?.[0] ?? "" : "";
  return `${family === "ipv6" ? `[${host}]` : host}${port}`;
}

/** `request` with the origin that its client has used; `undefined` if there is no such one. */
function withOrigin(
  request: Request,
  { proto, host }: Hop,
  info: RequestInfo,
): Request | undefined {
  const url = new URL(request.url);
  const scheme = proto?.toLowerCase() ?? "";
  if (host !== undefined && !(host !== "" && isHost(host))) return undefined;
  const protocol = scheme === "http" || scheme === "https" ? `${scheme}:` : url.protocol;
  const made = URL.parse(`${protocol}//${host ?? url.host}${url.pathname}${url.search}`);
  if (made === null) return undefined;
  if (made.href === request.url) return request;
  const { method, headers, body } = request;
  const init: RequestInit & { duplex: "half" } = {
    method,
    headers,
    body,
    duplex: "half",
    signal: info.signal,
  };
  return new Request(made, init);
}

/** What is known of an exchange that came through proxies. */
class ForwardedInfo implements RequestInfo {
  readonly remoteAddress: string | undefined;
  readonly #info: RequestInfo;
  /** Only if the server can tell: a handler looks whether these are there. */
  readonly header?: (name: string) => string | null;
  readonly onOver?: (over: (isComplete: boolean) => void) => void;
  readonly contentLength?: (response: Response) => string | null;

  constructor(info: RequestInfo, remoteAddress: string | undefined) {
    this.#info = info;
    this.remoteAddress = remoteAddress;
    if (info.header) this.header = (name) => info.header?.(name) ?? null;
    if (info.onOver) this.onOver = (over) => info.onOver?.(over);
    if (info.contentLength) {
      this.contentLength = (response) => info.contentLength?.(response) ?? null;
    }
  }

  get signal(): AbortSignal {
    return this.#info.signal;
  }

  get timeBody(): RequestInfo["timeBody"] {
    return this.#info.timeBody;
  }

  get timeRead(): RequestInfo["timeRead"] {
    return this.#info.timeRead;
  }

  hasStaticBody(response: Response): boolean {
    return this.#info.hasStaticBody?.(response) ?? false;
  }
}
