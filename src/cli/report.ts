/** `report`: the page of a run. */
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { gatherReport } from "../report/gather.ts";
import { reportHtml } from "../report/html.ts";
import { REPORT_FILE, readRun } from "../report/read-run-file.ts";
import { follow } from "./follow.ts";

interface ReportArgs {
  folder: string;
  out: string | undefined;
  solutions: string | undefined;
  follow: boolean;
  json?: boolean;
}

export const reportCommand: CommandModule<object, ReportArgs> = {
  command: "report <folder>",
  describe: "Write the page of a run: timeline, curves, and every task with its answers, in one HTML file",
  builder: (y) =>
    y
      .positional("folder", { type: "string", demandOption: true, describe: "folder of the run (--run-dir); it may still be running" })
      .option("out", { type: "string", describe: "file to write; report.html in the run's folder unless given" })
      .option("follow", {
        type: "boolean",
        default: false,
        describe: "serve the page on this machine alone and renew it while the run goes on; ends with Ctrl+C",
      })
      .option("solutions", {
        type: "string",
        describe: "solutions file, or folder of task files with outputs; the file that the run was given unless another is named here",
      }),
  handler: async ({ folder, out: given, solutions, follow: following, json }) => {
    if (following) {
      if (given !== undefined) throw new UserError("--follow serves the page and writes none: leave out --out");
      gatherReport(readRun(folder, solutions), Date.now()); // what is wrong with the folder is told at once
      const { url } = await follow(() => gatherReport(readRun(folder, solutions), Date.now()));
      console.log(json ? JSON.stringify({ url }) : `${folder} is shown at ${url} (Ctrl+C ends this)`);
      return;
    }
    const run = readRun(folder, solutions);
    const data = gatherReport(run, Date.now());
    const out = given ?? join(folder, REPORT_FILE);
    const html = reportHtml(data);
    try {
      writeFileAtomically(out, html);
    } catch (error) {
      throw new UserError(`--out ${out}: can't be written: ${messageOf(error)}`, { cause: error });
    }
    for (const note of data.notes) console.error(`warning: ${note}`);
    const { tasks, testInputs, score } = data.summary;
    const bytes = Buffer.byteLength(html);
    if (json) console.log(JSON.stringify({ report: out, bytes, state: data.state, tasks, testInputs, ...(score && { score }) }));
    else console.log(`${out} written: ${tasks} tasks, ${(bytes / 2 ** 20).toFixed(2)} MiB`);
  },
};
