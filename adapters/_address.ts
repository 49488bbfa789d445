/** Network addresses, written the one way that all adapters write them. */

const MAPPED_IPV4 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/** An IPv4 address that a dual-stack socket shows as IPv6, as IPv4; all others as they are. */
export function plainHost(host: string): string {
  return host.startsWith("::") ? host.replace(MAPPED_IPV4, "") : host;
}

/** `host:port`, or `[host]:port` for IPv6. */
export function formatAddress(host: string, port: number): string {
  const plain = plainHost(host);
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}

const LOCAL_HOST = /^(?:::1?|0\.0\.0\.0|127\.\d+\.\d+\.\d+)$/;

/**
 * The authority in URLs of requests that name no host: where the server listens, which is
 * `localhost` when that is this machine alone, or every address.
 */
export function fallbackAuthority(host: string, port: number): string {
  return formatAddress(LOCAL_HOST.test(host) ? "localhost" : host, port);
}

/** The same with its scheme. */
export function fallbackOrigin(host: string, port: number, tls: object | undefined): string {
  return `${tls === undefined ? "http" : "https"}://${fallbackAuthority(host, port)}`;
}
