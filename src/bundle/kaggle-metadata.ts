/** The two files that the `kaggle` command line reads: what a dataset is, and how a notebook is to be run. */

/** Written where no user was named; `kaggle` refuses it, and it is easy to find. */
export const UNKNOWN_USER = "INSERT_KAGGLE_NAME_HERE";

export const DATASET_METADATA_FILE = "dataset-metadata.json";
export const KERNEL_METADATA_FILE = "kernel-metadata.json";
export const NOTEBOOK_FILE = "notebook.ipynb";

/** Kaggle makes the slug, the part of the address, from the title; a title that gives another one earns a warning. */
const DATASET_TITLE = "TRM bundle";
const NOTEBOOK_TITLE = "TRM test-time adaptation";

/** Whom and what the files are for. */
export interface KaggleNames {
  readonly user: string;
  /** slug of the competition whose data the notebook reads */
  readonly competition: string;
}

/** Lower case, words joined by dashes, as Kaggle makes addresses from titles. */
export function slugOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/**
 * `dataset-metadata.json`: title of 6 to 50 characters, one licence, for the command line's checks.
 *
 * The licence is "other", the one that refers to the description: the parts have several.
 */
export function datasetMetadata({ user }: Pick<KaggleNames, "user">): object {
  return {
    title: DATASET_TITLE,
    id: `${user}/${slugOf(DATASET_TITLE)}`,
    subtitle: "An offline ARC Prize entry: program, Node, checkpoint",
    description:
      "Everything that an offline notebook needs to adapt a tiny recursive model to ARC tasks at test time. " +
      "The program is Apache-2.0; the licences of all parts are in LICENSES.txt.",
    licenses: [{ name: "other" }],
  };
}

/**
 * `kernel-metadata.json` of the notebook: offline, on the machine with four L4 GPUs.
 *
 * `enable_internet` is written out because the command line's own default is true; `machine_shape` because the default may be a
 * GPU that current TensorFlow no longer runs on. No image is pinned: the binding loads with any TensorFlow 2.
 */
export function kernelMetadata({ user, competition }: KaggleNames): object {
  return {
    id: `${user}/${slugOf(NOTEBOOK_TITLE)}`,
    title: NOTEBOOK_TITLE,
    code_file: NOTEBOOK_FILE,
    language: "python",
    kernel_type: "notebook",
    is_private: true,
    enable_gpu: true,
    enable_tpu: false,
    enable_internet: false,
    machine_shape: "NvidiaL4",
    dataset_sources: [`${user}/${slugOf(DATASET_TITLE)}`],
    competition_sources: [competition],
    kernel_sources: [],
    model_sources: [],
  };
}
