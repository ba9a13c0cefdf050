/** `worker`, hidden: what the parent of a run starts; never meant to be called by hand. */
import type { CommandModule } from "yargs";
import { UserError } from "../errors.ts";
import { serveParent } from "../parallel/worker.ts";

export const workerCommand: CommandModule = {
  command: "worker",
  describe: false,
  handler: async () => {
    if (!process.send) throw new UserError("worker: started by `run` and other commands themselves; there is nothing to call by hand");
    await serveParent();
    await new Promise(() => {}); // ends with the channel to the parent
  },
};
