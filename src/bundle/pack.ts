/** Packs what an offline notebook needs: a flat folder and a zip of it, and the notebook with its settings for Kaggle. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { readBindingRecord } from "../backend/binding-record.ts";
import { findBindingSources, newerThanImage } from "../backend/build-binding.ts";
import { BINDING_FILE, bindingPlaces, bundleFolder, possibleRoots } from "../backend/locate-tensorflow.ts";
import { runTool } from "../backend/run-tool.ts";
import { CONFIG_FILE, loadCheckpoint, MODEL_CARD_FILE, MODEL_FILE, modelFile } from "../checkpoint/load.ts";
import { UserError } from "../errors.ts";
import { MANIFEST_FILE, writeManifest } from "../files/manifest.ts";
import {
  DATASET_METADATA_FILE,
  datasetMetadata,
  type KaggleNames,
  KERNEL_METADATA_FILE,
  kernelMetadata,
  NOTEBOOK_FILE,
} from "./kaggle-metadata.ts";
import { licencesText } from "./licences.ts";
import { givenNode, type NodeBinary, pinnedNode, placeNode, refuseOtherPlatform } from "./node-binary.ts";
import { withOptions } from "./notebook-options.ts";
import { writeZip } from "./zip-file.ts";

/** What a bundle is made of and where it goes. */
export interface BundleRequest {
  /** folder of the checkpoint */
  readonly checkpoint: string;
  /** folder to make; one that holds a bundle is replaced */
  readonly out: string;
  readonly names: KaggleNames;
  /** of `run`, for the notebook */
  readonly runOptions: readonly string[];
  /** a Node binary for linux-x64 instead of the pinned one */
  readonly node: string | undefined;
  /** leave the binding out: the bundle then knows the wasm engine alone */
  readonly withoutTensorFlow: boolean;
  /** of the program */
  readonly version: string;
  /** when it is packed */
  readonly time: Date;
}

/** A file of the bundle. */
export interface BundledFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** size in the zip */
  readonly zippedBytes: number;
}

export interface Bundle {
  /** flat folder for `kaggle datasets create -p` */
  readonly dataset: string;
  /** folder for `kaggle kernels push -p` */
  readonly notebook: string;
  /** what it passes to `run` */
  readonly runOptions: readonly string[];
  readonly zip: string;
  readonly zipBytes: number;
  readonly files: readonly BundledFile[];
  /** of Node, in words */
  readonly node: string;
  /** the native binding is in it */
  readonly tensorflow: boolean;
}

const PROGRAM = "trm.mjs";
const NODE = "node";
const LICENCES = "LICENSES.txt";
const READ_ME = "README.md";
const MODEL_CARD = "MODEL-CARD.md";
const ZIP = "trm-bundle.zip";
/** Fetched packages are kept here, in the checkout. */
const CACHE = join(".build", "packages");

/**
 * Builds everything beside `out` and puts it in place when it is whole.
 *
 * @param say told what is going on, line by line
 * @throws UserError where a part is missing or unfit, or `out` holds something else
 */
export async function packBundle(request: BundleRequest, say: (text: string) => void): Promise<Bundle> {
  const out = resolve(request.out);
  refuseForeignFolder(out);
  const source = checkout();
  const { config, files } = loadCheckpoint(request.checkpoint); // every weight is looked at
  const binding = request.withoutTensorFlow ? undefined : await shippableBinding(say);
  mkdirSync(dirname(out), { recursive: true });
  const made = mkdtempSync(join(dirname(out), `.${basename(out)}-`));
  try {
    const folders = { dataset: join(made, "dataset"), notebook: join(made, "notebook"), work: join(made, "work") };
    for (const folder of Object.values(folders)) mkdirSync(folder);
    const { dataset } = folders;
    const node = request.node === undefined ? await pinnedNode(join(source, CACHE), folders.work, say) : givenNode(request.node);
    await placeNode(node.binary, join(dataset, NODE));
    copyFileSync(join(bundleFolder(), PROGRAM), join(dataset, PROGRAM));
    if (binding) copyFileSync(binding, join(dataset, BINDING_FILE));
    copyFileSync(join(request.checkpoint, CONFIG_FILE), join(dataset, CONFIG_FILE));
    copyFileSync(modelFile(request.checkpoint, files), join(dataset, MODEL_FILE));
    const card = join(request.checkpoint, MODEL_CARD_FILE);
    if (existsSync(card)) copyFileSync(card, join(dataset, MODEL_CARD));
    else say(`note: ${request.checkpoint} has no ${MODEL_CARD_FILE}; the bundle does not say what its weights learned`);
    writeFileSync(join(dataset, READ_ME), readMe(request.version, binding !== undefined));
    writeFileSync(join(dataset, LICENCES), licences(source, node, binding !== undefined));

    const names = readdirSync(dataset).sort();
    const about = { version: 1, program: request.version, packed: request.time.toISOString(), hiddenSize: config.model.hiddenSize };
    const listed = await writeManifest(dataset, names, about);
    const entries = [...names, MANIFEST_FILE].map((name) => ({ name, executable: name === NODE }));
    const sizes = await writeZip(join(made, ZIP), dataset, entries, request.time);
    // After the zip, which is for any machine: Kaggle's own two files.
    writeJson(join(dataset, DATASET_METADATA_FILE), datasetMetadata(request.names));
    const notebook = withOptions(readFileSync(join(bundleFolder(), NOTEBOOK_FILE), "utf8"), request.runOptions);
    writeFileSync(join(folders.notebook, NOTEBOOK_FILE), notebook);
    writeJson(join(folders.notebook, KERNEL_METADATA_FILE), kernelMetadata(request.names));

    rmSync(folders.work, { recursive: true });
    chmodSync(made, 0o755); // temporary folders are their owner's alone
    replaceFolder(out, made);
    return {
      dataset: join(out, "dataset"),
      notebook: join(out, "notebook"),
      runOptions: request.runOptions,
      zip: join(out, ZIP),
      zipBytes: statSync(join(out, ZIP)).size,
      files: listed.map((file, i) => ({ ...file, zippedBytes: sizes[i]! })),
      node: node.description,
      tensorflow: binding !== undefined,
    };
  } finally {
    rmSync(made, { recursive: true, force: true }); // gone already where all went well
  }
}

