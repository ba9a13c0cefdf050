/** `bundle`: packs a competition entry. */
import type { Argv, CommandModule } from "yargs";
import { UNKNOWN_USER } from "../bundle/kaggle-metadata.ts";
import { type Bundle, packBundle } from "../bundle/pack.ts";
import { UserError } from "../errors.ts";

interface BundleArgs {
  checkpoint: string;
  out: string;
  user: string | undefined;
  competition: string;
  node: string | undefined;
  withoutTensorflow: boolean;
  json?: boolean;
}

/** The version in package.json, put in by build.mjs. */
declare const VERSION: string;

/** What Kaggle's names are made of. */
const NAME = /^[a-z0-9][a-z0-9_-]*$/i;

export const bundleCommand: CommandModule<object, BundleArgs> = {
  command: "bundle",
  describe: "Pack a competition entry: program, Node, binding, checkpoint, notebook (`npm run bundle -- --checkpoint DIR`)",
  builder: (y) =>
    y
      .option("checkpoint", { type: "string", demandOption: true, describe: "folder of the checkpoint to ship" })
      .option("out", { type: "string", default: "bundle", describe: "folder to make; an older bundle there is replaced" })
      .option("user", { type: "string", describe: "your name on Kaggle, for the metadata of dataset and notebook" })
      .option("competition", { type: "string", default: "arc-prize-2026-arc-agi-2", describe: "the competition's slug on Kaggle" })
      .option("node", { type: "string", describe: "Node binary for linux-x64 to ship (default: a pinned one from the npm registry)" })
      .option("without-tensorflow", {
        type: "boolean",
        default: false,
        describe: "leave the native binding out: wasm engine alone",
      }) as unknown as Argv<BundleArgs>,
  handler: async ({ checkpoint, out, user, competition, node, withoutTensorflow, json }) => {
    for (const [option, name] of [["--user", user ?? UNKNOWN_USER] as const, ["--competition", competition] as const]) {
      if (!NAME.test(name)) throw new UserError(`${option} ${name}: expected letters, digits, - and _, as in the address on Kaggle`);
    }
    const names = { user: user ?? UNKNOWN_USER, competition };
    const request = { checkpoint, out, names, node, withoutTensorFlow: withoutTensorflow, version: VERSION, time: new Date() };
    const bundle = await packBundle(request, (text) => console.error(text));
    console.log(json ? JSON.stringify(bundle) : describe(bundle, user));
  },
};

/** Sizes by part, and what to do next. */
function describe({ files, dataset, notebook, zip, zipBytes, node, tensorflow }: Bundle, user: string | undefined): string {
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2).padStart(8)} MiB`;
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [...files, { name: "together", bytes: total, zippedBytes: zipBytes }];
  const width = Math.max(...rows.map(({ name }) => name.length));
  const notes = [
    ...(tensorflow ? [] : ["It has no native binding: the run will compute on wasm, some ten times slower than TensorFlow."]),
    ...(user === undefined ? [`No --user given: replace ${UNKNOWN_USER} in the two metadata files before you upload.`] : []),
  ];
  return [
    ...rows.map(({ name, bytes, zippedBytes }) => `${name.padEnd(width)} ${mib(bytes)}  zipped ${mib(zippedBytes)}`),
    "",
    `Node ${node}`,
    `${zip} holds the files of ${dataset}`,
    ...notes,
    "",
    `kaggle datasets create -p ${dataset}     (again: kaggle datasets version -p ${dataset} -m "what changed")`,
    `kaggle kernels push -p ${notebook}`,
  ].join("\n");
}
