/** `bundle`: packs a competition entry. */
import type { Argv, CommandModule } from "yargs";
import { UNKNOWN_USER } from "../bundle/kaggle-metadata.ts";
import { optionsFor } from "../bundle/notebook-options.ts";
import { type Bundle, packBundle } from "../bundle/pack.ts";
import { shellWord } from "../cluster/slurm.ts";
import { UserError } from "../errors.ts";
import { checkRunOptions } from "./passed-options.ts";

interface BundleArgs {
  checkpoint: string;
  out: string;
  user: string | undefined;
  competition: string;
  node: string | undefined;
  withoutTensorflow: boolean;
  _: (string | number)[];
  json?: boolean;
}

/** The version in package.json, put in by build.mjs. */
declare const VERSION: string;

/** What Kaggle's names are made of. */
const NAME = /^[a-z0-9][a-z0-9_-]*$/i;

/** Options of `run` that the notebook finds out, that would be others there, or that would keep it from going on with less. */
const OWN = [
  ..."challenges checkpoint solutions out run-dir resume budget started-at engine workers json plan-only shard device time-scale".split(
    " ",
  ),
  ..."quiet log-level require-gpus strict tasks limit config tf-lib xla-cache".split(" "),
];

export const bundleCommand: CommandModule<object, BundleArgs> = {
  command: "bundle [run-options..]",
  describe: "Pack a competition entry: program, Node, binding, checkpoint, notebook (`npm run bundle -- --checkpoint DIR`)",
  builder: (y) =>
    y
      .positional("run-options", {
        type: "string",
        array: true,
        default: [],
        describe:
          "after --: options of `run` that the notebook passes (default: none where the checkpoint has settings of its own, else --preset paper-as-released)",
      })
      .option("checkpoint", { type: "string", demandOption: true, describe: "folder of the checkpoint to ship" })
      .option("out", { type: "string", default: "bundle", describe: "folder to make; an older bundle there is replaced" })
      .option("user", { type: "string", describe: "your name on Kaggle, for the metadata of dataset and notebook" })
      .option("competition", { type: "string", default: "arc-prize-2026-arc-agi-2", describe: "the competition's slug on Kaggle" })
      .option("node", { type: "string", describe: "Node binary for linux-x64 to ship (default: a pinned one from the npm registry)" })
      .option("without-tensorflow", {
        type: "boolean",
        default: false,
        describe: "leave the native binding out: wasm engine alone",
      })
      .example(
        "$0 bundle --checkpoint DIR --user me -- --preset paper-as-released --canvas grouped",
        "what was rehearsed is what is submitted",
      ) as unknown as Argv<BundleArgs>,
  handler: async ({ checkpoint, out, user, competition, node, withoutTensorflow, _, json }) => {
    for (const [option, name] of [["--user", user ?? UNKNOWN_USER] as const, ["--competition", competition] as const]) {
      if (!NAME.test(name)) throw new UserError(`${option} ${name}: expected letters, digits, - and _, as in the address on Kaggle`);
    }
    const names = { user: user ?? UNKNOWN_USER, competition };
    const passed = _.slice(1).map(String);
    checkRunOptions(passed, OWN, checkpoint);
    const runOptions = passed.length > 0 ? passed : optionsFor(checkpoint);
    const request = { checkpoint, out, names, runOptions, node, withoutTensorFlow: withoutTensorflow, version: VERSION, time: new Date() };
    const bundle = await packBundle(request, (text) => console.error(text));
    console.log(json ? JSON.stringify(bundle) : describe(bundle, user));
  },
};

/** Sizes by part, and what to do next. */
function describe({ files, dataset, notebook, runOptions, zip, zipBytes, node, tensorflow }: Bundle, user: string | undefined): string {
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
    `the notebook passes to \`run\`: ${runOptions.map(shellWord).join(" ") || "no options: the checkpoint has settings of its own"}`,
    `${zip} holds the files of ${dataset}`,
    ...notes,
    "",
    `kaggle datasets create -p ${dataset}     (again: kaggle datasets version -p ${dataset} -m "what changed")`,
    `kaggle kernels push -p ${notebook}`,
  ].join("\n");
}
