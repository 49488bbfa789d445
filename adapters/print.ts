/**
 * What goes to standard error: warnings, and reports of what was thrown.
 */

/** Prints a line for the operator. */
export function printWarning(message: string): void {
  console.error(`alcedo: ${message}`);
}

/** Prints an error with its stack and its causes: the one place where a stack is shown. */
export function printError(error: unknown): void {
  console.error(error);
}
