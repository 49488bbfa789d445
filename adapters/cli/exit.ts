/**
 * How a command ends when it cannot go on: one line for what its user can mend, and the
 * stack for what is a defect.
 */

import process from "node:process";
import { AlcedoError, type ErrorCode } from "../../runtime/errors.ts";
import { printError, printWarning } from "../print.ts";
import { UsageError } from "./options.ts";

/** Something that the user of the command can mend: said in one line. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** What an application has thrown is shown with its stack. */
const SHOWN_CAUSES: readonly ErrorCode[] = ["bad_event", "start_failed"];

/** Says why the command ends, and ends the process: 2 for wrong usage, else 1. */
export function exitWith(error: unknown): never {
  if (error instanceof UsageError) {
    printWarning(error.message);
    process.exit(2);
  }
  if (error instanceof StartError || error instanceof AlcedoError) {
    printWarning(error.message);
    if (error instanceof AlcedoError && SHOWN_CAUSES.includes(error.code)) printError(error.cause);
  } else printError(error);
  process.exit(1);
}
