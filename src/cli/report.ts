/** `report`: the page of a run, of a pre-training or of a comparison. */
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { reportHtml } from "../report/html.ts";
import { REPORT_FILE } from "../report/read-run-file.ts";
import { follow } from "./follow.ts";
import { gatherPage } from "./page.ts";

interface ReportArgs {
  folder: string;
  out: string | undefined;
  solutions: string | undefined;
  follow: boolean;
  json?: boolean;
}

export const reportCommand: CommandModule<object, ReportArgs> = {
  command: "report <folder>",
  describe: "Write the page of a run (timeline, curves, every task with its answers), a pre-training or a comparison, in one HTML file",
  builder: (y) =>
    y
      .positional("folder", {
        type: "string",
        demandOption: true,
        describe: "folder of a run or pre-training (--run-dir), which may still be running, or of a comparison (--out)",
      })
      .option("out", { type: "string", describe: "file to write; report.html in the folder unless given" })
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
      gatherPage(folder, solutions); // what is wrong with the folder is told at once
      const { url } = await follow(() => gatherPage(folder, solutions));
      console.log(json ? JSON.stringify({ url }) : `${folder} is shown at ${url} (Ctrl+C ends this)`);
      return;
    }
    const data = gatherPage(folder, solutions);
    const out = given ?? join(folder, REPORT_FILE);
    const html = reportHtml(data);
    try {
      writeFileAtomically(out, html);
    } catch (error) {
      throw new UserError(`--out ${out}: can't be written: ${messageOf(error)}`, { cause: error });
    }
    const bytes = Buffer.byteLength(html);
    if ("kind" in data) {
      if (json) console.log(JSON.stringify({ report: out, bytes, state: data.state, kind: data.kind }));
      else console.log(`${out} written: a ${data.kind}, ${(bytes / 2 ** 20).toFixed(2)} MiB`);
      return;
    }
    for (const note of data.notes) console.error(`warning: ${note}`);
    const { tasks, testInputs, score } = data.summary;
    if (json) console.log(JSON.stringify({ report: out, bytes, state: data.state, tasks, testInputs, ...(score && { score }) }));
    else console.log(`${out} written: ${tasks} tasks, ${(bytes / 2 ** 20).toFixed(2)} MiB`);
  },
};
