/**
 * A program that writes more lines to standard output than a pipe holds, says on standard error that
 * its event loop turns all the while, and ends when the lines are out.
 */

import { LineOutput, standardOutput } from "../../adapters/line_output.ts";

const output = new LineOutput(standardOutput(), { warn: (message) => console.error(message) });
for (let i = 0; i < 4000; i++) output.line(`${String(i).padStart(99)}\n`);
setTimeout(() => console.error("it turns"), 50);
await output.flush();
