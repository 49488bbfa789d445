/**
 * The runtime's own server around a fetch handler: what all that is compared with Alcedo stands on. On
 * Node it is `@hono/node-server`, on which Alcedo's adapter stands, too.
 */

/** What a server asks. */
export type Answer = (request: Request) => Response | Promise<Response>;

/** What this file uses of the platforms. */
declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen: () => void },
    handler: Answer,
  ): { readonly addr: { readonly port: number } };
};
declare const Bun: {
  serve(options: { hostname: string; port: number; fetch: Answer }): { readonly port: number };
};

/** Where the servers of the benches listen. */
export const HOSTNAME = "127.0.0.1";

/** Serves `answer`; resolves with the port. */
export async function listenNatively(answer: Answer): Promise<number> {
  const hostname = HOSTNAME;
  if ("Deno" in globalThis) {
    return Deno.serve({ hostname, port: 0, onListen: () => {} }, answer).addr.port;
  }
  if ("Bun" in globalThis) return Bun.serve({ hostname, port: 0, fetch: answer }).port;
  const { serve } = await import("@hono/node-server");
  return new Promise((resolve) => {
    serve({ hostname, port: 0, fetch: answer }, ({ port }) => resolve(port));
  });
}
