/**
 * The behaviour of a listening server, over real sockets: what every adapter must do on the
 * wire and show a handler. An adapter's test file is one call of it.
 */

import { failuresContract } from "./contract_failures.ts";
import { leavingContract } from "./contract_leaving.ts";
import { messagesContract } from "./contract_messages.ts";
import { overContract } from "./contract_over.ts";
import { stopContract } from "./contract_stop.ts";
import type { Serve } from "./running_server.ts";

/** Registers the tests of an adapter's `serve`. */
export function serverContract(serve: Serve): void {
  messagesContract(serve);
  leavingContract(serve);
  failuresContract(serve);
  overContract(serve);
  stopContract(serve);
}