/** The checkout that the running program was built in. @throws UserError where it runs elsewhere */
function checkout(): string {
  const root = resolve(bundleFolder(), "..");
  const needed = [join(root, "LICENSE"), join(bundleFolder(), `${PROGRAM}.LEGAL.txt`), join(bundleFolder(), NOTEBOOK_FILE)];
  const missing = needed.filter((path) => !existsSync(path));
  if (missing.length > 0) throw new UserError(`no ${missing.join(", no ")}; bundles are made in a checkout: \`npm run bundle\` there`);
  return root;
}

/**
 * The binding, fit for the competition's image.
 *
 * @throws UserError where there is none, it was built from other sources than those here, or it asks for a newer system
 */
async function shippableBinding(say: (text: string) => void): Promise<string> {
  const binding = bindingPlaces().find((path) => existsSync(path));
  if (!binding) {
    throw new UserError(
      `no ${BINDING_FILE} to ship (looked at: ${bindingPlaces().join(", ")}); \`npm run tensorflow\` builds it, ` +
        "or pass --without-tensorflow for a bundle that knows the slower wasm engine alone",
    );
  }
  refuseOtherPlatform(binding);
  const [record, sources] = [readBindingRecord(dirname(binding)), findBindingSources(possibleRoots())];
  if (record && sources && record.sources !== sources.sha256)
    throw new UserError(`${binding} was built from other sources than are here now; \`npm run tensorflow\` builds it again`);
  const { missing, status, stdout } = await runTool("objdump", ["-T", binding]);
  if (missing || status !== 0) say(`note: no objdump here that reads ${binding}: not checked whether the competition image can load it`);
  const newer = newerThanImage(stdout);
  if (newer.length > 0)
    throw new UserError(
      `${binding} needs ${newer.join(", ")}, newer than the competition image has; build it on Debian 12 or Ubuntu 22.04`,
    );
  return binding;
}

function licences(source: string, node: NodeBinary, withBinding: boolean): string {
  const read = (path: string): string => readFileSync(path, "utf8");
  const headers = join(source, "node_modules", "node-api-headers", "LICENSE");
  const binding = [
    {
      title: `${BINDING_FILE}: compiled from the program's kernels and @tensorflow/tfjs-node-gpu (both as in 1) and node-api-headers (MIT)`,
      text: existsSync(headers) ? read(headers) : "node-api-headers: MIT, https://github.com/nodejs/node-api-headers",
    },
  ];
  return licencesText([
    { title: `${PROGRAM}: the program (Apache-2.0)`, text: read(join(source, "LICENSE")) },
    { title: `${PROGRAM}: the packages in it`, text: read(join(bundleFolder(), `${PROGRAM}.LEGAL.txt`)) },
    { title: `${NODE}: Node.js, ${node.description}`, text: read(node.licence) },
    ...(withBinding ? binding : []),
    { title: `${MODEL_FILE}, ${CONFIG_FILE}: the checkpoint`, text: `${MODEL_CARD} tells where the weights come from.` },
  ]);
}

function readMe(version: string, withBinding: boolean): string {
  const engine = withBinding
    ? `\`${BINDING_FILE}\` loads with any TensorFlow 2 whose \`libtensorflow_cc.so.2\` is found: python3's package, a folder \`tf\` here, or \`--tf-lib DIR\`.`
    : "This bundle has no native binding: it computes on its wasm engine.";
  return `# trm ${version}, packed

    chmod +x node
    ./node trm.mjs doctor --checkpoint .
    ./node trm.mjs run --challenges arc-agi_test_challenges.json --checkpoint . --out submission.json --budget 11h30m

Needs 64-bit Linux on x86-64 with glibc 2.28 or newer and libstdc++; nothing of it is fetched. This folder is also the checkpoint's.
${engine}
\`doctor\` compares every file with \`${MANIFEST_FILE}\`. Licences: \`${LICENCES}\`.
`;
}

function writeJson(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** @throws UserError where the folder holds anything but a bundle of ours */
function refuseForeignFolder(out: string): void {
  const stat = statSync(out, { throwIfNoEntry: false });
  if (!stat) return;
  const ours = stat.isDirectory() && (readdirSync(out).length === 0 || existsSync(join(out, "dataset", MANIFEST_FILE)));
  if (!ours) throw new UserError(`--out ${out}: is there and is no bundle; it would be replaced as a whole: name an empty or a new folder`);
}

/** Puts `made` in the place of `out`. */
function replaceFolder(out: string, made: string): void {
  const old = existsSync(out) ? `${made}-old` : undefined;
  if (old) renameSync(out, old);
  renameSync(made, out);
  if (old) rmSync(old, { recursive: true, force: true });
}
