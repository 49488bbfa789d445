/**
 * Tests that need what not every machine has: a Debian package, or root. They are skipped where
 * it is missing, with the reason in their name. Where `ALCEDO_REQUIRE` is set, nothing is
 * skipped: what is missing makes them fail.
 */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";

/**
 * A `test` for what needs `name`:
 *
 * ```ts
 * const testWithStrace = needs("strace", isInstalled("strace"));
 * testWithStrace("file log syncs before the answer leaves", () => {});
 * ```
 */
export function needs(
  name: string,
  available: boolean,
): (title: string, body: () => void | Promise<void>) => void {
  const skip = !available && !process.env.ALCEDO_REQUIRE;
  return (title, body) => {
    test(`${title} (needs ${name})`, { skip }, body);
  };
}

/** Whether a program can be found in `PATH`. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false; // Not here, or not for us: the next folder may have it.
    }
  });
}
