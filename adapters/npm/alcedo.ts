#!/usr/bin/env node
/**
 * The command `alcedo`, as npm puts it into the path: `npx alcedo app.ts`.
 */

import { main } from "../cli/main.ts";

void main();
