/** The same worker in TypeScript, where there is no compiler. */

import { serveWorker } from "../../adapters/worker.ts";
import { bodyOf } from "../application.ts";

serveWorker((request) =>
  new Response(bodyOf(Number(request.url.slice(request.url.lastIndexOf("-") + 1))))
);
