/** Gets TensorFlow's CPU library out of its Python wheel, by pip; needs Python as a downloader alone. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { isLibraryFolder, LIBRARY_FILE } from "./locate-tensorflow.ts";
import { lastLines, runTool } from "./run-tool.ts";

/** The version that the project is tested with. */
export const TENSORFLOW_WHEEL = "tensorflow-cpu==2.21.0";

/** The wheel, its copy in pip's cache (0.27 GB each) and what it unpacks to (1.35 GB), with room to spare. */
const NEEDED_BYTES = 2.5e9;

const ELSE = "or pass --tf-lib with the folder of a TensorFlow library, or --engine wasm to commands";

/**
 * Downloads and unpacks the wheel to `folder`/python, all of it or nothing.
 *
 * @param say told what is going on
 * @returns the library's folder
 * @throws UserError with the next step where python3, pip, disk space, network or the library in the wheel is missing
 */
export async function downloadTensorFlow(folder: string, say: (text: string) => void): Promise<string> {
  const python = await runTool("python3", ["--version"]);
  if (python.missing || python.status !== 0) {
    throw new UserError(`no TensorFlow library here and no python3 to download one; install python3 and pip, ${ELSE}`);
  }
  const pip = await runTool("python3", ["-m", "pip", "--version"]);
  if (pip.status !== 0) {
    throw new UserError(
      `no TensorFlow library here and python3 has no pip to download one (${lastLines(pip.stderr, 1)}); ` +
        `install it (\`apt-get install python3-pip\` or \`python3 -m ensurepip\`), ${ELSE}`,
    );
  }
  mkdirSync(folder, { recursive: true });
  removeAbandoned(folder);
  const free = freeBytes(folder);
  if (free < NEEDED_BYTES) {
    throw new UserError(
      `${folder}: ${gigabytes(free)} GB free, TensorFlow needs ${gigabytes(NEEDED_BYTES)} GB while it is unpacked; ` +
        `make room, choose another disk with --folder, ${ELSE}`,
    );
  }
  const work = join(folder, `download-${process.pid}`);
  const target = join(work, "python");
  mkdirSync(join(work, "tmp"), { recursive: true });
  say(`downloading ${TENSORFLOW_WHEEL} (0.3 GB, 1.4 GB unpacked) with pip into ${join(folder, "python")}`);
  try {
    const args = ["-m", "pip", "install", "--no-deps", "--no-input", "--quiet", "--only-binary", ":all:", "--target", target];
    // pip unpacks in TMPDIR and then moves: on the same disk that is a rename
    const environment = { TMPDIR: resolve(work, "tmp"), PIP_ROOT_USER_ACTION: "ignore", PIP_DISABLE_PIP_VERSION_CHECK: "1" };
    const { status, signal, stdout, stderr } = await runTool("python3", [...args, TENSORFLOW_WHEEL], { environment });
    if (status !== 0) {
      const said = lastLines(stderr, 1) || lastLines(stdout, 1) || "nothing";
      throw new UserError(
        `pip could not get ${TENSORFLOW_WHEEL} (${signal ?? `status ${status}`}); its last line: ${said}\n` +
          `Is the package index in reach? Otherwise install TensorFlow where it is, ${ELSE}`,
      );
    }
    if (!isLibraryFolder(join(target, "tensorflow"))) {
      throw new UserError(
        `the wheel ${TENSORFLOW_WHEEL} that pip chose for this machine holds no ${LIBRARY_FILE}; ` +
          `pass --tf-lib with the folder of another TensorFlow, or --engine wasm to commands`,
      );
    }
    const place = join(folder, "python");
    rmSync(place, { recursive: true, force: true }); // what lies there holds no library, else nobody had called
    renameSync(target, place);
    return join(place, "tensorflow");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Bytes that this user may still write to the disk of a path, which need not exist yet. */
export function freeBytes(path: string): number {
  let there = resolve(path);
  while (!existsSync(there)) there = dirname(there);
  const { bavail, bsize } = statfsSync(there);
  return bavail * bsize;
}

/** Removes what a download that was killed has left. */
function removeAbandoned(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^download-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
