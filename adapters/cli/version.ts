/**
 * The version, as the package says it.
 */

import about from "../../package.json" with { type: "json" };

/** The line that `--version` prints. */
export function versionLine(): string {
  return `alcedo ${about.version}`;
}
