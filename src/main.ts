#!/usr/bin/env node
/** Entry of the bundle: picks a command and turns what was thrown into an exit status. */
import { hideBin } from "yargs/helpers";
import { runCli } from "./cli/cli.ts";

await runCli(hideBin(process.argv));
