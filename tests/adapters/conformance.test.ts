/** The adapter of the runtime that the tests run on, against the conformance suite. */

import { test } from "node:test";
import { conformance } from "../../adapters/conformance.ts";
import { listen } from "../../adapters/listen.ts";
import { makeCertificate } from "../support/certificate.ts";
import { RUNTIME } from "../support/runtime.ts";
import { startBare } from "./bare_server.ts";
import { GAPS, LEFT_OUT_OVER_TLS } from "./gaps.ts";

const gaps = GAPS[RUNTIME];
console.log(`${gaps.length} declared gaps on ${RUNTIME}`);
for (const { name, run } of conformance(listen, { gaps, bare: startBare })) test(name, run);

const overTls = conformance(listen, { gaps, bare: startBare, tls: makeCertificate() });
for (const { name, run } of overTls) {
  if (!LEFT_OUT_OVER_TLS.includes(name)) test(`${name} (over TLS)`, run);
}
