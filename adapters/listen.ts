/**
 * Listens on whatever runtime this is: the one place that asks. Each adapter is imported
 * only where it runs, since importing another platform's would fail.
 */

import process from "node:process";
import type { FetchHandler, ListenOptions, Server } from "../runtime/http/fetch_handler.ts";

/** The runtimes that there is an adapter for. */
export type RuntimeName = "deno" | "bun" | "node";

/** The runtime that this runs on; one that is none of the three is taken for Node. */
export function runtimeName(): RuntimeName {
  if ("Deno" in globalThis) return "deno";
  return "Bun" in globalThis ? "bun" : "node";
}

/** What this file uses of the two that say themselves what they are. */
declare const Deno: { readonly build: { readonly standalone: boolean } };
declare const Bun: { readonly isStandaloneExecutable: boolean };

/** Whether this program is an executable of its own, with application and runtime in one file. */
export function isExecutable(): boolean {
  switch (runtimeName()) {
    case "deno":
      return Deno.build.standalone;
    case "bun":
      return Bun.isStandaloneExecutable;
    case "node":
      return process.getBuiltinModule("node:sea").isSea();
  }
}

/**
 * Serves `fetch` on this runtime, and resolves once connections are accepted.
 *
 * @throws an error whose `code` is `"EADDRINUSE"` if the port is taken.
 */
export async function listen(fetch: FetchHandler, options: ListenOptions = {}): Promise<Server> {
  const { serve } = await importAdapter(runtimeName());
  return serve(fetch, options);
}

/** The paths are literals so that bundlers find them. */
function importAdapter(runtime: RuntimeName): Promise<{ serve: typeof listen }> {
  switch (runtime) {
    case "deno":
      return import("./deno.ts");
    case "bun":
      return import("./bun.ts");
    case "node":
      return import("./node.ts");
  }
}
